"""Read tokenizer.json with the overrides of tokenizer_config.json, as transformers does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError

SETTINGS = "tokenizer_config.json"
"""The file of transformers' settings beside tokenizer.json."""

# The keys of tokenizer_config.json that override a BertNormalizer, with its own names for them and
# the values that the classes below take without a key. transformers applies them while loading.
OVERRIDES: dict[str, tuple[str, bool | None]] = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}
_BERT_CLASSES = ("Bert", "DistilBert", "Electra", "MPNet")
# The classes that add special tokens to a text even if tokenizer.json does not.
_WITH_SPECIAL = (*_BERT_CLASSES, "Roberta", "XLMRoberta")


def read_tokenizer(folder: Path) -> tuple[bytes, list[str]]:
    """Return the content of tokenizer.json with overrides applied, and notes about the changes.

    Raises:
        ModelError: a file cannot be read, or transformers would add special tokens that
            tokenizer.json lacks.
    """
    path = folder / "tokenizer.json"
    try:
        content = path.read_bytes()
        raw = json.loads(content)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): copy the checkpoint again") from error
    config = folder / SETTINGS
    settings = read_json(config, dict) if config.is_file() else {}
    name = str(settings.get("tokenizer_class", "")).removesuffix("Fast").removesuffix("Tokenizer")
    if not isinstance(raw, dict):
        raise ModelError(
            f"{path} must hold an object, got a {type(raw).__name__}: copy the checkpoint again"
        )
    if name in _WITH_SPECIAL and raw.get("post_processor") is None:
        raise ModelError(
            f"{path} must have a post_processor, because {settings['tokenizer_class']} in "
            "tokenizer_config.json adds special tokens: write both files again with "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    notes = _override(raw, settings) if name in _BERT_CLASSES else []
    return (json.dumps(raw, ensure_ascii=False, indent=2).encode() if notes else content), notes


def _override(raw: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Apply tokenizer_config.json to the normalizer in place, and return a note for each change."""
    normalizer = raw.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return []
    notes = []
    for key, (name, usual) in OVERRIDES.items():
        value = settings.get(key, usual)
        if value != normalizer.get(name):
            has = f"has {key} {json.dumps(value)}"
            if key not in settings:
                has = f"has no {key}, which then is {json.dumps(value)} for its tokenizer_class"
            notes.append(
                f"tokenizer_config.json {has}, but tokenizer.json "
                f"has {name} {json.dumps(normalizer.get(name))}: "
                "tokenizer_config.json takes precedence, as in transformers"
            )
            normalizer[name] = value
    return notes
