"""Recipes: everything that a training run depends on but its data, as TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lexpand.errors import DataError, SourceError
from lexpand.train.regularizers import Ramp

_FOLDER = Path(__file__).parent / "recipes"
_CHOICES = {
    "activation": ("log1p(relu)", "log1p(log1p(relu))"),
    "pooling": ("max", "sum"),
    "table_init": ("ones", "idf"),
    "table_activation": ("relu", "softplus"),
    "query_regularizer": ("flops", "l1"),
    "document_regularizer": ("flops", "l1", "df_flops"),
    "ramp": tuple(ramp.value for ramp in Ramp),
}


_FROM_1 = (
    "batch_size",
    "accumulation",
    "topics",
    "steps",
    "max_tokens",
    "query_max_tokens",
    "budget_steps",
)
_ABOVE_0 = (
    "learning_rate",
    "logit_scale",
    "temperature",
    "teacher_temperature",
    "batch_temperature",
)
_SHARES = ("warmup", "flops_decay")
_ANY_SIGN = ("logit_shift", "teacher_scale")
"""The other numbers must be 0 or more."""

_EXPECTED = {tuple: "a list of strings", bool: "true or false", int: "a whole number"}
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of a training run.

    Attributes:
        name: of the recipe.
        about: what it takes from its paper, and where it differs.
        base: the model to start from: a folder, the name of a packaged model, or a Hub id; empty
            for the default model.
        lookup: queries are looked up in a table of weights (inference-free).
        table_init: weights of a new query table: ``ones``, or the ``idf`` of the tokens in the
            positives of the data.
        table_activation: the weights of the table are the ``relu`` of its parameters, or their
            ``softplus``, with which a weight never loses its gradient.
        query_base: the base of a separate query encoder, such as a small one; empty for one encoder
            of both. Its vocabulary must be that of the base.
        encode_queries: with ``lookup``, the document encoder learns to encode queries too: a second
            query mode of one model. Each objective counts for both.
        activation: ``log1p(relu)``, or ``log1p(log1p(relu))``.
        pooling: ``max``, or ``sum`` (SPLADE v1).
        logit_shift, logit_scale: the logits of the base become scale * (logit - shift) before
            training; both are folded into its bias and its last LayerNorm.
        info_nce, margin_mse, kl: factors of the objectives; the latter two need teacher scores.
        temperature: of InfoNCE.
        teacher_temperature: of the teacher's distribution in ``kl``.
        teacher_scale: the teacher's scores are multiplied by this.
        batch_teacher: a sentence encoder that scores all documents of a batch: a folder or a Hub id
            of a dense model with the same tokenizer; ``self`` for the base before training; empty
            for none.
        batch_kl: factor of the KL divergence from the batch teacher.
        batch_temperature: of the batch teacher's distribution.
        sparse_teacher: a SPLADE model with the vocabulary of the base (a folder, the name of a
            packaged model, or a Hub id), whose scores are averaged with those of a dense
            ``batch_teacher``; empty for none. The two make different mistakes.
        sparse_share: the share of the sparse teacher in the average; see `mixed_scores`.
        bank_queries: more queries of the data, those nearest to the documents of a batch, that the
            batch teacher judges in each step; needs ``lookup``.
        bank_words: the same of single words of the vocabulary.
        bank_kl: factor of the KL divergence of these queries.
        bank_encoded: as many of the bank's queries of a step are encoded as well, for the second
            query mode; needs ``encode_queries``. Each costs what a query of the batch costs.
        negatives: hard negatives of each query.
        neighbors: batches of similar examples, whose positives are hard negatives of each other.
        topics: groups of ``neighbors`` in a batch, which ``batch_size`` must be a multiple of. With
            several, a query also learns what is far from it.
        query_regularizer: ``flops`` or ``l1``.
        document_regularizer: ``flops``, ``l1``, or ``df_flops``, in which frequent terms cost more.
        flops_decay: of a running mean of the weights of each term, which ``flops`` then takes in
            place of the batch's, such as 0.99; 0 for the batch alone. With ``neighbors``, a batch
            has one topic, and its own mean would cost the terms of the topic most.
        query_lambda, document_lambda: factors of the regularizers after the ramp.
        ramp: ``constant``, ``linear`` or ``quadratic``.
        ramp_steps: steps of the ramp.
        query_terms, document_terms: budgets of terms. An autopilot sets the factor; 0 for none.
        postings: a budget of postings that a query reads, for each document of the index: the FLOPS
            of SPLADE's papers. An autopilot sets the factor of documents, in place of
            ``document_terms``; 0 for none.
        budget_steps: steps in which a budget tightens from what the base has. Expansion that is
            crushed at once does not come back soon.
        position_terms: of the terms that have their largest logit at one position of a text, at
            most this many get a weight, in training and in the model; 0 for all. It is a rule of
            Lexpand's contract: sentence-transformers gives such a model more terms.
        mask_threshold: documents of at most so many terms are not regularized; 0 for none.
        anti_zero: factor of the penalty on empty vectors.
        banned_terms: tokens that no text should have.
        banned_lambda: factor of their penalty.
        expansion_lambda: factor of the weights of terms that a text does not have, which then count
            in no score either: a lexical model, which only weights the words that are there; 0 for
            a model that expands.
        sampled_columns: with ``lookup``, terms that are sampled for the regularizer in each step,
            instead of computing all; 0 for all.
        batch_size: queries of a step, on each device.
        accumulation: batches of an optimizer step.
        cached_texts: texts that are encoded at a time, and again in the backward pass (gradient
            caching), so that a large batch needs the memory of a small one; 0 for all at once.
        gradient_checkpointing: compute the layers again in the backward pass instead of storing
            them.
        lora_rank: train changes of this rank of the transformer's matrices (LoRA), and the head's
            transform and bias; 0 for all weights.
        frozen_layers: the token embeddings and so many of the first layers of the transformer are
            not trained, nor is a decoder that is tied to the embeddings; 0 to train all.
        dropout: whether the base's dropout is on while training. Frozen layers never have it.
        triton: compute the head by a Triton kernel on CUDA. It was not run on a GPU yet.
        bf16: run the transformer in bfloat16.
        steps: optimizer steps.
        learning_rate, warmup: of AdamW, and the share of steps until it is reached.
        table_learning_rate: of the query table.
        max_tokens: documents are cut to so many tokens in training; the model reads longer ones.
        query_max_tokens: the longest query of a new table.
        seed: of all random numbers.
    """

    name: str = "custom"
    about: str = ""
    base: str = ""
    lookup: bool = False
    table_init: str = "ones"
    table_activation: str = "relu"
    query_base: str = ""
    encode_queries: bool = False
    activation: str = "log1p(relu)"
    pooling: str = "max"
    logit_shift: float = 0.0
    logit_scale: float = 1.0
    info_nce: float = 1.0
    margin_mse: float = 0.0
    kl: float = 0.0
    temperature: float = 1.0
    teacher_temperature: float = 1.0
    teacher_scale: float = 1.0
    batch_teacher: str = ""
    batch_kl: float = 0.0
    batch_temperature: float = 0.05
    sparse_teacher: str = ""
    sparse_share: float = 0.3
    bank_queries: int = 0
    bank_words: int = 0
    bank_kl: float = 1.0
    bank_encoded: int = 0
    negatives: int = 0
    neighbors: bool = False
    topics: int = 1
    query_regularizer: str = "flops"
    document_regularizer: str = "flops"
    flops_decay: float = 0.0
    query_lambda: float = 0.0
    document_lambda: float = 0.0
    ramp: Ramp = Ramp.QUADRATIC
    ramp_steps: int = 1000
    query_terms: int = 0
    document_terms: int = 0
    postings: float = 0.0
    budget_steps: int = 100
    position_terms: int = 0
    mask_threshold: int = 0
    anti_zero: float = 0.0
    banned_terms: tuple[str, ...] = ()
    banned_lambda: float = 1.0
    expansion_lambda: float = 0.0
    sampled_columns: int = 0
    batch_size: int = 32
    accumulation: int = 1
    cached_texts: int = 0
    gradient_checkpointing: bool = False
    lora_rank: int = 0
    frozen_layers: int = 0
    dropout: bool = True
    triton: bool = False
    bf16: bool = False
    steps: int = 1000
    learning_rate: float = 2e-5
    table_learning_rate: float = 1e-2
    warmup: float = 0.06
    max_tokens: int = 256
    query_max_tokens: int = 64
    seed: int = 17

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                listed = " or ".join(map(repr, choices))
                raise DataError(f"{name} must be {listed}, got {str(getattr(self, name))!r}")
        object.__setattr__(self, "ramp", Ramp(self.ramp))
        self._check_numbers()
        if self.table_activation == "softplus" and not self.lookup:
            raise DataError("table_activation = 'softplus' needs lookup = true")
        if self.lookup and self.query_base:
            raise DataError("query_base must be empty with lookup = true: queries need no encoder")
        if self.encode_queries and not self.lookup:
            raise DataError(
                "encode_queries needs lookup = true: without a table, queries are encoded anyway"
            )
        if self.position_terms and self.pooling == "sum":
            raise DataError("position_terms needs pooling = 'max': a sum has no position")
        if self.topics > 1 and (not self.neighbors or self.batch_size % self.topics):
            raise DataError(
                "topics needs neighbors = true and a batch_size that is a multiple of it, got"
                f" topics = {self.topics}, neighbors = {str(self.neighbors).lower()} and"
                f" batch_size = {self.batch_size}"
            )
        if self.frozen_layers and self.lora_rank:
            raise DataError(
                "frozen_layers and lora_rank both say what is trained, so one of them must be 0,"
                f" got frozen_layers = {self.frozen_layers} and lora_rank = {self.lora_rank}"
            )
        self._check_objectives()
        self._check_columns()
        self._check_budgets()
        self._check_decay()

    def _check_numbers(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if not math.isfinite(value):
                raise DataError(f"{name} must be a finite number, got {value}")
            if name in _FROM_1 and value < 1:
                raise DataError(f"{name} must be >= 1, got {value}")
            if name in _ABOVE_0 and value <= 0:
                raise DataError(f"{name} must be above 0, got {value}")
            if name in _SHARES and not 0 <= value < 1:
                raise DataError(f"{name} must be from 0 to below 1, got {value}")
            if name not in _ANY_SIGN and value < 0:
                raise DataError(f"{name} must be >= 0, got {value}")
        if self.seed > _LARGEST_SEED:
            raise DataError(f"seed must be at most {_LARGEST_SEED}, got {self.seed}")

    def _check_objectives(self) -> None:
        if not self.info_nce + self.margin_mse + self.kl + self.batch_kl > 0:
            raise DataError("a recipe must have info_nce, margin_mse, kl or batch_kl above 0")
        if self.batch_size == 1 and not self.negatives:
            raise DataError(
                "batch_size must be >= 2, got 1, which leaves a query no text that is not its"
                " answer: raise it, or set negatives"
            )
        if self.distills and not self.negatives:
            raise DataError("margin_mse and kl need negatives >= 1, got 0")
        if bool(self.batch_kl) != bool(self.batch_teacher):
            raise DataError(
                "batch_teacher and batch_kl need each other, got"
                f" batch_teacher = {self.batch_teacher!r} and batch_kl = {self.batch_kl}"
            )
        has_dense_teacher = self.batch_teacher not in ("", "self")
        if self.sparse_teacher and not has_dense_teacher:
            raise DataError(
                "sparse_teacher needs a dense batch_teacher, got batch_teacher ="
                f" {self.batch_teacher!r}"
            )
        if not 0 < self.sparse_share < 1:
            raise DataError(f"sparse_share must be between 0 and 1, got {self.sparse_share}")
        if (self.bank_queries or self.bank_words) and not (self.lookup and has_dense_teacher):
            raise DataError(
                "bank_queries and bank_words need lookup = true and a dense batch_teacher, got"
                f" lookup = {str(self.lookup).lower()} and batch_teacher = {self.batch_teacher!r}"
            )
        if self.bank_encoded > self.bank_queries or (self.bank_encoded and not self.encode_queries):
            raise DataError(
                "bank_encoded must be at most bank_queries and needs encode_queries = true, got"
                f" bank_encoded = {self.bank_encoded}, bank_queries = {self.bank_queries} and"
                f" encode_queries = {str(self.encode_queries).lower()}"
            )
        if self.mask_threshold and self.document_regularizer != "flops":
            raise DataError(
                "mask_threshold needs document_regularizer = 'flops', got"
                f" {self.document_regularizer!r}"
            )

    def _check_budgets(self) -> None:
        if self.postings and self.document_terms:
            raise DataError(
                "postings and document_terms are budgets of one regularizer, so one of them must be"
                f" 0, got postings = {self.postings} and document_terms = {self.document_terms}"
            )

    def _check_decay(self) -> None:
        if self.flops_decay and (self.document_regularizer != "flops" or self.mask_threshold):
            raise DataError(
                "flops_decay needs document_regularizer = 'flops' and mask_threshold = 0, got"
                f" {self.document_regularizer!r} and {self.mask_threshold}"
            )

    def _check_columns(self) -> None:
        """Check that nothing needs the terms that ``sampled_columns`` leaves out."""
        if not self.sampled_columns:
            return
        if not self.lookup:
            raise DataError("sampled_columns needs lookup = true: encoded queries use all terms")
        if (
            self.banned_terms
            or self.anti_zero
            or self.mask_threshold
            or self.position_terms
            or self.document_regularizer == "df_flops"
            or self.batch_teacher == "self"
        ):
            raise DataError(
                "banned_terms, anti_zero, mask_threshold, position_terms, df_flops and"
                " batch_teacher = 'self' need all terms: set sampled_columns = 0"
            )

    @property
    def routes(self) -> bool:
        """Whether queries and documents have modules of their own."""
        return self.lookup or bool(self.query_base)

    @property
    def distills(self) -> bool:
        """Whether an objective needs teacher scores in the data."""
        return bool(self.margin_mse or self.kl)

    @classmethod
    def load(cls, source: str | Path, settings: Iterable[str] = ()) -> Recipe:
        """Load a packaged recipe by its name, or a TOML file.

        Args:
            source: the name or the file. Keys that the file lacks may be in the settings.
            settings: see `with_settings`.

        Raises:
            SourceError: there is no such recipe or file.
            DataError: a key is unknown, or a value is invalid.
        """
        packaged = _FOLDER / f"{source}.toml"
        path = packaged if packaged.is_file() else Path(source)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(
                f"there is no recipe {str(source)!r}: give a TOML file, or one of"
                f" {', '.join(recipe_names())}"
            ) from error
        except ValueError as error:
            raise DataError(f"{path} must be TOML: {error}") from None
        raw.setdefault("name", path.stem)
        values, changed = cls._values(raw, str(path)), cls._settings(settings)
        return cls._made(values | changed, f"{path} with --set" if changed else str(path))

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Return the recipe with ``key=value`` settings, whose values are TOML or plain text.

        Raises:
            DataError: a setting has no ``=``, an unknown key, or an invalid value.
        """
        return self._made(self._values(self.to_dict(), "--set") | self._settings(settings), "--set")

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        listed = list(self.banned_terms)
        return {**asdict(self), "ramp": self.ramp.value, "banned_terms": listed}

    @classmethod
    def _settings(cls, settings: Iterable[str]) -> dict[str, Any]:
        """Return the values of ``key=value`` settings, of the right types."""
        changed: dict[str, Any] = {}
        for setting in settings:
            name, separator, value = setting.partition("=")
            if not separator:
                raise DataError(f"a setting must be key=value, got {setting!r}")
            try:
                changed[name] = tomllib.loads(f"value = {value}")["value"]
            except ValueError:
                changed[name] = value
        return cls._values(changed, "--set")

    @classmethod
    def _values(cls, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return TOML values as the types of the keys, all known."""
        known = {each.name: each for each in fields(cls)}
        unknown = sorted(set(raw) - set(known))
        if unknown:
            raise DataError(
                f"{where}: a recipe has no key {unknown[0]!r}; its keys are"
                f" {', '.join(sorted(known))}"
            )
        values: dict[str, Any] = {}
        for name, value in raw.items():
            default = known[name].default
            kind = type(default)
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if kind is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
                value = tuple(value)
            if not isinstance(value, str if kind is Ramp else kind) or (
                isinstance(value, bool) and kind is not bool
            ):
                expected = _EXPECTED.get(kind, f"of type {kind.__name__}")
                raise DataError(f"{where}: {name} must be {expected}, got {value!r}")
            values[name] = value
        return values

    @classmethod
    def _made(cls, values: Mapping[str, Any], where: str) -> Recipe:
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))
