"""The student: what a base must have, what is folded into it, and gradient caching."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("default")

from lexpand import Encoder  # noqa: E402
from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import DataError, ModelError  # noqa: E402
from lexpand.train.autopilot import FIRST_STEPS  # noqa: E402
from lexpand.train.batches import NeighborBatches, neighbor_batches, text_vectors  # noqa: E402
from lexpand.train.loss import SpladeObjective  # noqa: E402
from lexpand.train.objectives import kl_divergence, mixed_scores  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.regularizers import flops  # noqa: E402
from lexpand.train.student import Student, make_student  # noqa: E402
from lexpand.train.teachers import SparseTeacher, make_batch_teachers  # noqa: E402

BASE = find_folder("default")
QUERIES = ["reset my password", "printer is broken", "reset my password", "holiday"]
TEXTS = [
    "Choose a new password.",
    "Clean the heads of the printer.",
    "Open account recovery.",
    "Clean the heads of the printer.",
]


def student_of(*settings: str, **options: object) -> Student:
    recipe = Recipe.load("small").with_settings(settings)
    return Student(make_student(recipe, BASE, TEXTS), **options).eval()  # type: ignore[arg-type]


def features_of(student: Student) -> list[dict]:
    task = [{"task": each} for each in ("query", "document")] if student.table is not None else ()
    both = zip((QUERIES, TEXTS), task or ({}, {}), strict=True)
    return [student.model.preprocess(texts, **routed) for texts, routed in both]


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield


def test_a_base_of_another_activation_is_refused() -> None:
    with pytest.raises(ModelError, match=r"activation must be 'log1p\(relu\)', as in the base"):
        student_of("activation=log1p(log1p(relu))")


def test_a_base_with_a_table_needs_a_recipe_with_lookup(tmp_path) -> None:  # type: ignore[no-untyped-def]
    make_student(Recipe.load("small").with_settings(["lookup=true"]), BASE).save_pretrained(
        str(tmp_path)
    )
    with pytest.raises(ModelError, match="must have lookup = true for the base"):
        make_student(Recipe.load("small"), tmp_path)


def test_shift_and_scale_are_folded_into_the_head() -> None:
    plain, moved = student_of(), student_of("logit_shift=2", "logit_scale=0.5")
    features = features_of(plain)[1]
    with torch.no_grad():
        logits, found = (
            each.states(features)[0] @ each.decoder.weight.T + each.decoder.bias
            for each in (plain, moved)
        )
    assert torch.allclose(found, 0.5 * (logits - 2), atol=1e-4)


def trained_names(student: Student) -> set[str]:
    return {name for name, weight in student.body.named_parameters() if weight.requires_grad}


def test_frozen_layers_are_not_trained_and_have_no_dropout() -> None:
    student = student_of()
    every, layers = trained_names(student), student.body.config.num_hidden_layers
    student.freeze(1)
    left = trained_names(student)
    assert {name for name in every - left if ".layer." in name} == {
        name for name in every if ".layer.0." in name
    }
    assert not any("embeddings" in name for name in left)
    student.train()
    ids = features_of(student)[1]
    states = [student.body.base_model(**ids, output_hidden_states=True) for _ in range(2)]
    first, second = (each.hidden_states for each in states)
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[2], second[2])  # the next layer has dropout
    student.drop_nothing()
    found = [student.documents(ids) for _ in range(2)]
    assert torch.equal(*found)
    found[0].sum().backward()
    assert all((w.grad is not None) == w.requires_grad for w in student.body.parameters())
    with pytest.raises(ModelError, match=f"at most {layers}, the layers of the base, got 99"):
        student.freeze(99)


def test_a_new_table_has_the_idf_of_the_texts() -> None:
    student = student_of("lookup=true", "table_init=idf")
    ids = student.model.tokenizer.get_vocab()
    assert student.table is not None
    table = student.table.weight.detach()
    weight = {word: float(table[ids[word]]) for word in ("the", "new", "zebra")}
    assert weight["the"] < weight["new"] < weight["zebra"]
    assert float(table[ids["[CLS]"]]) == 0


@pytest.mark.parametrize("softplus", [False, True])
def test_queries_have_the_weights_of_the_saved_table(softplus: bool) -> None:
    """Whatever the activation, the weights begin as the table's, and `settle` keeps them."""
    student = student_of("lookup=true", "table_init=idf", softplus=softplus)
    features = features_of(student)[0]
    assert student.table is not None
    stock = student_of("lookup=true", "table_init=idf").table
    assert stock is not None
    expected = stock(dict(features))["sentence_embedding"]
    found = student.queries(features)
    assert torch.allclose(found, expected, rtol=1e-4, atol=2e-4)
    with torch.no_grad():
        student.table.weight.sub_(30.0)  # far below zero
    weights = student.table_weights()
    (gradient,) = torch.autograd.grad(weights.sum(), student.table.weight)
    assert bool((gradient > 0).all()) is softplus  # relu has lost them
    student.settle()
    assert torch.allclose(student.table.weight, weights)
    assert torch.allclose(student.table_weights(), weights)


