"""A progress bar on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

OnDone = Callable[[int], None]
"""A callback that takes the number of items finished since the last call."""


@contextmanager
def reporting(total: int | None, what: str, show: bool) -> Iterator[Callable[[int], None]]:
    """Yield an `OnDone` callback that drives a progress bar.

    Args:
        total: the number of items. If it is None, a count and the elapsed time replace the bar.
        what: the label.
        show: whether to show anything.
    """
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*_columns(total), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def _columns(total: int | None) -> tuple[ProgressColumn, ...]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """The number of items per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:,.1f}/s")

    what = TextColumn("{task.description}")
    if total is None:
        return (
            SpinnerColumn(),
            what,
            TextColumn("{task.completed:,.0f}"),
            Rate(),
            TimeElapsedColumn(),
        )
    return what, BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()
