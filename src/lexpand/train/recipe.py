"""Recipes: everything that a training run depends on but its data, as TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lexpand.errors import DataError, SourceError
from lexpand.train.regularizers import Ramp

_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of a training run.

    Attributes:
        name: of the recipe.
        about: what it takes from its paper, and where it differs.
        base: the model to start from: a folder or a Hub id.
        lookup: queries are looked up in a table of weights (inference-free).
        activation: ``log1p(relu)``, or ``log1p(log1p(relu))``.
        info_nce, margin_mse, kl: factors of the objectives; the latter two need teacher scores.
        temperature: of InfoNCE.
        teacher_temperature: of the teacher's distribution in ``kl``.
        teacher_scale: the teacher's scores are multiplied by this.
        negatives: hard negatives of each query.
        query_regularizer: ``flops`` or ``l1``.
        query_lambda, document_lambda: factors of the regularizers after the ramp.
        ramp: ``constant``, ``linear`` or ``quadratic``.
        ramp_steps: steps of the ramp.
        query_terms, document_terms: budgets of terms. An autopilot sets the factor; 0 for none.
        mask_threshold: documents of at most so many terms are not regularized; 0 for none.
        anti_zero: factor of the penalty on empty vectors.
        sampled_columns: with ``lookup``, terms that are sampled for the regularizer in each step,
            instead of computing all; 0 for all.
        batch_size: queries of a step, on each device.
        accumulation: batches of an optimizer step.
        steps: optimizer steps.
        learning_rate, warmup: of AdamW, and the share of steps until it is reached.
        table_learning_rate: of the query table.
        max_tokens, query_max_tokens: of a document and of a query.
        seed: of all random numbers.
    """

    name: str = "custom"
    about: str = ""
    base: str = ""
    lookup: bool = False
    activation: str = "log1p(relu)"
    info_nce: float = 1.0
    margin_mse: float = 0.0
    kl: float = 0.0
    temperature: float = 1.0
    teacher_temperature: float = 1.0
    teacher_scale: float = 1.0
    negatives: int = 0
    query_regularizer: str = "flops"
    query_lambda: float = 0.0
    document_lambda: float = 0.0
    ramp: Ramp = Ramp.QUADRATIC
    ramp_steps: int = 1000
    query_terms: int = 0
    document_terms: int = 0
    mask_threshold: int = 0
    anti_zero: float = 0.0
    sampled_columns: int = 0
    batch_size: int = 32
    accumulation: int = 1
    steps: int = 1000
    learning_rate: float = 2e-5
    table_learning_rate: float = 1e-2
    warmup: float = 0.06
    max_tokens: int = 256
    query_max_tokens: int = 64
    seed: int = 17

    def __post_init__(self) -> None:
        object.__setattr__(self, "ramp", Ramp(self.ramp))
        for name in ("batch_size", "accumulation", "steps", "max_tokens", "query_max_tokens"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.info_nce + self.margin_mse + self.kl > 0:
            raise DataError("a recipe must have info_nce, margin_mse or kl above 0")
        if (self.margin_mse or self.kl) and not self.negatives:
            raise DataError("margin_mse and kl need negatives >= 1, got 0")
        if self.activation not in ("log1p(relu)", "log1p(log1p(relu))"):
            raise DataError(
                f"activation must be 'log1p(relu)' or 'log1p(log1p(relu))', got {self.activation!r}"
            )
        if self.query_regularizer not in ("flops", "l1"):
            raise DataError(
                f"query_regularizer must be 'flops' or 'l1', got {self.query_regularizer!r}"
            )
        if self.sampled_columns and not self.lookup:
            raise DataError("sampled_columns needs lookup = true: encoded queries use all terms")

    @classmethod
    def load(cls, source: str | Path) -> Recipe:
        """Load a packaged recipe by its name, or a TOML file.

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
        return cls._checked(raw, str(path))

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Return the recipe with ``key=value`` settings, whose values are TOML or plain text.

        Raises:
            DataError: a setting has no ``=``, an unknown key, or an invalid value.
        """
        changed: dict[str, Any] = {}
        for setting in settings:
            name, separator, value = setting.partition("=")
            if not separator:
                raise DataError(f"a setting must be key=value, got {setting!r}")
            try:
                changed[name] = tomllib.loads(f"value = {value}")["value"]
            except ValueError:
                changed[name] = value
        return self._checked(asdict(self) | changed, "--set")

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return {**asdict(self), "ramp": self.ramp.value}

    @classmethod
    def _checked(cls, raw: Mapping[str, Any], where: str) -> Recipe:
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
            if not isinstance(value, str if kind is Ramp else kind) or (
                isinstance(value, bool) and kind is not bool
            ):
                raise DataError(f"{where}: {name} must be of type {kind.__name__}, got {value!r}")
            values[name] = value
        try:
            return cls(**values)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None

    def replace(self, **values: Any) -> Recipe:  # noqa: ANN401 - of any key
        """Return the recipe with other values."""
        return replace(self, **values)


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))
