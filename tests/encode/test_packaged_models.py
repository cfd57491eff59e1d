"""The packaged models: sound, small, and what they promise."""

from pathlib import Path

import pytest

from lexpand import Encoder
from lexpand.encode.contract import QueryMode
from lexpand.encode.folder import DEFAULT, find_folder
from lexpand.errors import ModelError
from lexpand.models import check_model

MODELS = ["splade-tiny", "lexpand-tiny", "lexpand-mini"]
TEXT = "Open account recovery, and choose a new password. " * 20


@pytest.mark.parametrize("name", MODELS)
def test_the_golden_pairs_are_reproduced(name: str) -> None:
    assert check_model(name).pairs >= 4


@pytest.mark.parametrize("name", MODELS)
def test_origin_and_license_travel_with_the_weights(name: str) -> None:
    encoder = Encoder.load(name)
    assert encoder.contract.name == name
    assert encoder.contract.license == "Apache-2.0"
    assert len((find_folder(name) / "NOTICE.md").read_text(encoding="utf-8")) > 1000


@pytest.mark.parametrize(("name", "megabytes"), [("lexpand-mini", 30), ("lexpand-tiny", 7)])
def test_ours_are_small_and_keep_at_most_200_terms(name: str, megabytes: int) -> None:
    folder = find_folder(name)
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    assert size < megabytes * 1e6
    encoder = Encoder.load(name)
    (vector,) = encoder.encode_documents([TEXT]).as_dicts()
    assert 50 < len(vector) <= 200
    assert not any(path.name == "model.safetensors" for path in Path(folder).glob("*"))


@pytest.mark.parametrize("name", ["lexpand-mini", "lexpand-tiny"])
def test_ours_have_two_query_modes(name: str) -> None:
    encoder = Encoder.load(name)
    assert encoder.contract.query_mode is QueryMode.ENCODER
    (expanded,) = encoder.encode_queries(["forgot my password"]).as_dicts()
    assert 10 < len(expanded) <= 128
    (weights,) = encoder.encode_queries(["forgot my password"], mode="lookup").as_dicts()
    tokens = {encoder.vocabulary.term(term): weight for term, weight in weights.items()}
    assert tokens.keys() == {"forgot", "my", "password"}
    assert tokens["password"] > tokens["my"]


def test_mini_expands_what_users_say() -> None:
    encoder = Encoder.load("lexpand-mini")
    (vector,) = encoder.encode_documents(["How to recover access to your account"]).as_dicts()
    terms = {encoder.vocabulary.term(term) for term in vector}
    assert {"account", "password"} <= terms
    (query,) = encoder.encode_queries(["forgot my password"]).as_dicts()
    assert "account" in {encoder.vocabulary.term(term) for term in query}


def test_the_environment_can_name_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, expected in (("lexpand-mini", "lexpand-mini"), ("default", DEFAULT), ("", DEFAULT)):
        monkeypatch.setenv("LEXPAND_MODEL", name)
        assert find_folder("default").name == expected
        assert find_folder("splade-tiny").name == "splade-tiny"
    monkeypatch.setenv("LEXPAND_MODEL", "lexpand-maxi")
    with pytest.raises(ModelError, match=r"no model 'lexpand-maxi'.* variable LEXPAND_MODEL"):
        find_folder("default")


def test_an_unknown_name_lists_the_packaged_ones() -> None:
    with pytest.raises(ModelError, match="lexpand-mini, lexpand-tiny, splade-tiny"):
        find_folder("lexpand-maxi")
