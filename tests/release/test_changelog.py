"""The changelog is in the form of Keep a Changelog, and agrees with the version in Cargo.toml."""

import re

import pytest
from release_tools import ROOT, load

changelog = load("changelog")

GOOD = """# Changelog

Words before the first release.

## [Unreleased]

### Added

* A thing.

## [0.2.0] - 2026-02-01

### Changed

- Another thing
  in two lines.

### Security

- A third.

## [0.1.0] - 2026-01-01

### Added

- The first.

[Unreleased]: https://example.com/compare/v0.2.0...HEAD
"""


def test_the_changelog_has_the_form() -> None:
    changelog.parse((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_the_version_in_cargo_is_the_newest_release_or_above_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = changelog.parse(text)[1:]
    current = tuple(int(part) for part in changelog.cargo_version().split("."))
    assert not released or current >= released[0].numbers


def test_a_good_changelog_is_read() -> None:
    unreleased, second, first = changelog.parse(GOOD)
    assert unreleased.date is None and first.date.isoformat() == "2026-01-01"
    assert list(second.kinds) == ["Changed", "Security"]
    assert second.numbers == (0, 2, 0)
    assert first.notes == "### Added\n\n- The first.\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## [Unreleased]\n", "", "must be below a release"),
        ("## [Unreleased]\n", "## Unreleased\n", "line 5: must be '## [Unreleased]'"),
        ("## [0.2.0] - 2026-02-01", "## 0.2.0, unreleased", "line 11: must be"),
        ("## [0.2.0] - 2026-02-01", "## [0.2.0]", "line 11: must be"),
        ("2026-02-01", "2026-02-31", "the date must be a valid YYYY-MM-DD, got 2026-02-31"),
        ("2026-02-01", "2025-02-01", "the date of 0.2.0 must not be before that of 0.1.0"),
        ("[0.2.0]", "[0.0.9]", "0.0.9 must be newer than 0.1.0"),
        ("### Security", "### Performance", "got 'Performance'"),
        ("### Security", "### Changed", "0.2.0 has Changed twice"),
        ("### Added\n\n* A thing.", "* A thing.", "an entry must be below"),
        ("* A thing.", "", "Unreleased: Added must have an entry"),
        ("### Added\n\n- The first.\n", "", "0.1.0 must have a subsection"),
        ("## [0.1.0] - 2026-01-01", "## [Unreleased]", "there must be only one"),
    ],
)
def test_a_broken_changelog_is_refused(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=re.escape(said)):
        changelog.parse(GOOD.replace(old, new, 1))
