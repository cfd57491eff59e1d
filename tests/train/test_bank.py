"""The bank of queries that a batch teacher judges beside those of the batch."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("default")

from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import DataError  # noqa: E402
from lexpand.train.bank import _words, bank_scores, make_banks  # noqa: E402
from lexpand.train.loss import SpladeObjective  # noqa: E402
from lexpand.train.objectives import kl_divergence  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.student import Student, make_student  # noqa: E402
from lexpand.train.teachers import SparseTeacher  # noqa: E402

QUERIES = ["reset my password", "printer is broken", "holiday", "the printer of my manager"]
TEXTS = [
    "Choose a new password.",
    "Clean the heads of the printer.",
    "Ask your manager two weeks ahead.",
    "Open account recovery.",
]
SETTINGS = ["lookup=true", "batch_teacher=x", "batch_kl=1", "info_nce=0"]


class Counting:
    """A teacher whose vectors are the frequencies of tokens, and that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def queries(self, features: dict[str, Any]) -> Any:
        self.asked += len(features["input_ids"])
        return self.documents(features)

    def documents(self, features: dict[str, Any]) -> Any:
        ids, mask = features["input_ids"], features["attention_mask"]
        found = torch.zeros(len(ids), 30522).scatter_add_(1, ids, mask.float())
        return torch.nn.functional.normalize(found, dim=1)


@pytest.fixture(scope="module")
def student() -> Student:
    recipe = Recipe.load("small").with_settings(SETTINGS)
    return Student(make_student(recipe, find_folder("default"), TEXTS)).eval()


def recipe_of(*settings: str) -> Recipe:
    return Recipe.load("small").with_settings([*SETTINGS, *settings])


def tokens(student: Student, texts: list[str], task: str) -> dict[str, Any]:
    return dict(student.model.preprocess(texts, task=task))


def test_the_scores_are_those_of_queries_that_are_looked_up(student: Student) -> None:
    (bank, _) = make_banks(recipe_of("bank_queries=9"), student, [Counting()], QUERIES)[0]
    ids, mask = bank.terms(torch.arange(len(bank)))
    with torch.no_grad():
        weights = student.documents(tokens(student, TEXTS, "document"))
        table = student.table.weight.relu()  # type: ignore[union-attr]
        found = bank_scores(ids, mask, table, weights)
        expected = student.queries(tokens(student, QUERIES, "query")) @ weights.T
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_query_counts_each_token_once_and_empty_queries_are_left_out(student: Student) -> None:
    banks = make_banks(
        recipe_of("bank_queries=9"), student, [Counting()], ["holiday holiday", "", " ", "holiday"]
    )
    ids, mask = banks[0][0].terms(torch.arange(len(banks[0][0])))
    assert mask.sum(1).tolist() == [1, 1]
    assert len(set(ids[:, 0].tolist())) == 1


def test_the_teacher_reads_the_whole_query(student: Student) -> None:
    """Only the table counts a token once."""
    seen: list[int] = []

    class Reading(Counting):
        def queries(self, features: dict[str, Any]) -> Any:
            seen.extend(features["attention_mask"].sum(1).tolist())
            return super().queries(features)

    make_banks(recipe_of("bank_queries=9"), student, [Reading()], ["to be or not to be"])
    assert seen == [6]


def test_a_bank_without_queries_is_refused(student: Student) -> None:
    with pytest.raises(DataError, match="must have queries with a token of the vocabulary"):
        make_banks(recipe_of("bank_queries=9"), student, [Counting()], ["", " "])


def test_words_of_a_byte_level_vocabulary_are_words() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"h": 0, "i": 1, "Ġ": 2, "s": 3, "hi": 4, "his": 5, "Ġh": 6, "Ġhi": 7, "Ġhis": 8}
    merges = [("Ġ", "h"), ("Ġh", "i"), ("Ġhi", "s"), ("h", "i"), ("hi", "s")]
    plain = Tokenizer(models.BPE(vocabulary, merges))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    plain.decoder = decoders.ByteLevel()
    assert _words(PreTrainedTokenizerFast(tokenizer_object=plain)) == ["his"]


def test_the_nearest_queries_of_each_document_are_asked(student: Student) -> None:
    teacher = Counting()
    (bank, _) = make_banks(recipe_of("bank_queries=4"), student, [teacher], QUERIES)[0]
    documents = teacher.documents(tokens(student, TEXTS[:2], "document"))
    rows = bank.nearest(documents, 2)
    assert [QUERIES[row] for row in rows.tolist()] == ["reset my password", QUERIES[3]]
    expected = teacher.queries(tokens(student, [QUERIES[row] for row in rows], "query"))
    assert torch.allclose(bank.targets(rows, [documents])[0], expected @ documents.T, atol=1e-6)
    assert len(bank.nearest(documents, 10**6)) == len(bank)