@pytest.mark.parametrize("size", [1, 3])
def test_gradient_caching_changes_no_gradient(size: int) -> None:
    gradients = []
    for cached in (0, size):
        student = student_of(cached_texts=cached).double()
        student.documents(features_of(student)[1]).square().sum().backward()
        gradients.append([p.grad for p in student.parameters() if p.grad is not None])
    for found, expected in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_gradient_caching_repeats_dropout() -> None:
    """Gradients are those of the weights that were returned, by finite differences."""
    student = student_of(cached_texts=2).double().train()
    features = features_of(student)[1]
    bias = student.decoder.bias

    def loss() -> torch.Tensor:
        torch.manual_seed(5)
        return student.documents(features).square().sum()

    (gradient,) = torch.autograd.grad(loss(), bias)
    term = int(gradient.abs().argmax())
    with torch.no_grad():
        bias[term] += 1e-6
        above = float(loss())
        bias[term] -= 2e-6
        below = float(loss())
    assert float(gradient[term]) == pytest.approx((above - below) / 2e-6, rel=1e-4)


def test_bf16_is_close_to_float32() -> None:
    plain, coarse = student_of(), student_of(bf16=True)
    features = features_of(plain)[1]
    with torch.no_grad():
        one, other = plain.documents(features), coarse.documents(features)
    assert other.dtype == torch.float32
    assert not torch.equal(one, other)
    assert float((one - other).abs().max()) < 0.1


