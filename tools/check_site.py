"""Check that a built site loads no external resources.

    check_site.py FOLDER

Links in the text may be external. Scripts, styles, images, fonts and frames must come from the
folder. The script needs only the standard library.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

# Attributes whose URL is fetched when the page is displayed.
FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# Relations of <link> that refer to another page and fetch nothing.
NAMED = {"alternate", "author", "canonical", "edit", "license", "next", "prev", "search"}

# URLs in scripts of the theme, each with the markup on which it is fetched. No page may have it.
CONDITIONAL = {
    "https://unpkg.com/mermaid@": re.compile(r'class="[^"]*\bmermaid\b'),
    "https://api.github.com/": re.compile(r'data-md-component="source"'),
    "https://${": re.compile(r'data-md-component="source"'),
    # Fetched only by browsers from before 2020.
    "https://unpkg.com/resize-observer-polyfill": None,
}
NAMESPACE = "http://www.w3.org/"

EXTERNAL = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s;]+)""", re.IGNORECASE)
IN_SCRIPT = re.compile(r"""["'`](https?://[^"'`\s]+)""", re.IGNORECASE)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._inside = tag
        urls = [values.get(name, "") for name in FETCHED.get(tag, ())]
        if tag == "link" and not set(values.get("rel", "").lower().split()) <= NAMED:
            urls.append(values.get("href", ""))
        if tag == "base":
            urls.append(values.get("href", ""))
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            urls.append(values.get("content", "").lower().partition("url=")[2])
        self.found += [
            f"<{tag}> {url}" for url in urls for part in url.split(",") if EXTERNAL.match(part)
        ]
        self.found += [f"style {url}" for url in IN_STYLE.findall(values.get("style", ""))]

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.found += [f"style {url}" for url in IN_STYLE.findall(data)]
        elif self._inside == "script":
            self.found += [
                f"script {url}" for url in IN_SCRIPT.findall(data) if not url.startswith(NAMESPACE)
            ]


def in_page(text: str) -> list[str]:
    """Return the external resources that a page loads."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.found


def in_script(text: str) -> list[str]:
    """Return the URLs in strings of a script, without those in `CONDITIONAL`."""
    found = IN_SCRIPT.findall(text)
    return [url for url in found if not url.startswith((NAMESPACE, *CONDITIONAL))]


def external(folder: Path) -> Iterator[str]:
    """Yield the external resources that the pages, styles and scripts of a site load."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".css", ".js", ".svg"):
            continue
        text = path.read_text(encoding="utf-8")
        found = in_page(text) if path.suffix in (".html", ".svg") else []
        if path.suffix == ".css":
            found += [f"style {url}" for url in IN_STYLE.findall(text)]
        # The lunr scripts are search dictionaries of other languages, with URLs in their comments.
        if path.suffix == ".js" and "lunr" not in path.parts:
            found += [f"script {url}" for url in in_script(text)]
        if path.suffix == ".html":
            met = [
                url
                for url, condition in CONDITIONAL.items()
                if condition and condition.search(text)
            ]
            found += [f"script {url}" for url in met]
        for what in found:
            yield f"{path.relative_to(folder)}: {what}"


def main() -> int:
    folder = Path(sys.argv[1])
    if not (folder / "index.html").is_file():
        sys.exit(f"{folder} must have an index.html: run `make docs`")
    found = list(external(folder))
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(list(folder.rglob('*.html')))} pages, {len(found)} external resources")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
