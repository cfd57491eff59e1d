"""Which of many phrases does a text have?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

_RUN = re.compile(r"\w+")
# A pinned id is no part of a longer one: `ERR-4` is not found in `ERR-4-2`, nor `1.2` in `1.2.3`.
_BEFORE, _AFTER = r"(?<!\w)(?<!\w[-.])", r"(?!\w)(?![-.]\w)"


class Phrases:
    """Phrases that are looked for in texts, in the spelling that the tokenizer's normalizer gives, in lower case.

    A phrase is found where no letter, digit or underscore stands beside it; spaces in it stand for
    any white space.

    Args:
        phrases: each with a letter or a digit.
        normalize: the tokenizer's normalizer.
        whole_ids: they are ids: one that is joined to more by a hyphen or a dot is another id.
    """

    def __init__(
        self, phrases: Sequence[str], normalize: Callable[[str], str], *, whole_ids: bool = False
    ) -> None:
        self._normalize = normalize
        before, after = (_BEFORE, _AFTER) if whole_ids else (r"(?<!\w)", r"(?!\w)")
        # By a phrase's first run of letters, which is one of the text's too: few are then looked
        # for.
        self._by_run: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
        for number, phrase in enumerate(phrases):
            spelled = self._spelled(phrase).strip()
            body = r"\s+".join(map(re.escape, spelled.split()))
            pattern = re.compile(before + body + after)
            run = _RUN.search(spelled)
            if run is not None:
                self._by_run.setdefault(run[0], []).append((number, pattern))

    def found_in(self, text: str) -> list[int]:
        """The numbers of the phrases that the text has, ascending."""
        if not self._by_run:
            return []
        spelled = self._spelled(text)
        runs = self._by_run.keys() & set(_RUN.findall(spelled))
        return sorted(
            number
            for run in runs
            for number, pattern in self._by_run[run]
            if pattern.search(spelled) is not None
        )

    def _spelled(self, text: str) -> str:
        return unicodedata.normalize("NFKC", self._normalize(text)).lower()