def test_equal_documents_and_queries_are_not_negatives_of_each_other() -> None:
    """Rows 1 and 3 have one document, rows 0 and 2 one query."""
    recipe = Recipe.load("small").with_settings(["temperature=3"])
    student = student_of()
    objective = SpladeObjective(student, recipe)
    features = features_of(student)
    parts = objective(features)
    with torch.no_grad():
        scores = (student.queries(features[0]) @ student.documents(features[1]).T) / 3
    for row, column in ((0, 2), (2, 0), (1, 3), (3, 1)):
        scores[row, column] = -torch.inf
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(4))
    assert float(parts["info_nce"].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_the_student_before_training_teaches_itself_nothing_new() -> None:
    recipe = Recipe.load("small").with_settings(
        ["info_nce=0", "batch_teacher=self", "batch_kl=1", "batch_temperature=1"]
    )
    student = student_of()
    objective = SpladeObjective(student, recipe, [SparseTeacher(copy.deepcopy(student))])
    features = features_of(student)
    assert float(objective(features)["batch_kl"].detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        student.decoder.bias.add_(0.5)
    assert float(objective(features)["batch_kl"].detach()) > 1e-3


@pytest.mark.parametrize("mode", ["lookup", "encoder"])
def test_two_batch_teachers_are_averaged_and_the_sparse_one_is_the_model_that_it_names(
    mode: str,
) -> None:
    settings = ["lookup=true"] if mode == "lookup" else []
    settings += ["sparse_teacher=splade-tiny", "sparse_share=0.25", "batch_kl=1", "info_nce=0"]
    recipe = Recipe.load("small").with_settings([*settings, "batch_teacher=x"])
    student, model = student_of(*settings[:-4]), Encoder.load("splade-tiny")
    model_dir = str(find_folder("splade-tiny"))
    dense, sparse = make_batch_teachers(replace(recipe, batch_teacher=model_dir), student)
    features = features_of(student)
    with torch.no_grad():
        found = sparse.queries(features[0]) @ sparse.documents(features[1]).T
        expected = torch.tensor(
            model.encode_queries(QUERIES).to_dense() @ model.encode_documents(TEXTS).to_dense().T
        )
        first = dense.queries(features[0]) @ dense.documents(features[1]).T
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)
    objective = SpladeObjective(student, recipe, [dense, sparse])
    with torch.no_grad():
        part = objective(features)["batch_kl"]
        scores = student.queries(features[0]) @ student.documents(features[1]).T
    target = mixed_scores(first, found, 0.25)
    divergence = kl_divergence(scores / recipe.temperature, target, temperature=0.05)
    assert float(part) == pytest.approx(float(divergence), rel=1e-4)


@pytest.mark.parametrize("columns", [0, 30522])
def test_each_objective_counts_for_both_query_modes(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all columns, and by those that are sampled if the sample is all."""
    monkeypatch.setattr("lexpand.train.student._TOGETHER", 3)  # by length, so in another order
    settings = ["lookup=true", "encode_queries=true", f"sampled_columns={columns}"]
    settings += ["query_lambda=0.5", "ramp=constant", "query_terms=0", "document_terms=0"]
    student = student_of(*settings)
    objective = SpladeObjective(student, Recipe.load("small").with_settings(settings))
    queries, texts = features_of(student)
    with torch.no_grad():
        parts = objective([queries, texts])
        encoded = student.documents(student.model.preprocess(QUERIES, task="document"))
        documents = student.documents(texts)
    assert torch.allclose(student.encoded_queries(queries), encoded, atol=1e-5)
    same = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]).bool()
    for name, vectors in (("", student.queries(queries)), ("encoded_", encoded)):
        scores = (vectors.detach() @ documents.T).masked_fill(same, -torch.inf)
        expected = torch.nn.functional.cross_entropy(scores, torch.arange(4))
        assert float(parts[f"{name}info_nce"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(parts["query_regularizer"]) == pytest.approx(0.5 * float(flops(encoded)), rel=1e-4)


@pytest.mark.parametrize("columns", [0, 30522])
def test_a_lexical_model_scores_only_the_words_that_are_there(columns: int) -> None:
    """By all columns, and by those that are sampled if the sample is all. In both query modes."""
    settings = ["lookup=true", "encode_queries=true", f"sampled_columns={columns}"]
    settings += ["expansion_lambda=2", "query_terms=0", "document_terms=0"]
    student = student_of(*settings)
    objective = SpladeObjective(student, Recipe.load("small").with_settings(settings))
    queries, texts = features_of(student)
    with torch.no_grad():
        parts = objective([queries, texts])
        encoded, documents = student.encoded_queries(queries), student.documents(texts)
    tokenizer = student.model.tokenizer

    def own(rows: list[str]) -> torch.Tensor:
        found = torch.zeros(len(rows), student.terms, dtype=torch.bool)
        for row, text in zip(found, rows, strict=True):
            row[tokenizer(text, add_special_tokens=False)["input_ids"]] = True
        return found

    there, asked = own(TEXTS), own(QUERIES)
    expected = sum((w * ~o).sum(1).mean() for w, o in ((documents, there), (encoded, asked)))
    assert float(parts["expansion"]) == pytest.approx(2 * float(expected), rel=1e-4)
    same = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]).bool()
    for name, vectors in (("", student.queries(queries).detach()), ("encoded_", encoded * asked)):
        scores = (vectors @ (documents * there).T).masked_fill(same, -torch.inf)
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(4))
        assert float(parts[f"{name}info_nce"]) == pytest.approx(float(loss), rel=1e-4)


def test_a_budget_of_postings_is_that_of_the_terms_that_texts_share() -> None:
    settings = ["postings=0.5", "document_terms=0", "query_terms=0", "budget_steps=1"]
    student = student_of()
    objective = SpladeObjective(student, Recipe.load("small").with_settings(settings))
    features = features_of(student)
    with torch.no_grad():
        queries, documents = student.queries(features[0]) > 0, student.documents(features[1]) > 0
        objective(features)
    before = objective.factors()[1]
    objective.advance()
    pilot = objective.pilots[1]
    assert pilot is not None
    shared = (queries[:, None] & documents[None]).float().sum(2).mean()
    assert objective.pair_flops == pytest.approx(float(shared), rel=1e-5)
    assert pilot.mean == pytest.approx(float(shared), rel=1e-5)
    assert float(shared) > 0.5
    for _ in range(FIRST_STEPS):
        with torch.no_grad():
            objective(features)
        objective.advance()
    assert objective.factors()[1] > before


def test_figures_are_means_of_the_steps_since_the_last_call() -> None:
    student = student_of()
    objective = SpladeObjective(student, Recipe.load("small"))
    features = features_of(student)
    shorter = [student.model.preprocess([text[:9] for text in side]) for side in (QUERIES, TEXTS)]
    terms, losses, shared = [], [], []
    with torch.no_grad():
        for batch in (features, shorter):
            losses.append(float(sum(objective(batch).values())))
            objective.advance()
            terms.append(objective.terms[1])
            shared.append(objective.pair_flops)
    assert terms[0] != terms[1]
    means = objective.means()
    assert means.document_terms == pytest.approx(sum(terms) / 2)
    assert (means.loss, means.flops) == pytest.approx((sum(losses) / 2, sum(shared) / 2))
    assert objective.means() == (0, 0, 0, 0)


def test_banned_terms_lose_weight_and_unknown_ones_are_refused() -> None:
    student = student_of()
    weight = copy.deepcopy(student)
    settings = ["banned_terms=['password']", "banned_lambda=100", "info_nce=1e-9"]
    recipe = Recipe.load("small").with_settings([*settings, "document_terms=0"])
    objective = SpladeObjective(student, recipe)
    term = student.model.tokenizer.get_vocab()["password"]
    features = features_of(student)
    before = float(weight.documents(features[1])[0, term].detach())
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        sum(objective(features).values()).backward()
        optimizer.step()
    assert float(student.documents(features[1])[0, term].detach()) < before - 0.05
    with pytest.raises(ModelError, match="must be tokens of the vocabulary, and 'passwort'"):
        SpladeObjective(student, recipe.with_settings(["banned_terms=['passwort']"]))


def test_a_batch_may_have_several_groups_of_neighbors() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(16), 8)
    texts = [list(rng.integers(kind * 20, kind * 20 + 20, 12)) for kind in kinds]
    vectors = text_vectors(texts, 400, seed=1)
    batches = NeighborBatches(vectors, 16, seed=3, topics=4)
    found = list(batches)
    assert len(batches) == len(found) == 8
    assert sorted(row for batch in found for row in batch) == list(range(128))
    groups = [batch[first : first + 4] for batch in found for first in range(0, 16, 4)]
    assert np.mean([np.bincount(kinds[group]).max() / 4 for group in groups]) > 0.7
    assert np.mean([len(set(kinds[batch])) for batch in found]) > 2.5
    assert found == list(NeighborBatches(vectors, 16, seed=3, topics=4))
    assert len(list(NeighborBatches(vectors[:-1], 16, seed=3, topics=4))) == 7


@pytest.mark.parametrize("setting", ["batch_size=30", "neighbors=false"])
def test_topics_are_groups_of_neighbors_of_one_size(setting: str) -> None:
    settings = ["neighbors=true", "batch_size=32", "topics=4"]
    assert Recipe.load("small").with_settings(settings).topics == 4
    with pytest.raises(DataError, match="topics needs neighbors = true and a batch_size that is"):
        Recipe.load("small").with_settings([*settings, setting])


def test_neighbors_share_words_and_every_row_comes_once() -> None:
    rng = np.random.default_rng(0)
    topics = np.repeat(np.arange(8), 16)
    texts = [list(rng.integers(topic * 20, topic * 20 + 20, 12)) for topic in topics]
    vectors = text_vectors(texts, 400, seed=1)
    for size in (4, 8, 16):
        batches = list(neighbor_batches(vectors, size, np.random.default_rng(2)))
        assert sorted(np.concatenate(batches).tolist()) == list(range(128))
        assert {len(batch) for batch in batches} == {size}
        same = np.mean([np.bincount(topics[batch]).max() / size for batch in batches])
        assert same > 0.8
    rest = list(neighbor_batches(vectors[:30], 8, np.random.default_rng(2)))
    assert len(rest) == 3
    one, other = (
        [batch.tolist() for batch in neighbor_batches(vectors, 8, np.random.default_rng(seed))]
        for seed in (1, 2)
    )
    assert one != other
