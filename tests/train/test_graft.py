"""Grafted heads: a transformer without a head becomes a model that knows its own tokens."""

import json
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("default")

from lexpand import Encoder, Role, read_documents  # noqa: E402
from lexpand.data.collections import collection_path  # noqa: E402
from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import DataError, ModelError  # noqa: E402
from lexpand.train.graft import graft  # noqa: E402

TEXTS = [each.full_text for each in islice(read_documents(collection_path("scifact")), 96)]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The transformer of the packaged model, without its head."""
    folder = tmp_path_factory.mktemp("body")
    model = transformers.BertForMaskedLM.from_pretrained(find_folder("default"))
    model.bert.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(find_folder("default") / name, folder)
    return folder


def test_the_own_tokens_of_a_text_are_its_strongest_terms(body: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    graft(body, TEXTS, tmp_path / "m", max_tokens=96, on_step=steps.append)
    encoder = Encoder.load(tmp_path / "m")
    texts = ["gene expression in cancer cells", "the vaccine reduces infection"]
    vectors = encoder.encode(texts, Role.DOCUMENT).vectors.to_dense()
    for text, weights in zip(texts, vectors, strict=True):
        best = {encoder.vocabulary.term(int(term)) for term in np.argsort(-weights)[:40]}
        words = [word for word in text.split() if word in encoder.vocabulary and len(word) > 3]
        assert len(best & set(words)) >= len(words) / 2
    terms = (vectors > 0).sum(axis=1)
    assert 50 < terms.mean() < 6000
    facts = json.loads((tmp_path / "m" / "training.json").read_text(encoding="utf-8"))
    assert (facts["kind"], facts["texts"]) == ("graft", 96)
    assert steps == ["fitting the head to 96 texts", "calibrating", "writing the model folder"]


def test_added_layers_begin_as_the_mean_of_the_states(body: Path, tmp_path: Path) -> None:
    graft(body, TEXTS, tmp_path / "m", max_tokens=48, layers=1)
    grafted = transformers.BertForMaskedLM.from_pretrained(tmp_path / "m").eval()
    before = transformers.AutoModel.from_pretrained(body).eval()
    assert grafted.config.num_hidden_layers == before.config.num_hidden_layers + 1
    tokenizer = transformers.AutoTokenizer.from_pretrained(body)
    batch = tokenizer(TEXTS[:2], truncation=True, max_length=24, return_tensors="pt")
    with torch.no_grad():
        states = before(**batch).last_hidden_state
        found = grafted.bert(**batch).last_hidden_state
    expected = states + states.mean(dim=1, keepdim=True) / 2
    expected = torch.nn.functional.layer_norm(expected, expected.shape[-1:])
    # The attention is nearly uniform, because queries and keys are small.
    assert torch.allclose(found, expected, atol=0.1)
    assert not torch.allclose(found, torch.nn.functional.layer_norm(states, states.shape[-1:]))
    graft(body, TEXTS, tmp_path / "again", max_tokens=48, layers=1)
    weights = [(tmp_path / each / "model.safetensors").read_bytes() for each in ("m", "again")]
    assert weights[0] == weights[1]
    encoder = Encoder.load(tmp_path / "m")
    vector = encoder.encode(["the vaccine reduces infection"], Role.DOCUMENT).vectors.to_dense()[0]
    best = {encoder.vocabulary.term(int(term)) for term in np.argsort(-vector)[:20]}
    assert {"vaccine", "infection"} <= best


def test_what_cannot_be_grafted_is_refused(body: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 10 texts, got 3"):
        graft(body, TEXTS[:3], tmp_path / "m")
    with pytest.raises(ModelError, match=r"no folder .*missing"):
        graft(tmp_path / "missing", TEXTS, tmp_path / "m")
    with pytest.raises(ModelError, match="cannot load"):
        (tmp_path / "empty").mkdir()
        graft(tmp_path / "empty", TEXTS, tmp_path / "m")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ModelError, match="is not empty: choose another folder"):
        graft(body, TEXTS, tmp_path / "full")
    config = json.loads((body / "config.json").read_text(encoding="utf-8"))
    other = tmp_path / "other"
    transformers.DistilBertModel(
        transformers.DistilBertConfig(
            vocab_size=config["vocab_size"], dim=32, n_layers=1, n_heads=2, hidden_dim=64
        )
    ).save_pretrained(other)
    with pytest.raises(ModelError, match=r"a BERT, got model_type 'distilbert'"):
        graft(other, TEXTS, tmp_path / "m")
