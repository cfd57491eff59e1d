#!/bin/sh
# Install the project into an environment in editable mode:  install.sh PYTHON REQUIREMENT
# pip runs maturin, which builds the native module and downloads a Rust toolchain if there is none.
# If the build fails, the last line of output has the remedy.
python=$1 requirement=$2
echo "building Lexpand (1 to 3 minutes the first time)"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip install --quiet --editable "$requirement" 2>"$log"; then
    exit 0
fi
cat "$log" >&2
if ! command -v cargo >/dev/null 2>&1 && grep -q puccinialin "$log"; then
    echo "lexpand: no Rust toolchain is installed, and none could be fetched: install Rust 1.89 or later (https://rustup.rs), then run make again" >&2
elif ! command -v cc >/dev/null 2>&1 && grep -q 'linker' "$log"; then
    echo "lexpand: no linker is installed: install a C compiler (Debian: apt-get install gcc), then run make again" >&2
elif command -v rustup >/dev/null 2>&1 && ! cargo --version >/dev/null 2>&1; then
    echo "lexpand: rustup is installed without a default toolchain: run 'rustup default stable', then run make again" >&2
else
    echo "lexpand: the install failed; pip's lines above say why" >&2
fi
exit 1
