"""The pipelines that tuning tries, and their kinds, which have about the same latency each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from lexpand.search import Feedback, Fusion, Pipeline
from lexpand.search.parts import Part, Rerank, Splade, Words
from lexpand.search.pipeline import NAMED

_IDF = (0.0, 0.25, 0.5, 1.0)
_BM25 = ((1.2, 0.75), (0.9, 0.4), (2.0, 0.75))
_MORE_BM25 = (*_BM25, (1.2, 0.4))

# Fusion by `bound` is left out: each new term of a query costs a search, which would not be seen in
# latencies of queries that were searched before. Its quality is that of `expected`.
_FUSIONS = tuple(fusion for fusion in Fusion if fusion is not Fusion.BOUND)
_WEIGHTS = (0.1, 0.3, 0.5, 0.7, 0.9)
_EVEN_WEIGHTS = (0.3, 0.5, 0.7)

# Fusion by z-scores with feedback loses queries for identifiers (docs/benchmarks.md).
_FEEDBACK_FUSIONS = (Fusion.EXPECTED, Fusion.MAXIMUM)
_FEEDBACK_IDF = (0.0, 0.5)
_FEEDBACK = (
    Feedback(5, 50, 0.3, words=True),
    Feedback(5, 50, 0.5, words=True),
    Feedback(3, 20, 0.2, words=True),
    Feedback(5, 50, 0.3),
)

_EFFORTS = (0.5, 0.25)
_PRUNING = ("mass=0.9", "mass=0.7")

DEPTHS = (10, 20, 50, 100)
"""The numbers of documents to rerank."""

_SPLADE, _WORDS = Splade(), Words()
_EXACT = max(part.exact for part in NAMED["hybrid"].parts if isinstance(part, Words))


def candidates(
    default: Pipeline,
    *,
    words: bool = True,
    rerank: Rerank | None = None,
    depths: Sequence[int] = DEPTHS,
) -> list[Pipeline]:
    """Return the pipelines to try, each once: the default first, then simpler ones first.

    The list does not depend on any judgment, so that a test of the choice can repeat it exactly.

    Args:
        default: the pipeline in use.
        words: whether the index has a BM25 field.
        rerank: the reranker, of which ``depth`` is not used; None for no reranking.
        depths: the numbers of documents to rerank.
    """
    named = [each for each in NAMED.values() if words or _is_without_words(each)]
    plain = [*_alone(words), *(_hybrids() if words else ())]
    found = [default, *named, *plain, *_with_feedback(words), *_faster(words)]
    if rerank is not None:
        bases = dict.fromkeys([replace(default, rerank=None), NAMED["best" if words else "splade"]])
        found += [
            replace(base, rerank=replace(rerank, depth=depth))
            for base, depth in product(bases, depths)
        ]
    distinct: dict[Pipeline, Pipeline] = {}
    for each in found:
        distinct.setdefault(_with_shares(each), each)
    return list(distinct.values())


def _is_without_words(pipeline: Pipeline) -> bool:
    return not any(isinstance(part, Words) for part in pipeline.parts)


def _with_shares(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with weights that sum to 1, which ranks in the same way."""
    total = sum(part.weight for part in pipeline.parts)
    parts = tuple(replace(part, weight=round(part.weight / total, 9)) for part in pipeline.parts)
    return replace(pipeline, parts=parts)


def _alone(words: bool) -> Iterator[Pipeline]:
    """Yield the pipelines with one part and without feedback."""
    for idf in _IDF:
        yield Pipeline((Splade(idf=idf),))
    for k1, b in _MORE_BM25 if words else ():
        yield Pipeline((Words(k1=k1, b=b),))


def _hybrids() -> Iterator[Pipeline]:
    """Yield every fusion with several weights, then other settings of both parts."""
    for fusion, weight in product(_FUSIONS, _WEIGHTS):
        yield _hybrid(weight, fusion)
    for weight, idf, (k1, b) in product(_EVEN_WEIGHTS, _IDF, _BM25):
        yield _hybrid(weight, Fusion.EXPECTED, Splade(idf=idf), Words(k1=k1, b=b))


