#!/bin/sh
# Run cargo:  cargo.sh PYTHON ARGUMENT...
# Uses the cargo on PATH or in the folder of rustup. If there is none, puccinialin downloads one, as it
# does for maturin.
python=$1
shift
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if command -v cargo >/dev/null 2>&1; then
    exec cargo "$@"
fi
PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip install --quiet puccinialin || exit 1
exec "$python" -c '
import os, sys
from puccinialin import setup_rust
try:
    os.environ.update(setup_rust())
    os.execvp("cargo", ["cargo", *sys.argv[1:]])
except Exception as error:
    hint = "install Rust 1.89 or later (https://rustup.rs)"
    sys.exit(f"lexpand: no Rust toolchain is installed, and none could be fetched ({error}): {hint}")
' "$@"
