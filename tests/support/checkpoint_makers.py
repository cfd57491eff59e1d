"""Make small checkpoints with random weights, by hand or with transformers."""

import string
from pathlib import Path
from typing import Any

WORDS = [
    "heart",
    "attack",
    "valve",
    "##s",
    "open",
    "café",
    "the",
    "reset",
    "password",
    "日",
    "本",
    *string.ascii_lowercase,
]
WORDS += (
    [f"##{letter}" for letter in string.ascii_lowercase]
    + list(string.digits)
    + list(".,;:'-()[]=*&/")
)
TEXTS = [
    "heart attack",
    "reset the password; open valves 12",
    "日本 the café",
    "open the valve of the heart (a=b) " * 8,
]


CASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "The", "Login", "login", "LOGIN"]
CASED += ["##s", "##S", "Éclair", "éclair", "(", ")", "reset", "Paris", "[unused1]", "zzz", "ZZZ"]
"""The tokens of `cased_pieces`."""


def word_pieces() -> Any:
    """Return a BERT-like tokenizer over `WORDS`."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokens = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(tokens[:5])
    return tokenizer


def cased_pieces() -> Any:
    """Return a tokenizer as BERT's cased ones."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: place for place, token in enumerate(CASED)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=None)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(CASED[:5])
    return tokenizer


def byte_pieces() -> Any:
    """Return a RoBERTa-like tokenizer: byte-level, ``<s>`` first, padding with id 1."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokens = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        "<mask>",
    ]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", None, [("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*tokens[:4], "<mask>"])
    return tokenizer


BERT_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}
BERT_SPECIAL |= {"mask_token": "[MASK]"}
ROBERTA_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
ROBERTA_SPECIAL |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
# With weights of this size the terms of a vector depend on the text. The usual 0.02 yields no
# terms.
SMALL |= {"initializer_range": 0.3, "max_position_embeddings": 64}


def write_bert(folder: Path, rows: int | None = None, **changes: Any) -> Path:
    """Write a plain folder with a BERT of one layer, without torch.

    Args:
        folder: the folder, which must not exist.
        rows: the rows of embeddings and decoder, if their number is not that of the tokens.
        changes: tensors by name to add or replace, or ``None`` to omit one; ``config`` is merged
            into config.json.
    """
    import json

    import numpy as np
    from safetensors.numpy import save_file

    tokenizer = word_pieces()
    size, width = rows or tokenizer.get_vocab_size(), 8
    config = {
        "model_type": "bert",
        "hidden_size": width,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config |= {
        "max_position_embeddings": 32,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    config |= {"intermediate_size": 12, "type_vocab_size": 2, "vocab_size": size} | changes.pop(
        "config", {}
    )
    layer, head = "bert.encoder.layer.0", "cls.predictions"
    embeddings = "bert.embeddings"
    shapes: dict[str, tuple[int, ...]] = {
        f"{embeddings}.word_embeddings.weight": (size, width),
        f"{embeddings}.position_embeddings.weight": (32, width),
        f"{embeddings}.token_type_embeddings.weight": (2, width),
        f"{head}.bias": (size,),
    }
    linears = {
        f"{layer}.attention.self.{part}": (width, width) for part in ("query", "key", "value")
    }
    linears |= {
        f"{layer}.attention.output.dense": (width, width),
        f"{layer}.intermediate.dense": (12, width),
    }
    linears |= {f"{layer}.output.dense": (width, 12), f"{head}.transform.dense": (width, width)}
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    norms = [embeddings, f"{layer}.attention.output", f"{layer}.output", f"{head}.transform"]
    shapes |= {f"{norm}.LayerNorm.{end}": (width,) for norm in norms for end in ("weight", "bias")}
    random = np.random.default_rng(3)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    tensors = {name: array for name, array in (tensors | changes).items() if array is not None}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "strip_accents": False} | BERT_SPECIAL)
    )
    return folder


def write_with(folder: Path, tokenizer: Any, settings: Any = None, **changes: Any) -> Path:
    """Return the checkpoint of a small BERT with random weights and a tokenizer."""
    import json

    plain = write_bert(folder, rows=tokenizer.get_vocab_size(), **changes)
    tokenizer.save(str(plain / "tokenizer.json"))
    (plain / "tokenizer_config.json").write_text(json.dumps(settings or {}))
    return plain


def make_model(architecture: str, **changes: Any) -> tuple[Any, Any]:
    """Return a masked language model of transformers with random weights, and its tokenizer."""
    import torch
    import transformers
    from transformers import PreTrainedTokenizerFast

    roberta = architecture in ("roberta", "xlm-roberta")
    pieces, special = (byte_pieces(), ROBERTA_SPECIAL) if roberta else (word_pieces(), BERT_SPECIAL)
    size = {"vocab_size": pieces.get_vocab_size(), "pad_token_id": 1 if roberta else 0}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "bert": ("Bert", SMALL),
        "distilbert": (
            "DistilBert",
            {
                "dim": 32,
                "n_layers": 2,
                "n_heads": 2,
                "hidden_dim": 48,
                "max_position_embeddings": 64,
            }
            | {"initializer_range": 0.3},
        ),
        "roberta": ("Roberta", SMALL | {"type_vocab_size": 1, "max_position_embeddings": 66}),
        "xlm-roberta": (
            "XLMRoberta",
            SMALL | {"type_vocab_size": 1, "max_position_embeddings": 66},
        ),
        # local_attention is shorter than the texts, so that attention is local. With four layers,
        # both kinds of layers occur.
        "modernbert": (
            "ModernBert",
            SMALL | {"num_hidden_layers": 4, "local_attention": 8, "norm_eps": 1e-5},
        ),
    }
    prefix, settings = kinds[architecture]
    special_ids = (
        {}
        if roberta
        else {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    )
    torch.manual_seed(7)
    config = getattr(transformers, f"{prefix}Config")(**(settings | size | special_ids | changes))
    model = getattr(transformers, f"{prefix}ForMaskedLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    limit = config.max_position_embeddings - (2 if roberta else 0)
    return model, PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        model_max_length=limit,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def save_model(folder: Path, architecture: str, **changes: Any) -> Path:
    """Save a plain folder of Hugging Face."""
    model, tokenizer = make_model(architecture, **changes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_sparse_encoder(
    folder: Path, plain: Path, pooling: str = "max", activation: str = "relu"
) -> Path:
    """Save a plain folder as the installed sentence-transformers does."""
    load(plain, pooling, activation).save_pretrained(str(folder))
    return folder


def load(plain: Path, pooling: str = "max", activation: str = "relu") -> Any:
    """Load a plain folder as a SparseEncoder of the installed sentence-transformers."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder import models

    transformer = models.MLMTransformer(str(plain))
    head = models.SpladePooling(pooling_strategy=pooling, activation_function=activation)
    return SparseEncoder(modules=[transformer, head], device="cpu", similarity_fn_name="dot")


def vectors(model: Any, texts: list[str], role: str = "document") -> Any:
    """Encode texts one at a time with a SparseEncoder; dense float32 [texts, vocabulary]."""
    import numpy as np

    encode = {"document": model.encode_document, "query": model.encode_query}[role]
    rows = [encode(text, convert_to_sparse_tensor=False, show_progress_bar=False) for text in texts]
    return np.stack([row.cpu().numpy() for row in rows])
