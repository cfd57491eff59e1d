"""A judge behind an OpenAI-compatible endpoint. It is used only when asked for."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from lexpand.data import Document
from lexpand.errors import DataError, LexpandError

Judge = Callable[[str, Document], int]
"""A function that takes a query and a document, and returns a grade."""

KEY = "LEXPAND_JUDGE_KEY"
"""The environment variable with the key of the endpoint."""

_TIMEOUT = 60.0
_LONGEST = 8_000  # characters of a document
_GRADE = re.compile(r"\d+")

_PROMPT = """You judge search results. A person searched for:

{query}

This is a document:

{title}
{text}

Grades:
{grades}

Answer with the number of the grade only."""


class JudgeError(LexpandError):
    """The endpoint of a judge failed, or its answer has no grade."""


def endpoint_judge(url: str, model: str, grades: Sequence[str]) -> Judge:
    """Return a judge that asks a chat model.

    The key is read from the environment variable ``LEXPAND_JUDGE_KEY``, and is sent only if it is
    set. Texts of queries and documents leave this machine.

    Args:
        url: the base of the endpoint, such as ``http://127.0.0.1:11434/v1``.
        model: the name of the model there.
        grades: what each grade means, from grade 0.

    Raises:
        DataError: the URL is not http or https, or a key would be sent without encryption to
            another machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataError(f"the URL of a judge must begin with http:// or https://, got {url!r}")
    key = os.environ.get(KEY, "")
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if key and parts.scheme == "http" and not local:
        raise DataError(
            f"{KEY} is set, and {url!r} would send it without encryption: use https, or unset it"
        )
    listed = "\n".join(f"{grade}: {meaning}" for grade, meaning in enumerate(grades))

    def judge(query: str, document: Document) -> int:
        prompt = _PROMPT.format(
            query=query, title=document.title, text=document.text[:_LONGEST], grades=listed
        )
        answer = _ask(f"{url.rstrip('/')}/chat/completions", model, prompt, key)
        found = _GRADE.search(answer)
        grade = int(found[0]) if found else -1
        if not 0 <= grade < len(grades):
            raise JudgeError(
                f"the judge must answer with a grade from 0 to {len(grades) - 1}, got {answer!r}"
            )
        return grade

    return judge


def _ask(url: str, model: str, prompt: str, key: str) -> str:
    content = {
        "model": model,
        "temperature": 0,
        "messages": [{"role": "user", "content": prompt}],
    }
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            raw = json.load(response)
        return str(raw["choices"][0]["message"]["content"])
    except urllib.error.HTTPError as error:
        detail = error.read(500).decode(errors="replace")
        raise JudgeError(f"the judge at {url} answered {error.code}: {detail}") from None
    except (OSError, ValueError) as error:
        raise JudgeError(f"the judge at {url} cannot be asked: {error}") from None
    except (KeyError, IndexError, TypeError):
        raise JudgeError(f"the judge at {url} must answer as OpenAI's API, got {raw!r}") from None
