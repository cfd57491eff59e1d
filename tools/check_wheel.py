"""Check built packages before they are published.

    check_wheel.py PATH...              check the content of wheels and sdists
    check_wheel.py --install WHEEL...   also install each wheel in a new environment and search
    check_wheel.py --try-only WHEEL...  only install and search, for wheels that are not published

The script needs only the standard library, so it runs wherever a wheel is built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 50_000_000

IN_WHEEL = (
    r"lexpand/py\.typed",
    r"lexpand/_native\.pyi",
    r"lexpand/_native\.(abi3\.so|pyd)",
    r"lexpand/.*/splade-tiny/NOTICE\.md",
    r"lexpand/.*/splade-tiny/model\.safetensors",
    r"lexpand/.*/lexpand-mini/NOTICE\.md",
    r"lexpand/.*/lexpand-mini/model\.q8\.safetensors",
    r"lexpand/.*/lexpand-tiny/NOTICE\.md",
    r"lexpand/.*/lexpand-tiny/model\.q8\.safetensors",
    r"lexpand/.*/scifact/NOTICE\.md",
    r"lexpand/.*/stop_words/NOTICE\.md",
    r"lexpand-[^/]*\.dist-info/licenses/LICENSE",
    r"lexpand-[^/]*\.dist-info/licenses/NOTICE",
)
IN_SDIST = (
    r"PKG-INFO",
    r"pyproject\.toml",
    r"Cargo\.toml",
    r"Cargo\.lock",
    r"README\.md",
    r"LICENSE",
    r"NOTICE",
    r"crates/lexpand-core/Cargo\.toml",
    r"crates/lexpand-core/src/lib\.rs",
    r"crates/lexpand-python/Cargo\.toml",
    r"crates/lexpand-python/src/lib\.rs",
    r"src/lexpand/__init__\.py",
    r"src/lexpand/py\.typed",
    r"src/lexpand/_native\.pyi",
    r"src/lexpand/.*/splade-tiny/NOTICE\.md",
    r"src/lexpand/.*/splade-tiny/model\.safetensors",
    r"src/lexpand/.*/lexpand-mini/NOTICE\.md",
    r"src/lexpand/.*/lexpand-mini/model\.q8\.safetensors",
    r"src/lexpand/.*/lexpand-tiny/NOTICE\.md",
    r"src/lexpand/.*/lexpand-tiny/model\.q8\.safetensors",
)
NOT_IN_ANY = r".*(__pycache__|\.pyc$|\.DS_Store|/\.venv|/target/|\.hypothesis)"

# A home folder, or a cargo registry whose path was not replaced.
BUILD_PATH = re.compile(
    rb"(?:/root/|/home/[\w.-]+/|/Users/[\w.-]+/|[A-Za-z]:\\+Users\\+)|[\w.-]*/\.cargo/registry"
)

PAGES = [
    {
        "id": "leave",
        "title": "Vacation requests",
        "text": "Ask your manager at least two weeks before it begins.",
    },
    {
        "id": "invoice",
        "title": "Billing",
        "text": "Invoices are sent by e-mail on the first day of each month.",
    },
]


def version() -> str:
    """Return the version in Cargo.toml."""
    with (ROOT / "Cargo.toml").open("rb") as file:
        found: str = tomllib.load(file)["workspace"]["package"]["version"]
    return found


def problems(path: Path) -> list[str]:
    """Return the problems of a wheel or an sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            files = {
                info.filename: wheel.read(info) for info in wheel.infolist() if not info.is_dir()
            }
        required, found = IN_WHEEL, _wheel_problems(path, files)
    else:
        with tarfile.open(path) as sdist:
            files = {
                member.name.partition("/")[2]: file.read()
                for member in sdist
                if (file := sdist.extractfile(member)) is not None
            }
        required, found = IN_SDIST, []
    if path.stat().st_size > MAX_BYTES:
        found.append(f"size must be <= {MAX_BYTES:,} bytes, got {path.stat().st_size:,}")
    if not path.name.startswith(f"lexpand-{version()}"):
        found.append(f"version must be {version()}, as in Cargo.toml")
    found += [
        f"must have a file {pattern}"
        for pattern in required
        if not any(re.fullmatch(pattern, name) for name in files)
    ]
    found += [f"{name} must not be packaged" for name in files if re.match(NOT_IN_ANY, f"/{name}")]
    return found


def _wheel_problems(path: Path, files: dict[str, bytes]) -> list[str]:
    found = []
    if "-cp311-abi3-" not in path.name:
        found.append("the tag must be cp311-abi3")
    for name, content in files.items():
        leak = BUILD_PATH.search(content) or re.search(
            re.escape(str(ROOT)).encode() + rb"[/\\]", content
        )
        # The weights of the model and the collection may have any bytes, so they are not checked.
        if leak and name.endswith(
            (".so", ".pyd", ".py", ".pyi", ".json", "METADATA", "RECORD", "WHEEL")
        ):
            found.append(
                f"{name} must have no path of the build machine, got "
                f"{leak[0].decode(errors='replace')}"
            )
    return found


def try_out(wheel: Path) -> str:
    """Install a wheel outside the checkout, index two pages and search them.

    Returns:
        The output of ``lexpand --version``.

    Raises:
        CalledProcessError: a command failed.
        ValueError: the version or the first hit is not the expected one.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "env", with_pip=True)
        programs = home / "env" / ("Scripts" if os.name == "nt" else "bin")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

        def run(program: str, *arguments: str | Path) -> str:
            command = [programs / program, *arguments]
            return subprocess.run(
                command, cwd=home, env=clean, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        run(
            "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            wheel.resolve(),
        )
        printed = run("lexpand", "--version").strip()
        if version() not in printed:
            raise ValueError(f"`lexpand --version` must print {version()}, got {printed}")
        rows = "\n".join(json.dumps(page) for page in PAGES)
        (home / "pages.jsonl").write_text(rows, encoding="utf-8")
        run("lexpand", "index", "pages.jsonl", "pages.index")
        hits = run(
            "lexpand", "search", "pages.index", "when can I take a holiday", "-k", "1", "--json"
        )
        if "leave" not in hits:
            raise ValueError(f"the first hit must be 'leave', got {hits}")
        return printed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--try-only", action="store_true")
    options = parser.parse_args()
    # The shell of Windows does not expand patterns.
    paths = [
        path for pattern in options.packages for path in sorted(pattern.parent.glob(pattern.name))
    ]
    if not paths:
        sys.exit("the paths must name at least one wheel or sdist: build one with `make wheel`")
    failed = False
    for path in paths:
        found = [] if options.try_only else problems(path)
        failed |= bool(found)
        for problem in found:
            print(f"{path.name}: {problem}", file=sys.stderr)
        if not found and not options.try_only:
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, content as expected")
        if (options.install or options.try_only) and path.suffix == ".whl":
            print(f"{path.name}: installed, {try_out(path)}, indexed and searched")
    return failed


if __name__ == "__main__":
    sys.exit(main())
