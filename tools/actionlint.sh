#!/bin/sh
# Run actionlint over .github/workflows:  actionlint.sh [ARGUMENT...]
# Uses the actionlint on PATH, or a pinned version that Go builds into build/tools at the first use.
# Exits with 69 (EX_UNAVAILABLE) if neither actionlint nor Go is installed.
cd "$(dirname "$0")/.." || exit 1
version=v1.7.12
built=build/tools/actionlint-$version/actionlint
if command -v actionlint >/dev/null 2>&1; then
    exec actionlint "$@"
fi
if [ ! -x "$built" ]; then
    if ! command -v go >/dev/null 2>&1; then
        echo "lexpand: neither actionlint nor Go is installed: install one of them (https://go.dev/dl)" >&2
        exit 69
    fi
    mkdir -p "$(dirname "$built")"
    GOBIN=$(cd "$(dirname "$built")" && pwd) go install github.com/rhysd/actionlint/cmd/actionlint@$version || exit 69
fi
exec "$built" "$@"
