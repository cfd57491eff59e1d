"""The backend `torch` against the CrossEncoder of sentence-transformers. The tests need both."""

from pathlib import Path

import numpy as np
import pytest
from reranker_makers import pair_pieces

from lexpand.errors import ModelError
from lexpand.search import CrossEncoder

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")
# torch, transformers and sentence-transformers issue warnings that depend on their versions.
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def save_classifier(folder: Path, family: str, labels: int = 1) -> Path:
    import transformers
    from transformers import PreTrainedTokenizerFast

    pieces = pair_pieces()
    sizes = {
        "vocab_size": pieces.get_vocab_size(),
        "max_position_embeddings": 66,
        "pad_token_id": 0,
    }
    types = 2 if family == "Bert" else 1
    torch.manual_seed(3)
    config = getattr(transformers, f"{family}Config")(
        **SMALL, **sizes, type_vocab_size=types, num_labels=labels, initializer_range=0.5
    )
    getattr(transformers, f"{family}ForSequenceClassification")(config).save_pretrained(folder)
    names = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP")}
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if types > 1 else [])]
    PreTrainedTokenizerFast(
        tokenizer_object=pieces, model_max_length=64, model_input_names=inputs, **names
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_scores_equal_those_of_sentence_transformers(tmp_path: Path, family: str) -> None:
    folder = save_classifier(tmp_path / "model", family)
    texts = ["turn the printer off", "", "invoices of the month " * 40, "the account"]
    reference = sentence_transformers.CrossEncoder(str(folder), device="cpu", local_files_only=True)
    expected = reference.predict(
        [("how of the", text) for text in texts], activation_fn=torch.nn.Identity()
    )
    found = CrossEncoder.load(folder, backend="torch").score("how of the", texts)
    assert np.ptp(expected) > 1e-2
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_invalid_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must have one label, got 3"):
        CrossEncoder.load(save_classifier(tmp_path / "labels", "Bert", 3), backend="torch")
    folder = save_classifier(tmp_path / "model", "Bert")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="PyTorch cannot load"):
        CrossEncoder.load(folder, backend="torch")
