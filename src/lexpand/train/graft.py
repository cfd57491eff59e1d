"""Give a transformer without a language model head one in closed form, so that it can be trained.

A sentence encoder such as all-MiniLM-L6-v2 knows more about meaning than a small masked language
model, but its head is gone. The hidden state of a position still determines the token that stands
there, so ridge regression from states to token embeddings is a usable head, and training starts
from it instead of from random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lexpand.errors import DataError, ModelError
from lexpand.models import find_source
from lexpand.train.saving import check_new, save_model
from lexpand.train.student import hush_libraries

_BATCH = 32
_RIDGE = 1e-2
# GELU is the identity from 6 up, within the precision of float32. LayerNorm takes the constant out
# again, and outputs below -6 standard deviations do not occur.
_SPREAD, _SHIFT = 10.0, 66.0
# The mean logit of a position's own token, and the terms of a text that begin above zero.
_OWN, _TERMS = 6.0, 1500
# An added layer adds this much of the mean state of the text to each state.
_MEAN = 0.5
_SEED = 17


def graft(
    body: str | Path,
    texts: Iterable[str],
    folder: str | Path,
    *,
    passages: int = 1280,
    max_tokens: int = 256,
    layers: int = 0,
    on_step: Callable[[str], None] | None = None,
) -> None:
    """Write a SPLADE model folder from a BERT without a language model head.

    With states h and the unit-length embeddings e of the tokens, less their mean, W and b minimize
    sum ||W h + b - e||^2 / sqrt(n) + r ||W||^2 over the positions of the texts, where n is the
    frequency of the token and r is 0.01 times the mean of the weighted squares of h. The logit
    of term j is s e_j . LayerNorm(W h + b) - c_j. The bias c_j puts zero a
    number of standard deviations above the mean of the term over positions, the same number for
    all terms, so that a text begins with 1,500 terms. The scale s gives a position's own token 6,
    the median over tokens. The decoder is tied to the token embeddings, so the body does not grow.

    A sentence encoder has the meaning of a text in the mean of its states, which no position of its
    own has. ``layers`` puts new layers above the body, whose attention begins as this mean: each
    adds half of it to every state. Trained above a body that is frozen (``frozen_layers`` of a
    recipe), they learn to give terms for the whole text, and the body forgets nothing.

    Args:
        body: a folder or a Hub id of a BERT (``model_type`` bert).
        texts: texts of the kind that will be encoded; the first ``passages`` of them are read.
        folder: the new model folder.
        passages: texts for the regression; a tenth of them calibrate scale and bias.
        max_tokens: the longest text, in tokens.
        layers: layers that are added above the body.
        on_step: called with a line before each step.

    Raises:
        DataError: there are fewer than 10 texts.
        ModelError: the body cannot be loaded, is not a BERT, or the folder exists.
        StorageError: the disk refuses.
    """
    from transformers import AutoTokenizer

    report, folder = on_step or (lambda _: None), Path(folder)
    hush_libraries()
    check_new(folder)
    chosen = [text for _, text in zip(range(passages), texts, strict=False)]
    if len(chosen) < 10:
        raise DataError(f"grafting needs at least 10 texts, got {len(chosen)}")
    source = find_source(str(body))
    model = _with_empty_head(source, layers)
    tokenizer = AutoTokenizer.from_pretrained(source)
    report(f"fitting the head to {len(chosen):,} texts")
    states = [_states(model, batch) for batch in _batches(chosen, tokenizer, max_tokens)]
    _fit(model, states)
    report("calibrating")
    _calibrate(model, states[:: max(1, min(10, len(states) // 4))])
    report("writing the model folder")
    name = Path(body).name if Path(body).is_dir() else str(body)

    def write(into: Path) -> None:
        model.save_pretrained(into)
        tokenizer.save_pretrained(into)

    save_model(
        write,
        folder,
        origin=f"head grafted onto {name} by ridge regression on {len(chosen):,} texts",
        facts={
            "kind": "graft",
            "body": name,
            "texts": len(chosen),
            "max_tokens": max_tokens,
            "layers": layers,
        },
    )


def _with_empty_head(body: Path, layers: int) -> Any:  # noqa: ANN401 - a BertForMaskedLM
    """Load the body and new layers under a language model whose head is not fitted yet."""
    from transformers import AutoConfig, AutoModel, BertForMaskedLM

    try:
        config = AutoConfig.from_pretrained(body)
        encoder = AutoModel.from_pretrained(body)
    # The loaders of transformers raise errors of many kinds.
    except Exception as error:
        raise ModelError(f"cannot load {body} as a transformer: {error}") from error
    if config.model_type != "bert":
        raise ModelError(
            f"a head can be grafted onto a BERT, got model_type {config.model_type!r} in {body}"
        )
    config.architectures, config.tie_word_embeddings = ["BertForMaskedLM"], True
    config.num_hidden_layers += layers
    model = BertForMaskedLM(config)
    # The head replaces the pooler, if there is one.
    model.bert.load_state_dict(encoder.state_dict(), strict=False)
    model.tie_weights()
    random = torch.Generator().manual_seed(_SEED)
    for layer in model.bert.encoder.layer[config.num_hidden_layers - layers :]:
        _take_mean(layer, config.initializer_range, random)
    return model.eval()


def _take_mean(layer: Any, deviation: float, random: torch.Generator) -> None:  # noqa: ANN401
    """Let a BertLayer add half of the mean state to each state.

    Small random queries and keys give all positions nearly the same attention, and can learn
    another. The second matrix of the feed-forward part is 0, so that it begins without effect.
    """
    attention = layer.attention
    with torch.no_grad():
        for linear in (attention.self.query, attention.self.key, layer.intermediate.dense):
            linear.weight.normal_(0.0, deviation, generator=random)
            linear.bias.zero_()
        nn.init.eye_(attention.self.value.weight)
        nn.init.eye_(attention.output.dense.weight)
        attention.output.dense.weight.mul_(_MEAN)
        layer.output.dense.weight.zero_()
        for linear in (attention.self.value, attention.output.dense, layer.output.dense):
            linear.bias.zero_()
        for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()


def _batches(texts: Sequence[str], tokenizer: Any, max_tokens: int) -> Iterator[Any]:  # noqa: ANN401
    for first in range(0, len(texts), _BATCH):
        yield tokenizer(
            list(texts[first : first + _BATCH]),
            truncation=True,
            max_length=max_tokens,
            padding=True,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )


def _states(model: Any, batch: Any) -> tuple[Tensor, Tensor, list[int]]:  # noqa: ANN401
    """Return the states [positions, width] of words, their token ids, and positions of each text.

    Padding and special tokens are left out: they stand for no term.
    """
    with torch.no_grad():
        hidden = model.bert(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
    mask = ~batch["special_tokens_mask"].bool()
    return hidden[mask], batch["input_ids"][mask], mask.sum(1).tolist()


def _fit(model: Any, states: Sequence[tuple[Tensor, Tensor, list[int]]]) -> None:  # noqa: ANN401
    """Solve the ridge regression and write it into the transform of the head."""
    embeddings = model.bert.embeddings.word_embeddings.weight.detach().double()
    width, mean = embeddings.shape[1], embeddings.mean(dim=0)
    units = nn.functional.normalize(embeddings - mean, dim=1)
    # A token counts by the square root of its frequency, so that stop words do not decide.
    counts = torch.bincount(torch.cat([ids for _, ids, _ in states]), minlength=len(units))
    left = torch.zeros(width + 1, width + 1, dtype=torch.float64)
    right = torch.zeros(width + 1, width, dtype=torch.float64)
    total = torch.zeros(width + 1, dtype=torch.float64)
    for hidden, ids, _ in states:
        rows = nn.functional.pad(hidden.double(), (0, 1), value=1.0)
        weighted = rows / counts[ids].double().sqrt()[:, None]
        left += weighted.T @ rows
        right += weighted.T @ units[ids]
        total += weighted.sum(0)
    ridge = (_RIDGE * left.diagonal()[:-1].mean()).repeat(width + 1)
    ridge[-1] = 0
    solution = torch.linalg.solve(left + ridge.diag(), right)
    # The mean output, the mean embedding and the mean over dimensions tell no terms apart. They
    # would only add large numbers to the logits.
    solution[-1] -= total @ solution / total[-1]
    shared, _ = torch.linalg.qr(torch.stack([mean, torch.ones_like(mean)], dim=1))
    solution = solution - solution @ shared @ shared.T
    solution *= _SPREAD / (rows @ solution).std()
    transform = model.cls.predictions.transform
    with torch.no_grad():
        transform.dense.weight.copy_(solution[:-1].T.float())
        transform.dense.bias.copy_((solution[-1] + _SHIFT).float())
        transform.LayerNorm.weight.fill_(1.0)
        transform.LayerNorm.bias.zero_()
        model.cls.predictions.bias.zero_()


def _calibrate(model: Any, states: Sequence[tuple[Tensor, Tensor, list[int]]]) -> None:  # noqa: ANN401
    """Set the scale and the biases of the head; see `graft`."""
    decoder = model.bert.embeddings.word_embeddings.weight.detach()
    transform = model.cls.predictions.transform
    with torch.no_grad():
        outputs = [(transform(hidden), ids, counts) for hidden, ids, counts in states]
        mean, deviation = _moments(outputs, decoder)
        # The largest standard score of each term in each text: its quantile gives the number of
        # terms that are above zero.
        highest = [
            ((part @ decoder.T).amax(0) - mean) / deviation
            for rows, _, counts in outputs
            for part in rows.split(counts)
        ]
        rank = len(decoder) - _TERMS
        zero = float(torch.stack([each.kthvalue(rank).values for each in highest]).mean())
        level = mean + zero * deviation
        # Each token counts once, so that stop words do not decide.
        known = torch.cat([ids for _, ids, _ in outputs])
        margins = torch.cat([(rows * decoder[ids]).sum(1) - level[ids] for rows, ids, _ in outputs])
        own = torch.zeros(len(decoder)).index_add_(0, known, margins)
        seen = torch.bincount(known, minlength=len(decoder))
        own = (own / seen)[seen > 0]
        if not own.median() > 0:
            raise ModelError(
                "the states of the body must determine its tokens, and do not: choose another body"
            )
        scale = _OWN / float(own.median())
        transform.LayerNorm.weight.mul_(scale)
        model.cls.predictions.bias.copy_(-scale * level)


def _moments(
    outputs: Sequence[tuple[Tensor, Tensor, list[int]]], decoder: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation [terms] of the logits over positions of other tokens."""
    count = torch.zeros(len(decoder), dtype=torch.float64)
    total, squares = torch.zeros_like(count), torch.zeros_like(count)
    for rows, ids, _ in outputs:
        for part, own in zip(rows.split(512), ids.split(512), strict=True):
            scores = part @ decoder.T
            scores[torch.arange(len(own)), own] = 0.0
            total += scores.sum(0).double()
            squares += scores.square().sum(0).double()
            count += len(part) - torch.bincount(own, minlength=len(decoder))
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(1e-12).sqrt()
    return mean.float(), deviation.float()