def _with_feedback(words: bool) -> Iterator[Pipeline]:
    if not words:
        for idf, feedback in product(_FEEDBACK_IDF, _FEEDBACK):
            if not feedback.words:
                yield Pipeline((Splade(idf=idf),), feedback=feedback)
        return
    for fusion, weight, idf in product(_FEEDBACK_FUSIONS, _EVEN_WEIGHTS, _FEEDBACK_IDF):
        for feedback in _FEEDBACK:
            yield replace(_hybrid(weight, fusion, Splade(idf=idf)), feedback=feedback)


def _faster(words: bool) -> Iterator[Pipeline]:
    """Yield pipelines that search the vectors approximately or with fewer terms of the query."""
    parts = [
        *(Splade(effort=each) for each in _EFFORTS),
        *(Splade(prune=each) for each in _PRUNING),
    ]
    for part in parts:
        yield Pipeline((part,))
    for weight, part in product(_EVEN_WEIGHTS if words else (), parts):
        yield _hybrid(weight, Fusion.EXPECTED, part)


def _hybrid(
    weight: float, fusion: Fusion, vectors: Splade = _SPLADE, words: Words = _WORDS
) -> Pipeline:
    """Return a hybrid with a weight of the vectors."""
    parts = (
        replace(vectors, weight=weight),
        replace(words, weight=round(1 - weight, 9), exact=_EXACT),
    )
    return Pipeline(parts, fusion)


def is_approximate(pipeline: Pipeline) -> bool:
    """Whether a pipeline trades quality for speed by ``effort`` or ``prune``."""
    return any(
        isinstance(part, Splade) and (part.effort < 1 or part.prune) for part in pipeline.parts
    )


def kind_of(pipeline: Pipeline) -> str:
    """Return the kind of a pipeline: what decides its latency, such as ``hybrid, feedback``."""
    fields = [_FIELDS[type(part)] for part in pipeline.parts]
    names = [fields[0] if len(fields) == 1 else "hybrid"]
    for part in pipeline.parts:
        if isinstance(part, Splade) and part.effort < 1:
            names.append(f"effort {part.effort:g}")
        if isinstance(part, Splade) and part.prune:
            names.append(f"prune {part.prune}")
    if pipeline.feedback is not None:
        names.append("feedback with words" if pipeline.feedback.words else "feedback")
    if pipeline.rerank is not None:
        names.append(f"rerank {pipeline.rerank.depth}")
    return ", ".join(names)


def expected_cost(pipeline: Pipeline) -> tuple[float, ...]:
    """Return a key that orders pipelines from fast to slow, without measuring them."""
    feedback = pipeline.feedback
    return (
        0 if pipeline.rerank is None else pipeline.rerank.depth,
        0 if feedback is None else 1 + feedback.words,
        len(pipeline.parts),
        pipeline.needs_model,
        not is_approximate(pipeline),
    )


def described(pipeline: Pipeline) -> str:
    """Return a pipeline in one line, such as ``0.3 splade (idf 0.5) + 0.7 bm25 by max``."""
    total = sum(part.weight for part in pipeline.parts)
    parts = [
        _part(part, part.weight / total if len(pipeline.parts) > 1 else None)
        for part in pipeline.parts
    ]
    text = " + ".join(parts)
    if len(parts) > 1:
        text += f" by {pipeline.fusion}"
    if (feedback := pipeline.feedback) is not None:
        text += (
            f", feedback {feedback.documents} documents, {feedback.terms} terms,"
            f" weight {feedback.weight:g}{', words' if feedback.words else ''}"
        )
    return text if pipeline.rerank is None else f"{text}, rerank {pipeline.rerank.depth}"


def _part(part: Part, share: float | None) -> str:
    plain = type(part)()
    settings = [
        f"{name} {value}"
        for name in ("effort", "idf", "prune", "k1", "b")
        if (value := getattr(part, name, None)) != getattr(plain, name, None)
    ]
    name = _FIELDS[type(part)] if share is None else f"{share:g} {_FIELDS[type(part)]}"
    return f"{name} ({', '.join(settings)})" if settings else name


_FIELDS: dict[type[Part], str] = {Splade: "splade", Words: "bm25"}