def test_words_are_whole_words_of_the_vocabulary(student: Student) -> None:
    (bank, count) = make_banks(recipe_of("bank_words=64"), student, [Counting()], QUERIES)[0]
    ids, mask = bank.terms(torch.arange(len(bank)))
    words = student.model.tokenizer.convert_ids_to_tokens(ids[:, 0].tolist())
    assert count == 64
    assert set(mask.sum(1).tolist()) == {1}
    assert {"password", "printer"} <= set(words)
    assert all(len(word) > 2 and word.isalpha() for word in words)


@pytest.mark.parametrize("columns", [0, 30522])
def test_the_loss_is_the_divergence_of_the_banks_scores(student: Student, columns: int) -> None:
    """By all columns, and by those that are sampled if the sample is all."""
    recipe, teacher = (
        recipe_of("bank_queries=8", "bank_kl=3", "temperature=2", f"sampled_columns={columns}"),
        Counting(),
    )
    banks = make_banks(recipe, student, [teacher], QUERIES)
    objective = SpladeObjective(student, recipe, [teacher], banks)
    features = [tokens(student, QUERIES, "query"), tokens(student, TEXTS, "document")]
    found = objective([dict(each) for each in features])["bank_kl"]
    rows = banks[0][0].nearest(teacher.documents(features[1]), 8)
    asked = tokens(student, [QUERIES[row] for row in rows], "query")
    scores = student.queries(dict(asked)) @ student.documents(dict(features[1])).T
    target = teacher.queries(asked) @ teacher.documents(features[1]).T
    expected = 3 * kl_divergence(scores / 2, target, temperature=recipe.batch_temperature)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    gradients = []
    for loss in (found, expected):
        student.zero_grad()
        loss.backward(retain_graph=True)
        assert student.table is not None
        gradients.append((student.table.weight.grad.clone(), student.decoder.bias.grad.clone()))
    for one, other in zip(*gradients, strict=True):
        assert float(other.abs().max()) > 0
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("columns", [0, 1])
def test_queries_of_the_bank_are_encoded_as_well(student: Student, columns: int) -> None:
    """A sample of columns has all terms of these queries, which are not those of the batch."""
    queries = [*QUERIES, "the printer or the manager"]
    settings = ["bank_queries=20", "bank_encoded=20", "encode_queries=true", "bank_kl=3"]
    recipe = recipe_of(*settings, "temperature=2", f"sampled_columns={columns}")
    teacher = Counting()
    banks = make_banks(recipe, student, [teacher], queries)
    objective = SpladeObjective(student, recipe, [teacher], banks)
    batch = ["a recipe for soup", "planets", "the longest river", "jazz"]
    features = [tokens(student, batch, "query"), tokens(student, TEXTS, "document")]
    parts = objective([dict(each) for each in features])
    asked = tokens(student, queries, "query")
    encoded = student.documents(tokens(student, queries, "document"))
    scores = encoded @ student.documents(dict(features[1])).T
    target = teacher.queries(asked) @ teacher.documents(features[1]).T
    expected = 3 * kl_divergence(scores / 2, target, temperature=recipe.batch_temperature)
    found = parts["encoded_bank_kl"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert float(found.detach()) != pytest.approx(float(parts["bank_kl"].detach()), rel=1e-2)
    gradients = []
    for loss in (found, expected):
        student.zero_grad()
        loss.backward(retain_graph=True)
        gradients.append(student.decoder.bias.grad.clone())
    assert float(gradients[1].abs().max()) > 0
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6)


def test_the_encoded_queries_of_a_bank_are_chosen_with_the_seed(student: Student) -> None:
    """Fewer than the bank's, and the same after a checkpoint."""
    recipe = recipe_of("bank_queries=4", "bank_encoded=2", "encode_queries=true")
    teacher = Counting()
    banks = make_banks(recipe, student, [teacher], QUERIES)
    features = [tokens(student, QUERIES, "query"), tokens(student, TEXTS, "document")]

    def losses(objective: SpladeObjective, count: int) -> list[float]:
        found = []
        for _ in range(count):
            parts = objective([dict(each) for each in features])
            found.append(float(parts["encoded_bank_kl"].detach()))
        return found

    whole = losses(SpladeObjective(student, recipe, [teacher], banks), 6)
    assert len({round(each, 5) for each in whole}) > 1
    first = SpladeObjective(student, recipe, [teacher], banks)
    losses(first, 3)
    second = SpladeObjective(student, recipe, [teacher], banks)
    second.restore(first.state())
    assert losses(second, 3) == pytest.approx(whole[3:], rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        ["bank_queries=4", "bank_encoded=5", "encode_queries=true"],
        ["bank_queries=4", "bank_encoded=4"],
    ],
)
def test_only_queries_of_a_bank_are_encoded(settings: list[str]) -> None:
    with pytest.raises(DataError, match="bank_encoded must be at most bank_queries and needs"):
        recipe_of(*settings)


