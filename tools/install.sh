#!/bin/sh
# Install the project, editable, into an environment:  install.sh PYTHON WHAT
# pip lets maturin build the native module, and maturin brings a Rust toolchain where it can; one plain line where it cannot.
python=$1 what=$2
if PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip install --quiet --editable "$what"; then
    exit 0
fi
if command -v cargo >/dev/null 2>&1; then
    echo "lexpand: the install failed; pip's lines above say why (a package index that cannot be reached, or a build error)." >&2
else
    echo "lexpand: the install failed. No Rust toolchain is here, and if pip's lines above speak of rust or cargo, none could be fetched: install Rust 1.89 or later (https://rustup.rs), then run make again." >&2
fi
exit 1
