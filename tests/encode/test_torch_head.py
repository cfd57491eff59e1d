"""The PyTorch head against a float64 reference and the native head, on a CPU.

The Triton kernel runs in Triton's interpreter, which does not reproduce the arithmetic of a GPU.
One test compiles the kernel for GPUs. The interpreter must be chosen before Triton is imported, so
run this file in a process of its own, as `make test-all` does.
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
from lexpand.encode.torch.head import Implementation, TorchHead, implementation_for
from lexpand.errors import LexpandWarning, VectorError

torch = pytest.importorskip("torch")
os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton")
from lexpand.encode.torch import kernel  # noqa: E402 - after the interpreter is chosen

if "Interpreted" not in type(kernel._pool).__name__:
    pytest.skip("Triton was imported before its interpreter was chosen", allow_module_level=True)

IMPLEMENTATIONS = [Implementation.CHUNKED, Implementation.TRITON]
ONCE, TWICE = "log1p(relu)", "log1p(log1p(relu))"


@pytest.fixture(autouse=True)
def _bfloat16_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix Triton's interpreter (3.9), which stores bfloat16 as integers and multiplies these."""
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
    """Return states, lengths and a decoder with logits of about 1.

    The first text has all positions, the last has one.
    """
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(texts, positions, width)).astype(np.float32)
    lengths = rng.integers(1, positions, texts, endpoint=True).astype(np.uint32)
    lengths[0], lengths[-1] = positions, 1
    weight = (rng.normal(size=(terms, width)) / np.sqrt(width)).astype(np.float32)
    return hidden, lengths, Decoder(weight, rng.normal(size=terms).astype(np.float32), "max", ONCE)


def encode(
    implementation: Implementation,
    hidden: np.ndarray,
    lengths: np.ndarray,
    decoder: Decoder,
    dtype: str = "float32",
) -> Any:
    torch_dtype = getattr(torch, dtype)
    head = TorchHead(decoder, "cpu", torch_dtype, implementation)
    return head.encode(torch.from_numpy(hidden).to(torch_dtype), lengths)


def native(hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder) -> Any:
    weight, bias, pooling, activation = decoder
    return _native.Head(weight, bias, pooling=pooling, activation=activation).encode(
        hidden, lengths
    )


def logits_of(states: np.ndarray, decoder: Decoder) -> np.ndarray:
    """Return all logits in float64, [positions, terms]."""
    return states.astype(np.float64) @ decoder.weight.astype(np.float64).T + decoder.bias


