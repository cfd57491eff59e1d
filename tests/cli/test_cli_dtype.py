"""The option `--dtype`: which commands accept it, what an index records, what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lexpand import DocumentEncoding, Encoder, Index, QueryEncoding

ROWS = [
    {"id": "a", "text": "The printer shows an error."},
    {"id": "b", "text": "Invoices are sent by e-mail."},
]


@pytest.fixture
def source(rows_file: Callable) -> Path:
    return rows_file(*ROWS)


@pytest.fixture
def index(run: Callable, source: Path, tmp_path: Path) -> Path:
    path = tmp_path / "i"
    assert run("index", source, path, "--words", "none", "--dtype", "int8").code == 0
    return path


def test_an_index_records_its_dtype(
    run: Callable, index: Path, source: Path, rows_file: Callable
) -> None:
    assert run("info", index, "--json").json()["encoding"] == {"dtype": "int8", "max_tokens": 512}
    more = rows_file(*ROWS, {"id": "c", "text": "Something new."}, name="more.jsonl")
    for command in ("index", "sync"):
        error = run(command, more, index, "--dtype", "float32").error()
        assert (
            "holds documents encoded with dtype int8, got float32: leave the setting out, since"
            in error
        )
        assert error.endswith("encode them again with `lexpand reencode`")
    assert run("index", more, index).code == 0
    assert run("sync", source, index, "--dtype", "int8").code == 0
    with Index.open(index) as opened:
        assert len(opened) == 2


def test_another_dtype_is_refused_before_the_model_is_loaded(
    run: Callable, index: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    for command in ("index", "sync"):
        assert (
            "encoded with dtype int8, got bfloat16: leave"
            in run(command, source, index, "--dtype", "bfloat16").error()
        )
        assert (
            "encoded with title_weight 0, got 0.5: leave"
            in run(command, source, index, "--title-weight", "0.5").error()
        )


def test_an_index_of_float32_refuses_int8(run: Callable, source: Path, tmp_path: Path) -> None:
    assert run("index", source, tmp_path / "i", "--words", "none").code == 0
    assert (
        "encoded with dtype float32, got int8: leave"
        in run("sync", source, tmp_path / "i", "--dtype", "int8").error()
    )


def test_queries_are_encoded_in_float32_by_default(run: Callable, index: Path) -> None:
    scores = {}
    for dtype in ("float32", "int8", None):
        options = ("--dtype", dtype) if dtype else ()
        scores[dtype] = run("search", index, "printer error", *options, "--json").json()["hits"][0][
            "score"
        ]
    assert scores[None] == scores["float32"] != scores["int8"]
    assert abs(scores["int8"] - scores["float32"]) < 0.1 * scores["float32"]
    explained = run("explain", index, "printer error", "a", "--dtype", "int8", "--json").json()
    assert explained["score"] == scores["int8"]
    assert run("oov", index, "ERR_42", "--dtype", "int8").code == 0


def test_rules_are_tested_in_a_dtype(run: Callable, index: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('version = 1\n[[test]]\nquery = "printer"\nexpect = "a"\n')
    assert run("rules", "test", rules, index, "--dtype", "int8").code == 0


def test_encode_accepts_a_dtype(run: Callable, source: Path, tmp_path: Path) -> None:
    exact, near = (
        run("encode", "heart", "--dtype", dtype, "--json").json() for dtype in ("float32", "int8")
    )
    assert (
        exact["terms"] != near["terms"]
        and abs(exact["terms"]["heart"] - near["terms"]["heart"]) < 0.1
    )
    assert run("encode", source, "--output", tmp_path / "v.npz", "--dtype", "int8").code == 0
    expected = Encoder.load(
        documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8")
    ).encode_documents([row["text"] for row in ROWS])
    assert np.load(tmp_path / "v.npz")["terms"].tolist() == expected.terms.tolist()


def test_an_unknown_dtype_is_refused(run: Callable, source: Path, tmp_path: Path) -> None:
    ran = run("index", source, tmp_path / "i", "--dtype", "int4")
    assert ran.code == 2 and "float32" in ran.err
