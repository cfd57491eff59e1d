"""The head on a GPU against a float64 reference and the native head, on a CPU: Triton's kernel by Triton's interpreter.

The interpreter says nothing of a GPU's arithmetic; that the kernel compiles for GPUs is tested
apart. The interpreter must be chosen before Triton is imported: run this file in a process of its
own, as `make test-all` does.
"""

import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lexpand import DocumentEncoding, Encoder, QueryEncoding, Role, _native
from lexpand.data import Dtype
from lexpand.encode.decoder import Decoder
from lexpand.encode.torch import body as body_module
from lexpand.encode.torch import chunked
from lexpand.encode.torch.head import TorchHead, Way, way_on
from lexpand.errors import LexpandWarning, VectorError

torch = pytest.importorskip("torch")
os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton")
from lexpand.encode.torch import kernel  # noqa: E402 - after the interpreter is chosen

if "Interpreted" not in type(kernel._pool).__name__:
    pytest.skip("Triton was imported before its interpreter was chosen", allow_module_level=True)

WAYS = [Way.CHUNKED, Way.TRITON]
ONCE, TWICE = "log1p(relu)", "log1p(log1p(relu))"


@pytest.fixture(autouse=True)
def _bfloat16_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter (3.9) keeps bfloat16 as 16-bit integers, and multiplies those."""
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle, tl

    multiply = InterpreterBuilder.create_dot

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar is not tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return multiply(self, widened(a), widened(b), *rest)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)


def make(
    seed: int, texts: int, positions: int, width: int, terms: int
) -> tuple[np.ndarray, np.ndarray, Decoder]:
    """States, lengths (the first text full, the last of one position) and a decoder with logits about 1."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(texts, positions, width)).astype(np.float32)
    lengths = rng.integers(1, positions, texts, endpoint=True).astype(np.uint32)
    lengths[0], lengths[-1] = positions, 1
    weight = (rng.normal(size=(terms, width)) / np.sqrt(width)).astype(np.float32)
    return hidden, lengths, Decoder(weight, rng.normal(size=terms).astype(np.float32), "max", ONCE)


def encode(
    way: Way, hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder, dtype: str = "float32"
) -> Any:
    kind = getattr(torch, dtype)
    return TorchHead(decoder, "cpu", kind, way).encode(torch.from_numpy(hidden).to(kind), lengths)


def native(hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder) -> Any:
    weight, bias, pooling, activation = decoder
    return _native.Head(weight, bias, pooling=pooling, activation=activation).encode(
        hidden, lengths
    )


def logits_of(states: np.ndarray, decoder: Decoder) -> np.ndarray:
    """Every logit in float64, [positions, terms]."""
    return states.astype(np.float64) @ decoder.weight.astype(np.float64).T + decoder.bias


def reference(states: np.ndarray, decoder: Decoder) -> np.ndarray:
    """The definition: the weight of each term, float64."""
    active = np.log1p(np.maximum(logits_of(states, decoder), 0))
    active = np.log1p(active) if decoder.activation == TWICE else active
    return active.max(axis=0) if decoder.pooling == "max" else active.sum(axis=0)