def reference(states: np.ndarray, decoder: Decoder) -> np.ndarray:
    """Return the weight of each term by the definition, float64."""
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
        active, dense = terms[start:end], np.zeros(len(decoder.bias))
        assert np.all(np.diff(active.astype(np.int64)) > 0)
        dense[active] = weights[start:end]
        assert np.abs(dense - reference(states, decoder)).max() < tolerance
        logits = logits_of(states, decoder)
        largest = logits[:, active].max(axis=0)
        assert np.all(logits[positions[start:end], active] > largest - tolerance)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
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
def test_random_states_agree_with_the_reference(
    implementation: Implementation, texts: int, positions: int, width: int, terms: int
) -> None:
    hidden, lengths, plain = make(positions, texts, positions, width, terms)
    for pooling, activation in (("max", ONCE), ("max", TWICE), ("sum", ONCE), ("sum", TWICE)):
        decoder = plain._replace(pooling=pooling, activation=activation)
        found = encode(implementation, hidden, lengths, decoder)
        # The tolerance allows for sums of up to 129 activations, each rounded.
        assert_reference(found, hidden, lengths, decoder, 1e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_exact_sums_agree_with_the_native_head(
    implementation: Implementation, pooling: str
) -> None:
    """Sums of small integers are not rounded. Of equal logits, the first position wins."""
    rng = np.random.default_rng(7)
    for positions, width, terms in ((3, 64, 70), (90, 70, 129)):
        hidden = rng.integers(-2, 3, (3, positions, width)).astype(np.float32)
        # The second half repeats the first, so that all its logits are ties.
        half = positions // 2
        hidden[:, half:] = hidden[:, : positions - half]
        lengths = np.array([positions, 1, positions - 1], np.uint32)
        weight = rng.integers(-1, 2, (terms, width)).astype(np.float32)
        # The fraction is lost when a larger dot product is added.
        bias = rng.integers(-9, 3, terms).astype(np.float32) + np.float32(1e-7)
        decoder = Decoder(weight, bias, pooling, ONCE)
        found = encode(implementation, hidden, lengths, decoder)
        expected = native(hidden, lengths, decoder)
        for i in (0, 1, 3):
            assert np.array_equal(found[i], expected[i])
        assert np.allclose(found[2], expected[2], rtol=1e-6 if pooling == "max" else 1e-5, atol=0)
        assert len(found[1]) > terms


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_empty_texts_and_padding_yield_no_terms(implementation: Implementation) -> None:
    """One text has no positions, texts without active terms are empty, and padding is NaN."""
    hidden, lengths, decoder = make(3, 4, 20, 64, 100)
    lengths[1] = 0
    for text, length in enumerate(lengths):
        hidden[text, length:] = np.nan
    found = encode(implementation, hidden, lengths, decoder)
    assert found[0][1] == found[0][2]
    assert_reference_of_used(found, hidden, lengths, decoder)
    inactive = decoder._replace(bias=np.full(100, -1e3, np.float32))
    indptr, *arrays = encode(implementation, hidden, lengths, inactive)
    assert indptr.tolist() == [0] * 5 and not any(len(array) for array in arrays)


def assert_reference_of_used(
    found: Any, hidden: np.ndarray, lengths: np.ndarray, decoder: Decoder
) -> None:
    """Apply `assert_reference` to the texts that have positions."""
    sizes, used = np.diff(found[0]), lengths > 0
    indptr = np.concatenate([[0], np.cumsum(sizes[used])])
    assert_reference((indptr, *found[1:]), hidden[used], lengths[used], decoder, 1e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(
    implementation: Implementation, wrong: float
) -> None:
    hidden, lengths, decoder = make(4, 3, 8, 64, 70)
    hidden[1, 0, 5] = wrong
    with pytest.raises(VectorError, match="text 1: a hidden state is not finite"):
        encode(implementation, hidden, lengths, decoder)


def test_the_size_of_tiles_does_not_matter() -> None:
    hidden, lengths, decoder = make(5, 3, 9, 64, 101)
    arrays = (hidden, lengths.astype(np.int32), decoder.weight, decoder.bias)
    tensors = [torch.from_numpy(array) for array in arrays]
    whole = chunked.pool(*tensors, "sum", ONCE)
    for max_logits in (1, 27 * 10, 27 * 50 + 3):
        for a, b in zip(whole, chunked.pool(*tensors, "sum", ONCE, max_logits), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_bfloat16_is_summed_in_float32(implementation: Implementation, pooling: str) -> None:
    """For inputs rounded to bfloat16 the sums agree with float64. Only the rounding adds error."""
    hidden, lengths, decoder = make(6, 3, 40, 768, 130)
    decoder = decoder._replace(pooling=pooling)
    rounded = [
        torch.from_numpy(array).bfloat16().float().numpy() for array in (hidden, decoder.weight)
    ]
    found = encode(implementation, hidden, lengths, decoder, "bfloat16")
    assert_reference(found, rounded[0], lengths, decoder._replace(weight=rounded[1]), 1e-4)
    assert_reference(found, hidden, lengths, decoder, 0.02 if pooling == "max" else 0.2)


def test_the_implementation_depends_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert implementation_for("cpu") is None
    assert implementation_for("cuda") is Implementation.TRITON
    assert implementation_for("mps") is Implementation.CHUNKED
    monkeypatch.setitem(sys.modules, "triton", None)
    assert implementation_for("cuda") is Implementation.CHUNKED


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda *_: 1 // 0, "does not run here \\(ZeroDivisionError"),
        (lambda *a: chunked.pool(*a[:3], -a[3], *a[4:]), "it differs by"),
    ],
)
def test_a_kernel_that_fails_is_replaced(
    monkeypatch: pytest.MonkeyPatch, broken: Any, reason: str
) -> None:
    hidden, lengths, decoder = make(8, 2, 8, 64, 70)
    monkeypatch.setattr(kernel, "pool", broken)
    with pytest.warns(LexpandWarning, match=reason):
        head = TorchHead(decoder, "cpu", torch.float32, Implementation.TRITON)
    assert head.implementation is Implementation.CHUNKED
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
    source, target = ASTSource(_pool, signature, constants), GPUTarget("cuda", CAPABILITY, 32)
    asm = triton.compile(source, target=target).asm
    assert asm["cubin"]
    print(asm["ptx"].count("tf32"), "fma.rn.f32" in asm["ptx"], "mma" in asm["ptx"])
"""


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernel_compiles_for_gpus(capability: int, tmp_path: Any) -> None:
    """No GPU is needed. float32 products do not use tf32, and bfloat16 ones use tensor cores."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {
        "TRITON_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    code = COMPILE.replace("CAPABILITY", str(capability))
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["0 True False", "0 False True"]


TEXTS = [
    "does smoking cause heart disease",
    "",
    "The printer shows an error, and nobody in the office knows why.",
]


@pytest.mark.filterwarnings("ignore")  # those of transformers
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_an_encoder_on_pytorch_agrees_with_onnx_runtime(
    implementation: Implementation, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "implementation_for", lambda _: implementation)
    on_torch = Encoder.load(device="cpu")
    found, expected = (each.encode(TEXTS, Role.DOCUMENT) for each in (on_torch, encoder))
    assert np.abs(found.vectors.to_dense() - expected.vectors.to_dense()).max() < 1e-4
    assert np.array_equal(found.vectors.terms, expected.vectors.terms)
    assert np.array_equal(found.positions, expected.positions)


@pytest.mark.filterwarnings("ignore")  # those of transformers
def test_bfloat16_vectors_are_close_to_float32_vectors(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "implementation_for", lambda _: Implementation.CHUNKED)
    coarse = Encoder.load(
        documents=DocumentEncoding(dtype="bfloat16"),
        queries=QueryEncoding(dtype="bfloat16"),
        device="cpu",
    )
    exact = encoder.encode_documents(TEXTS).to_dense()
    assert coarse.space.encoding.to_dict() == {"dtype": "bfloat16", "max_tokens": 512}
    difference = np.abs(coarse.encode_documents(TEXTS).to_dense() - exact).max()
    assert 1e-4 < difference < Dtype.BFLOAT16.tolerance


@pytest.mark.filterwarnings("ignore")  # those of transformers
def test_batches_for_a_gpu_are_larger(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr(body_module, "implementation_for", lambda _: Implementation.CHUNKED)
    on_gpu, texts = Encoder.load(device="cpu"), ["word " * 120] * 60
    sizes: dict[Encoder, list[int]] = {on_gpu: [], encoder: []}
    for each, reported in sizes.items():
        each.encode(texts, Role.DOCUMENT, on_done=reported.append)
    assert len(sizes[on_gpu]) < 4 < len(sizes[encoder])
    assert on_gpu.at_once > encoder.at_once
