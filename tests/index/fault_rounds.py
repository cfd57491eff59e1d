"""A writer that meets a fault: for each line of standard input, a child changes an index by a fixed script.

The line is JSON: the index's path, the number of the call at which the fault comes, the fault, and
what the writer does when an error is raised (``die``, or ``retry`` the same step). The answer is a
line of JSON: the state that the last commit promised, the state that was under way, how the child
ended, what it raised, and the calls that it made. Forks, so that Python starts only once. faults.c
is preloaded.
"""

import ctypes
import json
import os
import signal
import sys

from change_model import put, versioned

from lexpand import Index
from lexpand.errors import LexpandError

MODES = [
    "count",
    "kill before",
    "kill after",
    "fail",
    "full",
    "half and kill",
    "half",
    "fail from",
    "full from",
]


def prepare(path):
    """The index that each script begins with, in seven commits."""
    from change_model import create

    with create(path) as index:
        for number in range(7):
            put(index, [versioned(number, 0), versioned(number + 20, 0)])
            index.commit()


def start():
    return {f"d{n}": versioned(n, 0) for number in range(7) for n in (number, number + 20)}


def change(state, added=(), deleted=()):
    """What `steps` does to a state."""
    gone = {*deleted, *(document.doc_id for document in added)}
    kept = {doc_id: document for doc_id, document in state.items() if doc_id not in gone}
    return kept | {document.doc_id: document for document in added}


# What each commit adds and deletes; the first makes eight segments, which become one; None is
# `compact`.
SCRIPT = [
    ([versioned(0, 1), versioned(10, 0)], ["d1"]),
    ([], ["d20", "d21", "d22", "d23", "d24"]),
    ([versioned(11, 0)], []),
    None,
    ([versioned(8, 0), versioned(2, 1)], ["d11"]),
]


def states():
    """The state after each step, that at the beginning first."""
    found = [start()]
    for step in SCRIPT:
        found.append(change(found[-1], *step) if step else found[-1])
    return found


def take(index, step):
    if step is None:
        index.compact()
        return
    added, deleted = step
    put(index, [versioned(99, 9)])
    index.rollback()
    index.delete(deleted)
    put(index, added)
    index.commit()


def run(path, after, tell):
    with Index.open(path) as index:
        for number, step in enumerate(SCRIPT, 1):
            tell({"under way": number})
            try:
                take(index, step)
            except LexpandError as error:
                tell({"raised": f"{type(error).__name__}: {error}"})
                if after == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if index.waiting:
                    index.commit()
                else:
                    take(index, step)
            tell({"promised": number})


def child(order, out):
    signal.alarm(60)
    shim = ctypes.CDLL(None)
    shim.fault_kinds.restype = ctypes.c_char_p
    shim.fault_arm(order["path"].encode(), order["number"], MODES.index(order["fault"]))

    def tell(fact):
        os.write(out, json.dumps(fact).encode() + b"\n")

    try:
        run(order["path"], order["after"], tell)
    except LexpandError as error:
        tell({"gave up": f"{type(error).__name__}: {error}"})
    except Exception as error:  # noqa: BLE001 - it is told
        tell({"unexpected": repr(error)})
    tell({"kinds": shim.fault_kinds().decode()})


def one_round(order):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            child(order, write)
        finally:
            os._exit(0)
    os.close(write)
    facts = {"promised": 0, "under way": 0}
    with os.fdopen(read) as told:
        for line in told:
            facts |= json.loads(line)
    facts["code"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return facts


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(one_round(json.loads(line))) + "\n")
        sys.stdout.flush()
