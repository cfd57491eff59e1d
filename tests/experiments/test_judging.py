"""Judging: pools, the file of grades, a judge's way through a pool, agreement, and model judges."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from lexpand import Document, Qrels, Query
from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.errors import DataError, RowError
from lexpand.evaluation.agreement import agreement
from lexpand.experiments.judging import JudgmentFile, PooledDocument, Session, pool
from lexpand.experiments.model_judge import JudgeError, endpoint_judge

QUERIES = [Query("q1", "vpn password"), Query("q2", "change my bank account"), Query("q3", " ")]


def test_a_pool_is_the_union_of_the_best_documents(support: Collection) -> None:
    found = pool(support, QUERIES, ["bm25", "splade"], depth=3)
    for query in QUERIES[:2]:
        ranks = {each.doc_id: each.ranks for each in found if each.query == query}
        for name in ("bm25", "splade"):
            best = [hit.doc_id for hit in support.search(query.text, 3, pipeline=name)]
            assert [
                doc_id for rank in (1, 2, 3) for doc_id in ranks if ranks[doc_id].get(name) == rank
            ] == best
    assert {each.query.query_id for each in found} == {"q1", "q2"}


def test_the_order_of_a_pool_does_not_tell_the_ranks(support: Collection) -> None:
    one = pool(support, QUERIES, ["bm25", "splade"], depth=5)
    other = pool(support, QUERIES, ["splade", "bm25"], depth=5)
    assert [each.doc_id for each in one] == [each.doc_id for each in other]
    first = [each.ranks.get("splade") for each in one if each.query.query_id == "q1"]
    assert first != sorted(first, key=lambda rank: rank or 99)


def test_a_depth_or_a_pipeline_that_is_invalid_is_refused(support: Collection) -> None:
    with pytest.raises(DataError, match="depth must be >= 1, got 0"):
        pool(support, QUERIES, ["bm25"], depth=0)
    with pytest.raises(DataError, match="pipeline must be one of"):
        pool(support, QUERIES, ["bm26"])


def documents(*pairs: str) -> list[PooledDocument]:
    return [PooledDocument(Query(pair[0], pair[0]), pair[1:], {}) for pair in pairs]


def test_grades_are_written_at_once_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "judgments.tsv"
    session = Session(documents("1a", "1b", "2a"), JudgmentFile(path))
    session.grade(2)
    assert path.read_text() == "query-id\tcorpus-id\tscore\n1\ta\t2\n"
    again = Session(documents("1a", "1b", "2a"), JudgmentFile(path))
    assert again.judged == 1 and again.current is not None and again.current.doc_id == "b"
    again.grade(0)
    again.grade(1)
    assert again.current is None and again.judged == 3
    assert Qrels.read(path) == Qrels({"1": {"a": 2, "b": 0}, "2": {"a": 1}})


def test_going_back_takes_a_grade_back(tmp_path: Path) -> None:
    judgments = JudgmentFile(tmp_path / "judgments.tsv")
    session = Session(documents("1a", "1b", "2a"), judgments)
    assert not session.back()
    session.grade(2)
    session.skip()
    assert session.back() and session.current is not None and session.current.doc_id == "b"
    assert session.back() and session.current.doc_id == "a"
    assert judgments.grades == {} and session.judged == 0
    session.grade(1)
    assert Qrels.read(judgments.path) == Qrels({"1": {"a": 1}})


def test_a_whole_query_can_be_skipped(tmp_path: Path) -> None:
    session = Session(documents("1a", "1b", "2a"), JudgmentFile(tmp_path / "judgments.tsv"))
    session.skip_query()
    assert session.current is not None and session.current.query.query_id == "2"
    session.skip_query()
    assert session.current is None


def test_files_that_are_no_judgments_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.tsv"
    path.write_text("this is my file of notes, not of grades\n")
    with pytest.raises(RowError):
        JudgmentFile(path)
    judgments = JudgmentFile(tmp_path / "new.tsv")
    judgments.add("1", "a", 1)
    with pytest.raises(DataError, match="is judged already"):
        judgments.add("1", "a", 2)
    with pytest.raises(DataError, match="must not contain a tab"):
        judgments.add("1", "a\tb", 2)


def test_agreement_equals_values_by_hand() -> None:
    """Cohen 1960: 25 pairs yes-yes, 10 yes-no, 15 no-yes, 20 no-no give kappa 0.1304."""
    cells = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    first = Qrels({"q": {f"d{i}": one for i, (one, _) in enumerate(cells)}})
    second = Qrels({"q": {f"d{i}": other for i, (_, other) in enumerate(cells)}})
    found = agreement(first, second)
    assert found.pairs == 50 and found.same == 0.7
    assert found.kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5)) == pytest.approx(found.binary)
    assert found.weighted == pytest.approx(found.kappa)


def test_near_grades_count_as_near_with_weights() -> None:
    first = Qrels({"q": {"a": 0, "b": 1, "c": 2, "d": 2}})
    near = Qrels({"q": {"a": 0, "b": 1, "c": 1, "d": 2}, "other": {"x": 1}})
    far = Qrels({"q": {"a": 0, "b": 1, "c": 0, "d": 2}})
    assert agreement(first, near).weighted > agreement(first, far).weighted
    assert agreement(first, first).kappa == 1
    same = Qrels({"q": {"a": 1, "b": 1}})
    assert agreement(same, same).kappa == 1
    with pytest.raises(DataError, match="share none"):
        agreement(first, Qrels({"z": {"a": 1}}))


class Endpoint(BaseHTTPRequestHandler):
    answer: bytes = b""
    status = 200
    asked: ClassVar[list[tuple[dict, str | None]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((json.loads(body), self.headers.get("Authorization")))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[Callable[..., str]]:
    servers = []

    def start(answer: object, status: int = 200) -> str:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        Endpoint.answer, Endpoint.status, Endpoint.asked = body, status, []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def chat(text: str) -> dict:
    return {"choices": [{"message": {"content": text}}]}


DOCUMENT = Document("a", "Turn it off and on.", "Printer")
GRADES = ("not relevant", "related", "answers the query")


def test_a_chat_model_grades(endpoint: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXPAND_JUDGE_KEY", "secret")
    judge = endpoint_judge(endpoint(chat("Grade: 2")), "small", GRADES)
    assert judge("printer broken", DOCUMENT) == 2
    ((body, key),) = Endpoint.asked
    prompt = body["messages"][0]["content"]
    assert (body["model"], body["temperature"], key) == ("small", 0, "Bearer secret")
    assert all(
        text in prompt for text in ("printer broken", "Printer", "Turn it off", "2: answers")
    )


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (chat("7"), 200, "must answer with a grade from 0 to 2, got '7'"),
        (chat("yes"), 200, "must answer with a grade from 0 to 2, got 'yes'"),
        ({"error": 1}, 200, "must answer as OpenAI's API"),
        (b"<html>", 200, "cannot be asked"),
        ({"error": "no quota"}, 429, "answered 429: .*no quota"),
    ],
)
def test_answers_that_are_no_grades_are_errors(
    endpoint: Callable[..., str], answer: object, status: int, message: str
) -> None:
    with pytest.raises(JudgeError, match=message):
        endpoint_judge(endpoint(answer, status), "small", GRADES)("q", DOCUMENT)


def test_no_key_is_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXPAND_JUDGE_KEY", "secret")
    with pytest.raises(DataError, match="would send it without encryption: use https"):
        endpoint_judge("http://example.org/v1", "m", GRADES)
    with pytest.raises(DataError, match="must begin with http:// or https://, got 'ftp://x'"):
        endpoint_judge("ftp://x", "m", GRADES)


def test_a_judge_that_is_down_is_named() -> None:
    with pytest.raises(JudgeError, match="/v1/chat/completions cannot be asked"):
        endpoint_judge("http://127.0.0.1:9/v1", "m", GRADES)("q", DOCUMENT)


def test_a_judge_may_be_any_function(
    support: Collection, questions: JudgedQueries, tmp_path: Path
) -> None:
    pooled = pool(support, questions.queries[:3], ["bm25"], depth=2)
    judgments = JudgmentFile(tmp_path / "j.tsv")
    session = Session(pooled, judgments)
    while (current := session.current) is not None:
        session.grade(len(support.get(current.doc_id).text) % 2)
    assert session.judged == len(pooled)
