"""Find phrases in texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

_RUN = re.compile(r"\w+")
# A pinned id does not match within a longer id: `ERR-4` is not in `ERR-4-2`, nor `1.2` in `1.2.3`.
_BEFORE, _AFTER = r"(?<!\w)(?<!\w[-.])", r"(?!\w)(?![-.]\w)"


class Phrases:
    """A set of phrases to find in texts.

    Phrases and texts are compared after the normalizer of the tokenizer, NFKC and lower-casing. A
    phrase matches only if no letter, digit or underscore is next to it. Spaces in it match any
    white space.

    Args:
        phrases: the phrases, each with a letter or a digit.
        normalize: the normalizer of the tokenizer.
        whole_ids: whether the phrases are ids. An id does not match if a hyphen or a dot joins it
            to more characters.
    """

    def __init__(
        self, phrases: Sequence[str], normalize: Callable[[str], str], *, whole_ids: bool = False
    ) -> None:
        self._normalize = normalize
        before, after = (_BEFORE, _AFTER) if whole_ids else (r"(?<!\w)", r"(?!\w)")
        # Patterns by the first run of letters of their phrase. A text that contains the phrase also
        # has this run, so few patterns have to be searched.
        self._by_run: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
        for number, phrase in enumerate(phrases):
            normalized = self._normalized(phrase).strip()
            body = r"\s+".join(map(re.escape, normalized.split()))
            pattern = re.compile(before + body + after)
            run = _RUN.search(normalized)
            if run is not None:
                self._by_run.setdefault(run[0], []).append((number, pattern))

    def found_in(self, text: str) -> list[int]:
        """Return the indices of the phrases that the text contains, ascending."""
        if not self._by_run:
            return []
        normalized = self._normalized(text)
        runs = self._by_run.keys() & set(_RUN.findall(normalized))
        return sorted(
            number
            for run in runs
            for number, pattern in self._by_run[run]
            if pattern.search(normalized) is not None
        )

    def _normalized(self, text: str) -> str:
        return unicodedata.normalize("NFKC", self._normalize(text)).lower()
