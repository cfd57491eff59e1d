"""Teachers of a student with added terms read the pieces that they know."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from tokenizers import Tokenizer, models  # noqa: E402
from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: E402

from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import ModelError  # noqa: E402
from lexpand.models import add_terms  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.rewording import Rewording  # noqa: E402
from lexpand.train.student import Student, make_student  # noqa: E402
from lexpand.train.teachers import make_batch_teachers  # noqa: E402

TEXTS = [
    "Reset my login for the wifi",
    "wifi",
    "The printer prints blank pages, and the login fails again and again",
    "No new word here",
]
SETTINGS = ["info_nce=0", "batch_kl=1", "sparse_teacher=splade-tiny", "document_terms=0"]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model splade-tiny with two terms more."""
    dest = tmp_path_factory.mktemp("extended") / "more"
    return add_terms("splade-tiny", ["login", "wifi"], dest, optimize=False).imported.path


@pytest.fixture(scope="module")
def tokenizers(extended: Path) -> tuple[PreTrainedTokenizerFast, PreTrainedTokenizerFast]:
    return tuple(AutoTokenizer.from_pretrained(each) for each in (extended, teacher_folder()))


def teacher_folder() -> Path:
    return find_folder("splade-tiny")


def test_texts_are_read_as_the_teacher_reads_them(tokenizers) -> None:  # type: ignore[no-untyped-def]
    own, teacher = tokenizers
    reword = Rewording(own, teacher, 512)
    found = reword(dict(own(TEXTS, padding=True, return_tensors="pt")))
    expected = teacher(TEXTS, padding=True, return_tensors="pt")
    for name in ("input_ids", "attention_mask"):
        assert (found[name] == expected[name]).all(), name


def test_random_tokens_become_their_pieces(tokenizers) -> None:  # type: ignore[no-untyped-def]
    own, teacher = tokenizers
    random, reword = np.random.default_rng(3), Rewording(own, teacher, 40)
    known = len(teacher.get_vocab())
    pieces = {
        own.get_vocab()[word]: teacher(word, add_special_tokens=False)["input_ids"]
        for word in ("login", "wifi")
    }
    assert min(map(len, pieces.values())) == 2
    for _ in range(50):
        lengths = random.integers(1, 30, size=random.integers(1, 6))
        rows = [random.integers(known - 3, known + 2, size=length).tolist() for length in lengths]
        ids = torch.zeros(len(rows), max(lengths), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
        found = reword({"input_ids": ids, "attention_mask": mask})
        for place, row in enumerate(rows):
            expected = [id for each in row for id in pieces.get(each, [each])]
            expected[39:] = expected[39:] and expected[-1:]
            read = found["attention_mask"][place].bool()
            assert found["input_ids"][place][read].tolist() == expected
            assert read[: len(expected)].all()


def test_texts_without_new_terms_are_the_same(tokenizers) -> None:  # type: ignore[no-untyped-def]
    own, teacher = tokenizers
    features = dict(own(TEXTS[-1:], return_tensors="pt"))
    assert Rewording(own, teacher, 512)(features) is features
    none = {name: rows[:0] for name, rows in features.items()}
    assert Rewording(own, teacher, 512)(none) is none
    same = Rewording(teacher, teacher, 512)
    assert not same.changes and same(features) is features


def test_both_teachers_of_a_model_with_added_terms(extended: Path) -> None:
    """Their vectors are those of texts that they tokenize themselves."""
    recipe = Recipe.load("small").with_settings([*SETTINGS, "lookup=true", "batch_teacher=x"])
    recipe = recipe.with_settings([f"batch_teacher={teacher_folder()}", "query_terms=0"])
    student = Student(make_student(recipe, extended))
    plain = Student(make_student(recipe, "splade-tiny"))
    for teacher, expected in zip(
        make_batch_teachers(recipe, student), make_batch_teachers(recipe, plain), strict=True
    ):
        for role in ("documents", "queries"):
            vectors = []
            for each, model in ((teacher, student), (expected, plain)):
                special = role == "documents"
                features = dict(
                    model.model.tokenizer(
                        TEXTS, padding=True, return_tensors="pt", add_special_tokens=special
                    )
                )
                vectors.append(getattr(each, role)(features))
            assert torch.allclose(*vectors, atol=1e-5), (teacher, role)


def test_another_vocabulary_is_refused(extended: Path) -> None:
    words = {"[UNK]": 0, "[PAD]": 1, "other": 2}
    other = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")), unk_token="[UNK]"
    )
    own = AutoTokenizer.from_pretrained(extended)
    with pytest.raises(ValueError, match="the ids of the student must be those of the teacher"):
        Rewording(own, other, 512)
    recipe = Recipe.load("small").with_settings(
        [*SETTINGS, "batch_teacher=x", f"sparse_teacher={extended}"]
    )
    recipe = recipe.with_settings([f"batch_teacher={teacher_folder()}"])
    student = Student(make_student(recipe, "splade-tiny"))
    with pytest.raises(ModelError, match="before terms were added, and the ids of the student"):
        make_batch_teachers(recipe, student)