def test_a_run_that_continues_reads_the_vectors(student: Student, tmp_path: Path) -> None:
    recipe, teacher = recipe_of("bank_queries=8"), Counting()
    make_banks(recipe, student, [teacher], QUERIES, tmp_path)
    assert teacher.asked == len(QUERIES)
    (bank, _) = make_banks(recipe, student, [teacher], QUERIES, tmp_path)[0]
    assert teacher.asked == len(QUERIES)
    (fresh, _) = make_banks(recipe, student, [Counting()], QUERIES)[0]
    documents = teacher.documents(tokens(student, TEXTS, "document"))
    rows = torch.arange(len(QUERIES))
    assert torch.equal(bank.targets(rows, [documents])[0], fresh.targets(rows, [documents])[0])
    make_banks(recipe, student, [teacher], [*QUERIES, "more"], tmp_path)  # other queries
    assert teacher.asked == 2 * len(QUERIES) + 1
    other = recipe_of("bank_queries=8", "batch_teacher=y")
    make_banks(other, student, [teacher], [*QUERIES, "more"], tmp_path)
    assert teacher.asked == 3 * len(QUERIES) + 2
    (tmp_path / "bank-queries.safetensors").write_bytes(b"damaged")
    make_banks(recipe, student, [teacher], QUERIES, tmp_path)
    assert teacher.asked == 4 * len(QUERIES) + 2


def test_a_sparse_teacher_judges_the_queries_too(student: Student, tmp_path: Path) -> None:
    asked = 0

    class Sparse(SparseTeacher):
        def queries(self, features: dict[str, Any]) -> Any:
            nonlocal asked
            asked += len(features["input_ids"])
            return super().queries(features)

    recipe = recipe_of("bank_queries=8", "sparse_teacher=default")
    with torch.no_grad():
        texts = student.documents(tokens(student, TEXTS, "document"))
        expected = student.queries(tokens(student, QUERIES, "query")) @ texts.T
    for _ in range(2):  # the second time, the vectors are read
        teachers = [Counting(), Sparse(student)]
        (bank, _) = make_banks(recipe, student, teachers, QUERIES, tmp_path)[0]
        documents = [each.documents(tokens(student, TEXTS, "document")) for each in teachers]
        found = bank.targets(torch.arange(len(bank)), documents)
        assert torch.allclose(found[1], expected, rtol=1e-5, atol=1e-5)
        rows = torch.tensor([2, 0])
        for part, whole in zip(bank.targets(rows, documents), found, strict=True):
            assert torch.allclose(part, whole[rows], atol=1e-6)
        assert asked == len(QUERIES)


def test_the_steps_of_encoding_are_reported(student: Student) -> None:
    said: list[str] = []
    make_banks(recipe_of("bank_queries=8"), student, [Counting()], QUERIES, on_step=said.append)
    assert said == ["encoding the bank of queries: 4 of 4"]


def test_the_seconds_of_an_estimate_are_those_of_all_queries(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([10.0, 13.0])
    monkeypatch.setattr("lexpand.train.bank.time.perf_counter", lambda: next(times))
    (bank, _) = make_banks(recipe_of("bank_queries=8"), student, [Counting()], QUERIES, most=1)[0]
    assert len(bank) == 1
    assert bank.seconds == 3.0 * len(set(QUERIES))


@pytest.mark.parametrize(
    "settings",
    [
        ["lookup=false", "bank_words=8", "batch_teacher=x", "batch_kl=1"],
        ["lookup=true", "bank_queries=8"],
        ["lookup=true", "bank_queries=8", "batch_teacher=self", "batch_kl=1"],
    ],
)
def test_a_bank_needs_a_table_and_a_dense_teacher(settings: list[str]) -> None:
    with pytest.raises(DataError, match="bank_words need lookup = true and a dense batch_teacher"):
        Recipe.load("small").with_settings(settings)


def test_the_budget_tightens_over_the_steps_of_the_recipe(student: Student) -> None:
    recipe = Recipe.load("small").with_settings(["document_terms=50", "budget_steps=7"])
    pilot = SpladeObjective(student, recipe).pilots[1]
    assert pilot is not None
    assert pilot.warmup == 7
