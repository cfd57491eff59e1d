"""The tokenizer of a checkpoint as transformers reads it: tokenizer.json, and what tokenizer_config.json overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError

# Keys of tokenizer_config.json that transformers sets in a BertNormalizer when it loads one of
# these classes.
_OVERRIDES = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_BERT_CLASSES = ("Bert", "DistilBert", "Electra", "MPNet")
# Classes that put special tokens around a text whatever tokenizer.json has.
_WITH_SPECIAL = (*_BERT_CLASSES, "Roberta", "XLMRoberta")


def read_tokenizer(folder: Path) -> tuple[bytes, list[str]]:
    """The content of tokenizer.json, changed where tokenizer_config.json overrides it; and what was changed.

    Raises:
        ModelError: a file cannot be read, or special tokens would be added by transformers alone.
    """
    path = folder / "tokenizer.json"
    try:
        content = path.read_bytes()
        raw = json.loads(content)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    settings = (
        read_json(folder / "tokenizer_config.json", dict)
        if (folder / "tokenizer_config.json").is_file()
        else {}
    )
    name = str(settings.get("tokenizer_class", "")).removesuffix("Fast").removesuffix("Tokenizer")
    if not isinstance(raw, dict):
        raise ModelError(
            f"{path} must hold an object, got a {type(raw).__name__}: copy the checkpoint again"
        )
    if name in _WITH_SPECIAL and raw.get("post_processor") is None:
        raise ModelError(
            f"{path} has no post_processor, and {settings['tokenizer_class']} of tokenizer_config.json adds special "
            "tokens: write both anew, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    notes = _override(raw, settings) if name in _BERT_CLASSES else []
    return (json.dumps(raw, ensure_ascii=False, indent=2).encode() if notes else content), notes


def _override(raw: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Set what tokenizer_config.json has in the normalizer; a note for each change."""
    normalizer = raw.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return []
    notes = []
    for key, name in _OVERRIDES.items():
        if key in settings and settings[key] != normalizer.get(name):
            notes.append(
                f"tokenizer_config.json has {key} {json.dumps(settings[key])}, and tokenizer.json {name} "
                f"{json.dumps(normalizer.get(name))}: the former is taken, as transformers does"
            )
            normalizer[name] = settings[key]
    return notes
