"""Build a wheel or an sdist for release, without paths of the build machine.

    build_release.py [MATURIN OPTION]...   build a wheel
    build_release.py --sdist               build an sdist

Panic messages in the native module contain paths of source files. They are replaced at compile
time, so a wheel does not depend on the folder in which it was built. Needs cargo, and maturin in
the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """Return environment variables: PATH with maturin and cargo, and flags that replace paths."""
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), str(cargo_home / "bin")]
    flags = [f"--remap-path-prefix={cargo_home}=cargo", f"--remap-path-prefix={ROOT}=lexpand"]
    # Encoded flags are separated by U+001F, so a path may contain spaces.
    return {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
    }


def main(arguments: list[str]) -> int:
    out = [] if "--out" in arguments else ["--out", str(ROOT / "dist")]
    kind = ["sdist"] if "--sdist" in arguments else ["build", "--release", "--locked"]
    options = [argument for argument in arguments if argument != "--sdist"]
    command = [sys.executable, "-m", "maturin", *kind, *options, *out]
    return subprocess.run(command, cwd=ROOT, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
