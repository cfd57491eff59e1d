"""A writer process with injected faults: for each input line, a child changes an index by a script.

An input line is JSON: the path of the index, the number of the call with the fault, the fault, and
what the writer does after an error (``die``, or ``retry`` the same step). The output line is JSON:
the last committed state, the state in progress, the exit code of the child, the errors it raised,
and the calls that it made.

The process forks, so that Python starts only once. faults.c is preloaded.
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
    """Create the initial index of the script, in seven commits."""
    from change_model import create

    with create(path) as index:
        for number in range(7):
            put(index, [versioned(number, 0), versioned(number + 20, 0)])
            index.commit()


def start():
    return {f"d{n}": versioned(n, 0) for number in range(7) for n in (number, number + 20)}


def change(state, added=(), deleted=()):
    """Return the state after a step of the script."""
    removed = {*deleted, *(document.doc_id for document in added)}
    kept = {doc_id: document for doc_id, document in state.items() if doc_id not in removed}
    return kept | {document.doc_id: document for document in added}


# The additions and deletions of each commit; None is `compact`. The first commit makes the eighth
# segment, so that all are merged.
SCRIPT = [
    ([versioned(0, 1), versioned(10, 0)], ["d1"]),
    ([], ["d20", "d21", "d22", "d23", "d24"]),
    ([versioned(11, 0)], []),
    None,
    ([versioned(8, 0), versioned(2, 1)], ["d11"]),
]


def states():
    """Return the initial state and the state after each step."""
    found = [start()]
    for step in SCRIPT:
        found.append(change(found[-1], *step) if step else found[-1])
    return found


def do_step(index, step):
    if step is None:
        index.compact()
        return
    added, deleted = step
    put(index, [versioned(99, 9)])
    index.rollback()
    index.delete(deleted)
    put(index, added)
    index.commit()


def run(path, after, report):
    with Index.open(path) as index:
        for number, step in enumerate(SCRIPT, 1):
            report({"in progress": number})
            try:
                do_step(index, step)
            except LexpandError as error:
                report({"raised": f"{type(error).__name__}: {error}"})
                if after == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if index.waiting:
                    index.commit()
                else:
                    do_step(index, step)
            report({"committed": number})


def child(order, out):
    signal.alarm(60)
    shim = ctypes.CDLL(None)
    shim.fault_kinds.restype = ctypes.c_char_p
    shim.fault_arm(order["path"].encode(), order["number"], MODES.index(order["fault"]))

    def report(fact):
        os.write(out, json.dumps(fact).encode() + b"\n")

    try:
        run(order["path"], order["after"], report)
    except LexpandError as error:
        report({"gave up": f"{type(error).__name__}: {error}"})
    except Exception as error:  # noqa: BLE001 - it is reported
        report({"unexpected": repr(error)})
    report({"kinds": shim.fault_kinds().decode()})


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
    outcome = {"committed": 0, "in progress": 0}
    with os.fdopen(read) as told:
        for line in told:
            outcome |= json.loads(line)
    outcome["code"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return outcome


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(one_round(json.loads(line))) + "\n")
        sys.stdout.flush()
