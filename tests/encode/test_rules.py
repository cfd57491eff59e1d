"""Rules against a reference implementation, and with pruning, chunks, caches and lookup."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import Document, DocumentEncoding, Encoder, QueryEncoding, Role, SparseVectors
from lexpand.data import Chunks, Long, LongDocuments, Pruning
from lexpand.encode import Rules, VectorCache
from lexpand.encode.encoding import BY_RULE
from lexpand.encode.folder import find_folder
from lexpand.encode.rules.phrases import Phrases
from lexpand.errors import DataError

TEXTS = [
    "Sign in with SSO, or reset your password.",
    "The sign on the door says ERR_42.",
    "ERR_42-7 is not err_421",
    "",
    "Nothing of it.",
    "err_42: sign   IN again\nwith your password",
]
FREE = 1  # the term of [unused0]


def encoder_with(raw: dict[str, Any], **documents: Any) -> Encoder:
    """Load the packaged model with rules and with fields of `DocumentEncoding`."""
    return Encoder.load(
        rules=Rules.from_dict({"version": 1, **raw}), documents=DocumentEncoding(**documents)
    )


def contains(text: str, phrase: str, *, whole_id: bool) -> bool:
    """Return whether an ASCII text contains a phrase, by the definition.

    No word character may be next to the phrase. For an id, none may be joined to it by a hyphen or
    a dot.
    """
    text, phrase = " ".join(text.lower().split()), phrase.lower()
    joined = "-." if whole_id else ""
    for start in range(len(text)):
        end = start + len(phrase)
        if text[start:end] != phrase:
            continue
        before, after = text[:start][::-1], text[end:]
        if not any(is_joined(side, joined) for side in (before, after)):
            return True
    return False


def is_joined(side: str, joined: str) -> bool:
    """Return whether the characters on one side, read away from the phrase, extend it."""
    word = re.compile(r"\w")
    if side[:1] and word.match(side[0]):
        return True
    return len(side) > 1 and side[0] in joined and word.match(side[1]) is not None


def reference(
    text: str, row: dict[int, float], raw: dict[str, Any], role: str, term: Any
) -> dict[int, float]:
    """Apply rules to one vector by the definition: boosts, synonyms, pins, caps, bans."""

    def entries(kind: str) -> list[dict[str, Any]]:
        return [entry for entry in raw.get(kind, []) if entry.get("side", "both") in ("both", role)]

    found: dict[int, float] = {number: float(np.float32(weight)) for number, weight in row.items()}
    for entry in entries("boost"):
        if term(entry["term"]) in found:
            found[term(entry["term"])] *= entry["factor"]
    for entry in entries("synonym"):
        if contains(text, entry["when"], whole_id=False):
            for token, weight in entry["add"].items():
                found[term(token)] = max(found.get(term(token), 0.0), weight)
    for slot, entry in enumerate(entries("pin")):
        matches = contains(text, entry["text"], whole_id=True)
        found[FREE + slot] = entry.get("weight", 3.0) if matches else 0.0
    for entry in entries("cap"):
        found[term(entry["term"])] = min(found.get(term(entry["term"]), 0.0), entry["weight"])
    banned = {term(entry["term"]) for entry in entries("ban")}
    kept = sorted(
        (number, weight) for number, weight in found.items() if weight > 0 and number not in banned
    )
    return {number: float(np.float32(weight)) for number, weight in kept}


SIDES = st.sampled_from(["query", "document", "both"])
TERMS = st.sampled_from(["sign", "password", "account", "door", "er", "##r"])
WEIGHTS = st.sampled_from([0.05, 0.5, 1.0, 2.0, 7.5])
FILES = st.fixed_dictionaries(
    {},
    optional={
        "ban": st.lists(
            st.fixed_dictionaries({"term": TERMS, "side": SIDES}),
            max_size=2,
            unique_by=lambda e: e["term"],
        ),
        "cap": st.lists(
            st.fixed_dictionaries({"term": TERMS, "weight": WEIGHTS}, optional={"side": SIDES}),
            max_size=3,
            unique_by=lambda e: e["term"],
        ),
        "boost": st.lists(
            st.fixed_dictionaries({"term": TERMS, "factor": WEIGHTS, "side": SIDES}),
            max_size=3,
            unique_by=lambda e: e["term"],
        ),
        "synonym": st.lists(
            st.fixed_dictionaries(
                {
                    "when": st.sampled_from(["SSO", "sign in", "sign", "password", "in again"]),
                    "add": st.dictionaries(TERMS, WEIGHTS, min_size=1, max_size=3),
                    "side": SIDES,
                }
            ),
            max_size=3,
        ),
        "pin": st.lists(
            st.fixed_dictionaries(
                {"text": st.sampled_from(["ERR_42", "err_421", "SSO", "sign in"])},
                optional={"weight": WEIGHTS},
            ),
            max_size=3,
            unique_by=lambda e: e["text"],
        ),
    },
)


@given(raw=FILES, role=st.sampled_from(list(Role)))
def test_any_rules_agree_with_the_reference_implementation(
    encoder: Encoder, raw: dict[str, Any], role: Role
) -> None:
    plain = encoder.encode(TEXTS, role).vectors
    rules = Rules.from_dict({"version": 1, **raw}).bind(role, encoder._tokens)
    expected = [
        reference(text, row, raw, role, encoder.vocabulary.id)
        for text, row in zip(TEXTS, plain.as_dicts(), strict=True)
    ]
    if rules is None:
        assert expected == list(plain.as_dicts())
        return
    vectors, source = rules.apply(TEXTS, plain)
    assert list(vectors.as_dicts()) == expected
    kept = source >= 0
    assert np.array_equal(plain.terms[source[kept]], vectors.terms[kept])


def test_rules_apply_in_every_encode_method(encoder: Encoder) -> None:
    raw = {
        "ban": [{"term": "sign", "side": "query"}],
        "boost": [{"term": "door", "factor": 2}],
        "synonym": [{"when": "sso", "add": {"account": 2.5}}],
        "pin": [{"text": "err_42"}],
    }
    edited = encoder_with(raw)
    documents = [Document(str(i), text) for i, text in enumerate(TEXTS)]
    for role, vectors in (
        (Role.QUERY, edited.encode_queries(TEXTS)),
        (Role.DOCUMENT, edited.encode_documents(TEXTS)),
        (Role.DOCUMENT, edited.encode_long(documents).vectors),
    ):
        plain = encoder.encode(TEXTS, role).vectors.as_dicts()
        expected = [
            reference(text, row, raw, role, encoder.vocabulary.id)
            for text, row in zip(TEXTS, plain, strict=True)
        ]
        assert list(vectors.as_dicts()) == expected
        assert edited.encode(TEXTS, role).vectors == vectors


def test_a_weight_from_a_rule_has_no_word_and_other_weights_keep_theirs(encoder: Encoder) -> None:
    edited = encoder_with(
        {
            "synonym": [{"when": "sso", "add": {"account": 9.0, "sign": 0.01}}],
            "cap": [{"term": "password", "weight": 0.5}],
            "pin": [{"text": "reset"}],
        }
    )
    account, sign, password = (
        encoder.vocabulary.id(token) for token in ("account", "sign", "password")
    )
    assert account is not None and sign is not None and password is not None
    trace, before = edited.trace(TEXTS[0], Role.DOCUMENT), encoder.trace(TEXTS[0], Role.DOCUMENT)
    assert trace.by_rule == {account, FREE}
    assert trace.word(account) is None and trace.positions[account] == BY_RULE
    assert trace.weights[sign] == before.weights[sign] and trace.word(sign) == "Sign"
    assert trace.weights[password] == 0.5 and trace.word(password) == "password"
    for term in before.positions.keys() - {account, FREE}:
        assert trace.positions[term] == before.positions[term]


def test_rules_apply_after_pruning(encoder: Encoder) -> None:
    raw = {
        "synonym": [{"when": "sso", "add": {"account": 0.01}}],
        "pin": [{"text": "sso", "weight": 0.02}],
    }
    vectors = encoder_with(raw, pruning=Pruning(top=3)).encode_documents(TEXTS[:1])
    plain = Encoder.load(documents=DocumentEncoding(pruning=Pruning(top=3)))
    assert vectors.nnz == plain.encode_documents(TEXTS[:1]).nnz + 2
    banned = Encoder.load(
        documents=DocumentEncoding(pruning="ban=unused"),
        rules=Rules.from_dict({"version": 1, **raw}),
    )
    (row,) = banned.encode_documents(TEXTS[:1]).as_dicts()
    assert FREE in row, "the term of a pin is not an unused term"


def test_rules_apply_to_the_whole_document_if_chunks_are_merged(encoder: Encoder) -> None:
    document = Document("d", "Nothing is said of it here. " * 40 + "Ask for ERR_42.")
    raw = {"pin": [{"text": "err_42", "weight": 0.01}], "boost": [{"term": "ask", "factor": 2}]}
    options: dict[str, Any] = {
        "max_tokens": 64,
        "long": LongDocuments(Long.CHUNK, Chunks.MAX),
        "pruning": Pruning(top=5),
    }
    plain = Encoder.load(documents=DocumentEncoding(**options)).encode_long([document]).vectors
    (edited,) = encoder_with(raw, **options).encode_long([document]).vectors.as_dicts()
    assert edited == reference(
        document.full_text, plain.as_dict(0), raw, "document", encoder.vocabulary.id
    )
    chunking = encoder_with(raw, max_tokens=64, long=LongDocuments(Long.CHUNK))
    passages = chunking.encode_long([document]).vectors
    assert [FREE in row for row in passages.as_dicts()] == [False] * (len(passages) - 1) + [True]


def test_a_document_is_pruned_by_mass_only_once(encoder: Encoder) -> None:
    """Pruning the terms with 80 % of the mass again would remove a fifth of their mass too."""
    once = Encoder.load(documents=DocumentEncoding(pruning="mass=0.8"))
    assert once.encode_long([Document("d", TEXTS[0])]).vectors == once.encode_documents([TEXTS[0]])


def test_a_pin_matches_past_the_length_that_the_model_reads(encoder: Encoder) -> None:
    text = "Nothing is said of it here. " * 40 + "Ask for ERR_42."
    vectors = encoder_with({"pin": [{"text": "err_42"}]}, max_tokens=16).encode_documents([text])
    assert vectors.as_dict(0)[FREE] == 3.0


def test_the_model_weight_of_the_term_of_a_pin_is_dropped(encoder: Encoder) -> None:
    rules = Rules.from_dict({"version": 1, "pin": [{"text": "err_42", "weight": 2}]}).bind(
        Role.QUERY, encoder._tokens
    )
    assert rules is not None
    original = SparseVectors.from_rows([{FREE: 5.0, 2000: 1.0}] * 2, len(encoder.vocabulary))
    vectors, source = rules.apply(["nothing", "ERR_42"], original)
    assert list(vectors.as_dicts()) == [{2000: 1.0}, {FREE: 2.0, 2000: 1.0}]
    assert source.tolist() == [1, -1, 3]


def test_the_cache_holds_vectors_before_rules(encoder: Encoder, tmp_path: Path) -> None:
    with VectorCache(tmp_path / "cache") as cache:
        raw = {"boost": [{"term": "password", "factor": 3}], "pin": [{"text": "sso"}]}
        edited = encoder_with(raw).with_cache(cache)
        first = edited.encode_documents(TEXTS)
        assert edited.encode_documents(TEXTS) == first
        entries = len(cache)
        plain = Encoder.load().with_cache(cache)
        assert plain.encode_documents(TEXTS) == encoder.encode_documents(TEXTS)
        assert len(cache) == entries, "all vectors came from the cache"


def test_rules_apply_to_queries_that_are_looked_up(tmp_path: Path, encoder: Encoder) -> None:
    from lexpand.encode import QueryTable, add_query_table

    folder = tmp_path / "model"
    shutil.copytree(find_folder("default"), folder)
    add_query_table(folder, QueryTable(np.ones(len(encoder.vocabulary), np.float32)))
    raw = {"ban": [{"term": "password"}], "pin": [{"text": "sso"}]}
    plain = Encoder.load(folder, queries=QueryEncoding(mode="lookup"))
    edited = Encoder.load(
        folder, queries=QueryEncoding(mode="lookup"), rules=Rules.from_dict({"version": 1, **raw})
    )
    rows = plain.encode_queries(TEXTS).as_dicts()
    expected = [
        reference(text, row, raw, "query", encoder.vocabulary.id)
        for text, row in zip(TEXTS, rows, strict=True)
    ]
    assert list(edited.encode_queries(TEXTS).as_dicts()) == expected
    assert edited.trace(TEXTS[0], Role.QUERY).weights == expected[0]


# Phrases and texts that differ in case, accents and spaces.
FOUND = [
    ("café", "Das CAFE ist zu", True),
    ("c++", "C++ or C", True),
    ("c++", "C or D", False),
    (".net", "the .NET way", True),
    ("sign  in", "sign\n in", True),
    ("in", "within", False),
    ("sso", "SSO-login", True),
    ("\uff53so", "sso", True),
    ("登录", "请登录系统", True),
]


@pytest.mark.parametrize(("phrase", "text", "found"), FOUND)
def test_phrases_are_compared_after_the_normalizer_of_the_tokenizer(
    encoder: Encoder, phrase: str, text: str, found: bool
) -> None:
    assert Phrases([phrase], encoder._tokens.normalize).found_in(text) == [0] * found


IDS = [
    ("err-4", "err-4-2", False),
    ("1.2", "v 1.2.3", False),
    ("1.2", "version 1.2.", True),
    ("b-1", "a-b-1", False),
]


@pytest.mark.parametrize(
    ("phrase", "text", "found"), [*IDS, ("AB-1", "(ab-1)", True), ("AB-1", "logs/AB-1", True)]
)
def test_an_id_does_not_match_within_a_longer_id(
    encoder: Encoder, phrase: str, text: str, found: bool
) -> None:
    phrases = Phrases([phrase], encoder._tokens.normalize, whole_ids=True)
    assert phrases.found_in(text) == [0] * found


@given(raw=FILES)
def test_rules_survive_json(raw: dict[str, Any]) -> None:
    rules = Rules.from_dict({"version": 1, **raw})
    again = Rules.from_dict(json.loads(json.dumps(rules.to_dict())))
    assert again.to_dict() == rules.to_dict()
    assert all(again.hash(role) == rules.hash(role) for role in Role)
    documents = DocumentEncoding().with_rules(rules.record())
    read = DocumentEncoding.from_dict(json.loads(json.dumps(documents.to_dict())))
    assert read == documents
    recorded = Rules.recorded(read)
    edits = bool(rules.of(Role.DOCUMENT))
    # If a rule applies to documents, all edits are recorded, those of queries too, but no tests.
    # Otherwise nothing is recorded.
    assert read.rules_hash == (rules.hash(Role.DOCUMENT) if edits else "")
    expected = rules if edits else Rules()
    for role in Role:
        assert recorded.of(role).to_dict() == expected.of(role).to_dict()


def test_the_hash_covers_the_edits_of_one_role() -> None:
    rules = Rules.from_dict(
        {"version": 1, "ban": [{"term": "a"}, {"term": "b"}], "pin": [{"text": "x"}, {"text": "y"}]}
    )

    def hashes(**raw: Any) -> list[str]:
        other = Rules.from_dict(
            {
                "version": 1,
                "ban": [{"term": "b"}, {"term": "a"}],
                "pin": [{"text": "x"}, {"text": "y"}],
                **raw,
            }
        )
        return [other.hash(role) for role in (Role.DOCUMENT, Role.QUERY)]

    document, query = rules.hash(Role.DOCUMENT), rules.hash(Role.QUERY)
    assert hashes() == [document, query], "the order of bans does not count"
    assert hashes(test=[{"query": "q", "expect": "d"}]) == [document, query], "tests do not count"
    other = hashes(cap=[{"term": "a", "weight": 1.0, "side": "query"}])
    assert other[0] == document and other[1] != query
    assert hashes(pin=[{"text": "y"}, {"text": "x"}])[0] != document, "the order of pins counts"


def test_queries_may_have_their_own_rules_but_not_another_pin_in_a_slot() -> None:
    old = Rules.from_dict(
        {"version": 1, "pin": [{"text": "a-1"}], "cap": [{"term": "x", "weight": 2}]}
    )
    new = Rules.from_dict(
        {
            "version": 1,
            "pin": [{"text": "a-1", "weight": 9}, {"text": "b-2"}],
            "ban": [{"term": "x"}],
        }
    )
    old_documents = DocumentEncoding().with_rules(old.record())
    both = Encoder.load(documents=old_documents, rules=new)
    assert both.documents.rules_hash == old.hash(Role.DOCUMENT)
    assert both.rules.hash(Role.QUERY) == new.hash(Role.QUERY)
    text = "see a-1 and b-2"
    for role, rules in ((Role.DOCUMENT, old), (Role.QUERY, new)):
        alone = Encoder.load(rules=rules)
        assert both.encode([text], role).vectors == alone.encode([text], role).vectors
    assert both.encode([text], Role.DOCUMENT).vectors != both.encode([text], Role.QUERY).vectors
    moved = Rules.from_dict({"version": 1, "pin": [{"text": "b-2"}, {"text": "a-1"}]}, "new.toml")
    with pytest.raises(
        DataError,
        match=r"new\.toml, \[\[pin\]\] 1: 'b-2' would take the term of 'a-1' .*: add new pins",
    ):
        Encoder.load(documents=old_documents, rules=moved)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes('\ufeffversion = 1\n\n[[ban]]\nterm = "the"\n'.encode())
    assert len(Rules.load(path).bans) == 1
