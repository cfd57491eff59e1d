"""A writer process that is killed: for each input line, a child commits until SIGKILL ends it.

An input line is the number of seconds between opening the index and the kill. The output line has
the numbers of the documents whose commit returned, which the child writes after each commit. The
process forks, so that Python starts only once.
"""

import os
import signal
import sys
import time

import filelock  # noqa: F401  (imported here, because a child may live too briefly to import it)
from index_toys import add_toys

from lexpand import Index


def write_for_ever(path: str, out: int) -> None:
    index = Index.open(path)
    os.write(out, b" ")
    number = len(index)
    while True:
        numbers = [number, number + 1]
        add_toys(index, *numbers)
        index.commit()
        os.write(out, b"%d %d " % tuple(numbers))
        number += 2


def one_round(path: str, seconds: float) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            write_for_ever(path, write)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as written:
        written.read(1)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return written.read() if killed else "the child ended by itself"


for line in sys.stdin:
    sys.stdout.write(one_round(sys.argv[1], float(line)) + "\n")
    sys.stdout.flush()
