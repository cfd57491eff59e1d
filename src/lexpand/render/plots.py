"""Plots as SVG without scripts: points, lines and sorted bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 14, 44
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one color.

    Attributes:
        name: the name in the legend.
        points: (x, y).
        labels: a text at each point; empty for none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Attributes:
        title: the title.
        x, y: the names of the axes.
        series: what is drawn.
        kind: ``points``, ``lines`` or ``bars``.
        log_x: whether the x axis is logarithmic.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    kind: str = "points"
    log_x: bool = False

    def to_svg(self) -> str:
        """Return the plot as an SVG element that follows the colors of the page."""
        xs = [self._at(x) for each in self.series for x, _ in each.points] or [0.0, 1.0]
        ys = [y for each in self.series for _, y in each.points] or [0.0, 1.0]
        frame = _Frame(_range(xs, zero=False), _range(ys, zero=self.kind == "bars"))
        parts = [*self._axes(frame)]
        for number, each in enumerate(self.series):
            parts += self._drawn(each, number, frame)
        if self.kind == "lines" or len(self.series) > 1:
            parts += _legend(self.series)
        label = escape(f"{self.title}: {self.y} by {self.x}", quote=True)
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
            f"{''.join(parts)}</svg>"
        )

    def to_table(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the head and the rows of a table of all points; of bars, only their quartiles."""
        if self.kind == "bars":
            return self._quartiles()
        rows = [
            (
                each.labels[i] if each.labels else each.name,
                f"{x:g}",
                f"{y:.4g}",
            )
            for each in self.series
            for i, (x, y) in enumerate(each.points)
        ]
        return ("series", self.x, self.y), tuple(rows)

    def _quartiles(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        rows = []
        for each in self.series:
            found = sorted(y for _, y in each.points) or [0.0]
            places = [round(share * (len(found) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)]
            rows.append((each.name, *(f"{found[place]:.4g}" for place in places)))
        return (self.y, "min", "25 %", "50 %", "75 %", "max"), tuple(rows)

    def _at(self, x: float) -> float:
        return math.log10(max(x, 1e-9)) if self.log_x else x

    def _axes(self, frame: _Frame) -> list[str]:
        parts = []
        for value in _ticks(*frame.y):
            height = frame.down(value)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" ')
            parts.append(f'y1="{height:.1f}" y2="{height:.1f}"/>')
            parts.append(_text(_LEFT - 6, height + 4, f"{value:g}", "end"))
        for value in _log_ticks(*frame.x) if self.log_x else _ticks(*frame.x):
            shown = f"{10**value:.3g}" if self.log_x else f"{value:g}"
            parts.append(_text(frame.right(value), _HEIGHT - _BOTTOM + 16, shown, "middle"))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(_text(middle, _HEIGHT - 8, self.x, "middle"))
        parts.append(
            f'<text transform="translate(14 {(_HEIGHT - _BOTTOM + _TOP) / 2:.0f}) rotate(-90)"'
            f' text-anchor="middle">{escape(self.y)}</text>'
        )
        return parts

    def _drawn(self, series: Series, number: int, frame: _Frame) -> list[str]:
        color = f"s{number % 6}"
        places = [(frame.right(self._at(x)), frame.down(y)) for x, y in series.points]
        if self.kind == "bars":
            return _bars(places, frame.down(0.0), color)
        parts = []
        if self.kind == "lines":
            joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline class="line {color}" points="{joined}"/>')
        for i, (x, y) in enumerate(places):
            label = series.labels[i] if series.labels else series.name
            shown = escape(f"{label}: {series.points[i][0]:g}, {series.points[i][1]:.4g}")
            parts.append(
                f'<circle class="dot {color}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                f"<title>{shown}</title></circle>"
            )
            if series.labels:
                at_end = x > _WIDTH * 0.75
                anchor = "end" if at_end else "start"
                parts.append(_text(x - 7 if at_end else x + 7, y - 5, series.labels[i], anchor))
        return parts


@dataclass(frozen=True, slots=True)
class _Frame:
    """Ranges of both axes, and where their values are drawn."""

    x: tuple[float, float]
    y: tuple[float, float]

    def right(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def histogram(title: str, x: str, samples: Sequence[tuple[str, Sequence[float]]]) -> Plot:
    """Return the shares of samples in 20 intervals of equal width, as lines.

    Args:
        title: the title.
        x: what was counted.
        samples: the name of each sample and its values.
    """
    values = [value for _, each in samples for value in each] or [0.0]
    low, high = min(values), max(values)
    width = (high - low) / 20 or 1.0
    series = []
    for name, each in samples:
        counts = [0] * 20
        for value in each:
            counts[min(19, int((value - low) / width))] += 1
        total = max(1, len(each))
        points = tuple((low + (i + 0.5) * width, count / total) for i, count in enumerate(counts))
        series.append(Series(name, points))
    return Plot(title, x, "share", tuple(series), "lines")


def _bars(places: Sequence[tuple[float, float]], zero: float, color: str) -> list[str]:
    width = min(24.0, max(0.5, (_WIDTH - _LEFT - _RIGHT) / max(1, len(places)) * 0.9))
    return [
        f'<rect class="{color if y <= zero else "minus"}" x="{x - width / 2:.1f}"'
        f' y="{min(y, zero):.1f}" width="{width:.2f}" height="{abs(y - zero):.1f}"/>'
        for x, y in places
    ]


def _legend(series: Sequence[Series]) -> list[str]:
    parts, x = [], float(_LEFT)
    for number, each in enumerate(series):
        parts.append(f'<circle class="dot s{number % 6}" cx="{x + 5:.0f}" cy="{_TOP - 6}" r="4"/>')
        parts.append(_text(x + 13, _TOP - 2, each.name, "start"))
        x += 28 + 7 * len(each.name)
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _range(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _log_ticks(low: float, high: float) -> list[float]:
    """Return the logarithms of 1, 2 and 5 times powers of ten in a range of logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = [math.log10(factor) + power for power in powers for factor in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def _ticks(low: float, high: float) -> list[float]:
    """Return round values in a range: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    count = math.floor(high / step) - first + 1
    return [round((first + i) * step, 12) for i in range(max(0, count))]