def assert_reference(
    found: Any, hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder, tolerance: float
) -> None:
    indptr, terms, weights, positions = found
    assert [array.dtype for array in found] == [np.int64, np.uint32, np.float32, np.uint32]
    assert indptr[0] == 0 and indptr[-1] == len(terms) and len(indptr) == len(lengths) + 1
    assert np.all(weights > 0)
    for text, (start, end) in enumerate(pairwise(indptr)):
        states = hidden[text, : lengths[text]]
        mine, dense = terms[start:end], np.zeros(len(decoder.bias))
        assert np.all(np.diff(mine.astype(np.int64)) > 0)
        dense[mine] = weights[start:end]
        assert np.abs(dense - reference(states, decoder)).max() < tolerance
        logits = logits_of(states, decoder)
        assert np.all(logits[positions[start:end], mine] > logits[:, mine].max(axis=0) - tolerance)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("texts", "positions", "width", "terms"),
    [
        (1, 1, 64, 1),
        (3, 5, 96, 63),
        (2, 16, 128, 64),
        (4, 17, 130, 65),
        (3, 70, 384, 130),
        (2, 129, 1024, 70),
    ],
)
def test_random_states(way: Way, texts: int, positions: int, width: int, terms: int) -> None:
    hidden, lengths, decoder = make(positions, texts, positions, width, terms)
    for pooling, activation in (("max", ONCE), ("max", TWICE), ("sum", ONCE), ("sum", TWICE)):
        asked = decoder._replace(pooling=pooling, activation=activation)
        # Sums of up to 129 activations, each rounded.
        assert_reference(encode(way, hidden, lengths, asked), hidden, lengths, asked, 1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_it_is_the_native_head_where_sums_are_exact(way: Way, pooling: str) -> None:
    """Small integers: no sum is rounded, many logits are equal, and the first position has each term."""
    rng = np.random.default_rng(7)
    for positions, width, terms in ((3, 64, 70), (90, 70, 129)):
        hidden = rng.integers(-2, 3, (3, positions, width)).astype(np.float32)
        hidden[:, positions // 2 :] = hidden[
            :, : positions - positions // 2
        ]  # all of the second half are ties
        lengths = np.array([positions, 1, positions - 1], np.uint32)
        weight = rng.integers(-1, 2, (terms, width)).astype(np.float32)
        bias = rng.integers(-9, 3, terms).astype(np.float32) + np.float32(
            1e-7
        )  # lost beside larger dot products
        decoder = Decoder(weight, bias, pooling, ONCE)
        found, expected = encode(way, hidden, lengths, decoder), native(hidden, lengths, decoder)
        for place in (0, 1, 3):
            assert np.array_equal(found[place], expected[place])
        assert np.allclose(found[2], expected[2], rtol=1e-6 if pooling == "max" else 1e-5, atol=0)
        assert len(found[1]) > terms


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_there(way: Way) -> None:
    """A text without positions, one without any term, and padding of which nothing may be read."""
    hidden, lengths, decoder = make(3, 4, 20, 64, 100)
    lengths[1] = 0
    for text, length in enumerate(lengths):
        hidden[text, length:] = np.nan
    found = encode(way, hidden, lengths, decoder)
    assert found[0][1] == found[0][2]
    assert_reference_of_used(found, hidden, lengths, decoder)
    inactive = decoder._replace(bias=np.full(100, -1e3, np.float32))
    indptr, *arrays = encode(way, hidden, lengths, inactive)
    assert indptr.tolist() == [0] * 5 and not any(len(array) for array in arrays)


def assert_reference_of_used(
    found: Any, hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder
) -> None:
    """`assert_reference` of the texts that have positions."""
    sizes, used = np.diff(found[0]), lengths > 0
    indptr = np.concatenate([[0], np.cumsum(sizes[used])])
    assert_reference((indptr, *found[1:]), hidden[used], lengths[used], decoder, 1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_state_that_is_not_finite(way: Way, wrong: float) -> None:
    hidden, lengths, decoder = make(4, 3, 8, 64, 70)
    hidden[1, 0, 5] = wrong
    with pytest.raises(VectorError, match="text 1: a hidden state is not finite"):
        encode(way, hidden, lengths, decoder)


def test_tiles_of_any_size_give_the_same() -> None:
    hidden, lengths, decoder = make(5, 3, 9, 64, 101)
    given = [
        torch.from_numpy(array)
        for array in (hidden, lengths.astype(np.int32), decoder.weight, decoder.bias)
    ]
    whole = chunked.pool(*given, "sum", ONCE)
    for most in (1, 27 * 10, 27 * 50 + 3):
        for a, b in zip(whole, chunked.pool(*given, "sum", ONCE, most), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_bfloat16_is_summed_in_float32(way: Way, pooling: str) -> None:
    """Of values that are bfloat16, what float64 gives; of others, what their rounding makes of it."""
    hidden, lengths, decoder = make(6, 3, 40, 768, 130)
    decoder = decoder._replace(pooling=pooling)
    rounded = [
        torch.from_numpy(array).bfloat16().float().numpy() for array in (hidden, decoder.weight)
    ]
    found = encode(way, hidden, lengths, decoder, "bfloat16")
    assert_reference(found, rounded[0], lengths, decoder._replace(weight=rounded[1]), 1e-4)
    assert_reference(found, hidden, lengths, decoder, 0.02 if pooling == "max" else 0.2)


def test_the_way_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [way_on(device) for device in ("cpu", "cuda", "mps")] == [None, Way.TRITON, Way.CHUNKED]
    monkeypatch.setitem(sys.modules, "triton", None)
    assert way_on("cuda") is Way.CHUNKED


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda *_: 1 // 0, "does not run here \\(ZeroDivisionError"),
        (lambda *a: chunked.pool(*a[:3], -a[3], *a[4:]), "it differs by"),
    ],
)
def test_a_kernel_that_fails_is_not_used(
    monkeypatch: pytest.MonkeyPatch, broken: Any, said: str
) -> None:
    hidden, lengths, decoder = make(8, 2, 8, 64, 70)
    monkeypatch.setattr(kernel, "pool", broken)
    with pytest.warns(LexpandWarning, match=said):
        head = TorchHead(decoder, "cpu", torch.float32, Way.TRITON)
    assert head.way is Way.CHUNKED
    assert_reference(head.encode(torch.from_numpy(hidden), lengths), hidden, lengths, decoder, 1e-4)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lexpand.encode.torch.kernel import _pool
for kind in ("fp32", "bf16"):
    numbers = dict.fromkeys(("positions", "vocabulary", "width"), "i32")
    outputs = {"best_out": "*fp32", "position_out": "*i32", "value_out": "*fp32"}
    inputs = {"hidden": f"*{kind}", "lengths": "*i32", "weight": f"*{kind}", "bias": "*fp32"}
    constants = {"SUM": kind == "fp32", "TWICE": True, "POSITIONS": 64, "TERMS": 64, "STEP": 32}
    signature = {**inputs, **outputs, **numbers, **dict.fromkeys(constants, "constexpr")}
    made = triton.compile(ASTSource(_pool, signature, constants), target=GPUTarget("cuda", CAPABILITY, 32))
    assert made.asm["cubin"]
    print(made.asm["ptx"].count("tf32"), "fma.rn.f32" in made.asm["ptx"], "mma" in made.asm["ptx"])
"""


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernel_compiles_for_gpus(capability: int, tmp_path: Any) -> None:
    """Without a GPU: NVIDIA's assembler takes it; float32 is no tf32, and bfloat16 runs on tensor cores."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {
        "TRITON_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    code = COMPILE.replace("CAPABILITY", str(capability))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0 True False", "0 False True"]


