"""Collections with judged queries, indexed by the packaged model with words."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fusion.documents import PLAIN, Weighing, weighed
from lexpand import Encoder, Index, Qrels, Query, Run, ScoredDocument, ingest, read_documents, read_queries
from lexpand.encode import WordAnalyzer
from lexpand.evaluation import evaluate
from lexpand.index import Match

ROOT = Path(__file__).parents[2] / "build" / "bench" / "hybrid"
"""Where indexes are kept from one run to the next."""

_MEASURES = ["nDCG@10", "R@100"]

Rankings = Sequence[Sequence[Match]]


@dataclass
class Collection:
    """Open, with its judged test queries."""

    name: str
    index: Index
    queries: list[Query]
    qrels: Qrels

    @property
    def texts(self) -> list[str]:
        """The queries' texts."""
        return [query.text for query in self.queries]

    def measure(self, rankings: Rankings) -> tuple[float, float]:
        """nDCG@10 and R@100."""
        run = Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches[:100]]
                for query, matches in zip(self.queries, rankings, strict=True)
            }
        )
        found = evaluate(run, self.qrels, _MEASURES)
        return found[_MEASURES[0]], found[_MEASURES[1]]


def opened(folder: Path, encoder: Encoder, weighing: Weighing = PLAIN) -> Collection:
    """A collection, indexed if it is not yet."""
    ROOT.mkdir(parents=True, exist_ok=True)
    path = ROOT / f"{folder.name}-{encoder.space.model.hash[:12]}.index"
    if not Index.exists(path):
        # Under another name until it is whole: a run that was ended must not leave half a collection to the next.
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with Index.create(unfinished, encoder.space, words=WordAnalyzer("english")) as index:
            ingest(index, encoder, read_documents(folder))
        unfinished.rename(path)
    plain = folder / "qrels" / "test.tsv"
    qrels = Qrels.read(plain if plain.is_file() else plain.with_suffix(".tsv.gz"))
    judged = set(qrels.judgements)
    queries = [query for query in read_queries(folder) if query.query_id in judged]
    return Collection(folder.name, Index.open(weighed(path, weighing, encoder)), queries, qrels)
