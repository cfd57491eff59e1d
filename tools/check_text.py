"""Check the format of text files.

    check_text.py FILE...

A file must end with one newline, have no conflict marker and be at most 1 MB. A line must end with
a line feed alone, without trailing whitespace. In Markdown, two trailing spaces are allowed,
because they are a line break.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 1_000_000
MARKER = re.compile(rb"^(<<<<<<<|>>>>>>>)( |$)", re.MULTILINE)
BLANKS = re.compile(rb"[ \t]+$", re.MULTILINE)


def problems(name: str, content: bytes) -> Iterator[str]:
    """Yield the problems of a file."""
    if len(content) > MAX_BYTES:
        yield f"must be <= {MAX_BYTES:,} bytes, got {len(content):,}"
    if b"\r" in content:
        yield "lines must end with a line feed alone"
    if content and (not content.endswith(b"\n") or content.endswith(b"\n\n")):
        yield "must end with one newline"
    if MARKER.search(content):
        yield "must have no conflict marker"
    for match in BLANKS.finditer(content):
        if not (name.endswith(".md") and match[0] == b"  "):
            line = content.count(b"\n", 0, match.start()) + 1
            yield f"line {line} must not end with whitespace"
            return


def main() -> int:
    failed = False
    for name in sys.argv[1:]:
        for problem in problems(name, Path(name).read_bytes()):
            print(f"{name}: {problem}", file=sys.stderr)
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