TEXTS = [
    "does smoking cause heart disease",
    "",
    "The printer shows an error, and nobody in the office knows why.",
]


@pytest.mark.filterwarnings("ignore")  # transformers'
@pytest.mark.parametrize("way", WAYS)
def test_an_encoder_with_it(way: Way, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "way_on", lambda _: way)
    here = Encoder.load(device="cpu")
    found, expected = (each.encode(TEXTS, Role.DOCUMENT) for each in (here, encoder))
    assert np.abs(found.vectors.to_dense() - expected.vectors.to_dense()).max() < 1e-4
    assert np.array_equal(found.vectors.terms, expected.vectors.terms)
    assert np.array_equal(found.positions, expected.positions)


@pytest.mark.filterwarnings("ignore")  # transformers'
def test_an_encoder_in_bfloat16(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "way_on", lambda _: Way.CHUNKED)
    coarse, exact = (
        Encoder.load(
            documents=DocumentEncoding(dtype="bfloat16"),
            queries=QueryEncoding(dtype="bfloat16"),
            device="cpu",
        ),
        encoder.encode_documents(TEXTS).to_dense(),
    )
    assert coarse.space.encoding.to_dict() == {"dtype": "bfloat16", "max_tokens": 512}
    difference = np.abs(coarse.encode_documents(TEXTS).to_dense() - exact).max()
    assert 1e-4 < difference < Dtype.BFLOAT16.noise


@pytest.mark.filterwarnings("ignore")  # transformers'
def test_batches_for_a_gpu_are_larger(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "way_on", lambda _: Way.CHUNKED)
    here, texts = Encoder.load(device="cpu"), ["word " * 120] * 60
    sizes: dict[Encoder, list[int]] = {here: [], encoder: []}
    for each, seen in sizes.items():
        each.encode(texts, Role.DOCUMENT, on_done=seen.append)
    assert len(sizes[here]) < 4 < len(sizes[encoder])
    assert here.at_once > encoder.at_once
