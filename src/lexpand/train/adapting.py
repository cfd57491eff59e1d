"""Adapt a model to one's own documents without labels, and keep it only if it is better."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lexpand.collection import create
from lexpand.data import Document
from lexpand.data.streams import partial_of, write_lines
from lexpand.encode import Encoder
from lexpand.encode.contract import Contract, QueryMode
from lexpand.encode.folder import add_query_table, find_folder
from lexpand.encode.query_table import QueryTable
from lexpand.errors import DataError, StorageError
from lexpand.models import ImportOptions, blend_models, import_model
from lexpand.train.deciding import Decision, GeneralCollection, Limits, decide, modes_of
from lexpand.train.mining import Mining, ScorePairs, mine
from lexpand.train.pseudo_queries import pseudo_queries
from lexpand.train.recipe import Recipe
from lexpand.train.rows import Row, write_rows
from lexpand.train.run import Progress
from lexpand.train.saving import FACTS, check_new
from lexpand.train.training import train

REPORT = ".report.json"
"""The suffix of the report of a model that was refused; an accepted one has ``adapt.json``."""

HELD_OUT = 400
"""The most held-out queries that decide."""

_FEWEST = 50
_SHARES = (0.8, 0.65, 0.5, 0.35)
"""Shares of the trained weights, the first that passes is taken."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is adapted.

    Attributes:
        recipe: the settings of training; ``base`` is the model that is adapted.
        per_document: the most pseudo queries of a document.
        held_out: the share of documents whose queries decide and are not trained on.
        limits: of the decision.
    """

    recipe: Recipe
    per_document: int = 3
    held_out: float = 0.3
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Adapted:
    """The result of `adapt`.

    Attributes:
        folder: the folder of the new model, which exists if it was accepted.
        decision: the decision.
        share: the share of the trained weights in the model; the rest are the base's.
        documents: the number of documents.
        queries: the number of queries that were trained on.
        seconds: of each stage.
    """

    folder: Path
    decision: Decision
    share: float
    documents: int
    queries: int
    seconds: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        made = {
            "decision": self.decision.to_dict(),
            "folder": str(self.folder),
            "share": self.share,
        }
        counts = {"documents": self.documents, "queries": self.queries}
        return {**made, **counts, "seconds": dict(self.seconds)}


@dataclass(slots=True)
class _Clock:
    """The seconds of each stage."""

    report: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)
    _name: str = ""
    _start: float = 0.0

    def start(self, name: str, text: str) -> None:
        self.stop()
        self._name, self._start = name, time.perf_counter()
        self.report(text)

    def stop(self) -> None:
        if self._name:
            self.seconds[self._name] = round(time.perf_counter() - self._start, 1)
        self._name = ""


def adapt(
    documents: Sequence[Document],
    out: str | Path,
    settings: Settings,
    *,
    pairs: Sequence[Row] = (),
    score: ScorePairs | None = None,
    general: str | Path | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Adapted:
    """Train a model on pseudo queries of documents, and write it if it is better than its base.

    The stages: pseudo queries, hard negatives from an index of the documents, scores of a teacher,
    training, a blend with the base (`blend_models`), a table of query weights for the corpus, and
    the decision of `decide`. An interrupted call continues: training from its last checkpoint, and
    the stages before it again.

    Args:
        documents: the documents, at least 50.
        out: the folder of the new model.
        settings: the recipe and the limits of the decision.
        pairs: rows of the user's own queries with documents; if there are some, no pseudo queries
            are made, and part of the rows decides.
        score: a teacher that scores pairs of query and text.
        general: a collection in BEIR's layout on which the new model must not be worse; by default
            part of the packaged SciFact.
        on_step: called with a line before each stage.
        on_progress: called with the state of training.

    Raises:
        DataError: there are too few documents or queries.
        ModelError, TrainingError, StorageError: see `lexpand.train.training.train`.
    """
    folder, clock = Path(out), _Clock(on_step)
    check_new(folder)
    if len(documents) < _FEWEST:
        raise DataError(
            f"adapting needs at least {_FEWEST} documents, got {len(documents)}: use the model as"
            " it is"
        )
    work = partial_of(folder)
    work.mkdir(parents=True, exist_ok=True)
    base = str(find_folder(settings.recipe.base or "default"))
    clock.start("queries", "splitting the pairs" if pairs else "making pseudo queries")
    rows, held_out = _split(documents, pairs, settings)
    mined = rows
    if settings.recipe.negatives:
        with create(work / "base.index", documents, model=base, exist="replace") as collection:
            clock.start("mining", f"mining hard negatives for {len(rows):,} queries")
            retrievers = [collection.retriever(name) for name in ("bm25", "hybrid")]
            mined = list(mine(rows, retrievers, Mining(settings.recipe.negatives)))
    if score is not None and settings.recipe.negatives:
        clock.start("scoring", "scoring with the teacher")
        mined = _scored(mined, score)
    write_rows(work / "rows.jsonl", mined)
    clock.start("training", f"training {settings.recipe.steps:,} steps")
    trained, recipe = work / "trained" / folder.name, replace(settings.recipe, base=base)
    if not _is_trained(trained, recipe):
        shutil.rmtree(trained, ignore_errors=True)
        train(recipe, [work / "rows.jsonl"], trained, on_progress=on_progress)
    clock.start("blending", "blending with the base")
    broad = GeneralCollection(general)
    candidate, share = _blended(base, trained, broad, settings.limits)
    clock.start("table", "fitting a table of query weights to the documents")
    _add_table(candidate, documents)
    clock.start("deciding", f"comparing with the base on {len(held_out):,} held-out queries")
    decision = decide(base, candidate, documents, held_out, settings.limits, general=broad)
    clock.stop()
    adapted = Adapted(folder, decision, share, len(documents), len(rows), clock.seconds)
    _keep(candidate, folder, adapted)
    return adapted


def _split(
    documents: Sequence[Document], pairs: Sequence[Row], settings: Settings
) -> tuple[list[Row], list[Row]]:
    """Return rows to train on, and held-out rows of other documents with their doc_id."""
    chance = random.Random(settings.recipe.seed)
    ids = {document.full_text: document.doc_id for document in documents} if pairs else {}
    if pairs:
        known = [
            replace(row, fields={**row.fields, "doc_id": ids[row.documents[0]]})
            for row in pairs
            if row.documents[0] in ids
        ]
        groups: dict[str, list[Row]] = {}
        for row in known:
            groups.setdefault(row.query.casefold(), []).append(row)
    else:
        groups = {}
        for each in pseudo_queries(
            documents, per_document=settings.per_document, seed=settings.recipe.seed
        ):
            groups.setdefault(each.doc_id, []).append(each.to_row())
    names = sorted(groups)
    chance.shuffle(names)
    count = max(1, round(settings.held_out * len(names)))
    # One query a document, because the document is indexed without it.
    held_out = [chance.choice(groups[name]) for name in names[:count]]
    rows = [row for name in names[count:] for row in groups[name]]
    rows += [row for row in pairs if row.documents[0] not in ids]
    if len(held_out) < 10 or len(rows) < settings.recipe.batch_size:
        raise DataError(
            f"adapting needs at least 10 held-out queries and {settings.recipe.batch_size} to train"
            f" on, got {len(held_out)} and {len(rows)}: give more documents, or pairs whose"
            " positives are among them"
        )
    chance.shuffle(held_out)
    return rows, held_out[:HELD_OUT]


def _is_trained(candidate: Path, recipe: Recipe) -> bool:
    """Return whether an interrupted call trained this recipe already."""
    path = candidate / FACTS
    if not path.is_file():
        return False
    recorded = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    wanted = recipe.to_dict()
    return all(recorded[key] == value for key, value in wanted.items() if key != "base")


def _blended(
    base: str, trained: Path, general: GeneralCollection, limits: Limits
) -> tuple[Path, float]:
    """Blend the trained model with the base, by the largest share that loses little elsewhere.

    Only the general collection chooses the share, so the held-out queries stay unseen.
    """
    for share in _SHARES:
        made = trained.parent.with_name(f"blend-{share}")
        shutil.rmtree(made, ignore_errors=True)
        blend_models(base, trained, share, made)
        if general.compare(base, made).difference >= -limits.worst_loss:
            break
    for name in (FACTS, "README.md"):
        shutil.copy(trained / name, made / name)
    return made, share


def _scored(rows: Sequence[Row], score: ScorePairs) -> list[Row]:
    scores = score((row.query, text) for row in rows for text in row.documents)
    return [
        replace(row, scores={"": tuple(scores[row.query, text] for text in row.documents)})
        for row in rows
    ]


def _add_table(candidate: Path, documents: Sequence[Document]) -> None:
    """Add the IDF of the corpus as weights of inference-free queries, unless there is a table."""
    if QueryMode.LOOKUP in modes_of(candidate):
        return
    encoder = Encoder.load(candidate)
    table = QueryTable.idf(*encoder.document_frequencies(documents))
    add_query_table(candidate, table.without(sorted(encoder.vocabulary.special)))


def _keep(candidate: Path, folder: Path, adapted: Adapted) -> None:
    """Move an accepted model into place, and remove a refused one. The report stays."""
    report = [json.dumps(adapted.to_dict(), indent=1)]
    if not adapted.decision.accepted:
        write_lines(folder.with_name(folder.name + REPORT), report)
        shutil.rmtree(partial_of(folder), ignore_errors=True)
        return
    if adapted.decision.mode is QueryMode.LOOKUP:
        candidate = _with_table_queries(candidate)
    write_lines(candidate / "adapt.json", report)
    try:
        if folder.exists():
            folder.rmdir()
        candidate.rename(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from error
    shutil.rmtree(partial_of(folder), ignore_errors=True)


def _with_table_queries(candidate: Path) -> Path:
    """Return a folder whose queries are looked up, in sentence-transformers too."""
    made = candidate.with_name("with-table")
    shutil.rmtree(made, ignore_errors=True)
    table = Contract.load(candidate).query_table
    options = ImportOptions(
        name=Contract.load(candidate).name,
        query=None if table is None else candidate / table.file,
        origin=Contract.load(candidate).origin,
    )
    import_model(candidate, made, options)
    for name in (FACTS, "README.md"):
        shutil.copy(candidate / name, made / name)
    return made
