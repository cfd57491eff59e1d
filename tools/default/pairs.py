"""Write the training pairs of the default model: rows of {"query", "positive"}.

    pairs.py DATA OUT.jsonl.gz [--limit N]

DATA has a folder for each source with ``pairs.jsonl.gz`` (``query``, ``title``, ``text``) in
``train/``, or a folder in BEIR's layout, and the test collections (``qrels/test.tsv``). Only
sources whose license permits a released model are read. A row that shares 13 words in a row or a
whole query with a test collection is left out, and so are the ids in a source's ``overlap.txt``.

Some queries are written as people type them: lower case, without punctuation, with a word left
out or a letter wrong. The same arguments write the same file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lexpand.data import read_documents, read_judged, read_queries
from lexpand.data.readers.beir import find_corpus, find_judgments, find_queries
from lexpand.data.streams import write_lines
from lexpand.errors import RowError
from lexpand.experiments.contamination import CollectionTexts, search_rows

SOURCES = {
    "aws": 7000,
    "covid": 2000,
    "factbook": 2500,
    "fcc-guide": 4000,
    "gnome-help": 1000,
    "intents": 12500,
    "jargon": 2500,
    "libreoffice-help": 5000,
    "medquad": 9000,
    "misc-guides": 3000,
    "ms-admin": 14000,
    "ms-admin2": 2600,
    "ms-dynamics": 7000,
    "ms-powershell": 2000,
    "ms-support": 17000,
    "ms-windows-cmdlets": 1500,
    "openstax": 16000,
    "openstax2": 4000,
    "perl-doc": 2500,
    "privacyguides": 3000,
    "pubmedqa-l": 1000,
    "python-doc": 3000,
    "recipes": 800,
    "rocky": 2500,
    "squad-sentences-nqg": 22500,
    "stackexchange": 7500,
    "tldr": 6000,
    "usgov": 11000,
    "wordnet": 12000,
    "xquad": 1200,
}
"""The rows of each source that are used at most: many of a large source are alike."""

PLAIN = 0.6
"""The share of queries that stay as they are."""

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "``": '"', "''": '"'}
_SEED = 17
_FEWEST_WORDS = 5

Pair = tuple[str, str, str]
"""Query, title, text."""


def main() -> None:
    """Write the pairs, and print how many there are of each source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, help="rows of each source at most, for a trial")
    arguments = parser.parse_args()
    tests = held_out(arguments.data)
    texts = [_collection(folder) for folder in tests]
    rows: list[tuple[str, str, str]] = []
    for name, most in SOURCES.items():
        rows += _rows(arguments.data, name, min(most, arguments.limit or most))
    kept, lost, counts = [], 0, Counter[str]()
    chance = random.Random(_SEED)
    # The queries as they are in the source: a query with a typo would hide that it is a test query.
    places = ((f"{name}:{i}", [text], query) for i, (name, query, text) in enumerate(rows))
    for (name, query, text), hits in zip(rows, search_rows(places, texts), strict=True):
        typed = _as_typed(query, chance)
        if hits:
            lost += 1
        else:
            counts[name] += 1
            kept.append(json.dumps({"query": typed, "positive": text}, ensure_ascii=False))
    chance.shuffle(kept)
    write_lines(arguments.out, kept)
    for name, count in counts.items():
        print(f"{count:8,}  {name}")
    named = ", ".join(folder.name for folder in tests)
    print(f"{len(kept):8,}  in all, without {lost} that share text with {named or 'no collection'}")


def held_out(data: Path) -> list[Path]:
    """Return the folders in BEIR's layout that are not sources: none of them may be trained on."""
    found = [each for each in sorted(data.iterdir()) if each.is_dir() and find_corpus(each)]
    return [each for each in found if each.name not in SOURCES]


def _collection(folder: Path) -> CollectionTexts:
    return CollectionTexts(
        read_documents(folder, on_bad_row=_ignore),
        read_queries(find_queries(folder) or folder, on_bad_row=_ignore),
        name=folder.name,
    )


def _ignore(_: RowError) -> None:
    """A row that cannot be read is not searched for."""


def _rows(data: Path, name: str, most: int) -> list[tuple[str, str, str]]:
    """Return name, query and text of a source's rows, in an order with a seed."""
    chance = random.Random(f"{_SEED}-{name}")
    folder = data / "train" / name
    pairs = list(_pairs(folder) if folder.is_dir() else _judged(data / name))
    chance.shuffle(pairs)
    rows = []
    for query, title, text in pairs:
        if len(rows) == most:
            break
        if not query.strip() or len(text.split()) < _FEWEST_WORDS:
            continue
        rows.append((name, query, _passage(query, title, text)))
    return rows


def _pairs(folder: Path) -> Iterator[Pair]:
    with gzip.open(folder / "pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["query"], row["title"], row["text"]


def _judged(folder: Path) -> Iterator[Pair]:
    """Yield the relevant pairs of all judgments of a BEIR folder, less its overlap."""
    if find_corpus(folder) is None:
        sys.exit(f"{folder} must be a folder in BEIR's layout: it has no corpus")
    overlap = folder / "overlap.txt"
    left_out = set(overlap.read_text(encoding="utf-8").split()) if overlap.is_file() else set()
    documents = {each.doc_id: each for each in read_documents(folder, on_bad_row=_ignore)}
    for split in ("train", "dev", "test"):
        if find_judgments(folder, split) is None:
            continue
        judged = read_judged(folder, split=split, on_bad_row=_ignore)
        for query in judged.queries:
            for doc_id, grade in judged.qrels.judgments.get(query.query_id, {}).items():
                if grade > 0 and not {query.query_id, doc_id} & left_out and doc_id in documents:
                    document = documents[doc_id]
                    yield _brackets(query.text), document.title or "", _brackets(document.text)


def _brackets(text: str) -> str:
    """Write the tokens of the Penn Treebank as the characters that they stand for."""
    return " ".join(_BRACKETS.get(word, word) for word in text.split())


def _passage(query: str, title: str, text: str) -> str:
    """Put the title before the text, unless it repeats most of the query."""
    words = set(re.findall(r"\w+", query.lower()))
    shared = words & set(re.findall(r"\w+", title.lower()))
    return text if not title or 2 * len(shared) > len(words) else f"{title}\n{text}"


def _as_typed(query: str, chance: random.Random) -> str:
    """Return the query, or one with the haste of people who type it."""
    if chance.random() < PLAIN:
        return query
    words = re.sub(r"[^\w\s.@/+#-]", "", query.lower()).split()
    if len(words) > 3 and chance.random() < 0.5:
        del words[chance.randrange(len(words))]
    if words and chance.random() < 0.25:
        place = chance.randrange(len(words))
        if len(words[place]) > 4 and words[place].isalpha():
            words[place] = _with_typo(words[place], chance)
    return " ".join(words) or query


def _with_typo(word: str, chance: random.Random) -> str:
    """Return the word with two letters exchanged, one left out, or one doubled."""
    place = chance.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    return chance.choice(
        [before + after[0] + letter + after[1:], before + after, before + 2 * letter + after]
    )


if __name__ == "__main__":
    main()
