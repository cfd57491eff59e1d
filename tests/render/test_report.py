"""Reports: text is escaped in each format, and plots are well-formed."""

import xml.etree.ElementTree as ET

import pytest

from lexpand.render.html import Bar
from lexpand.render.plots import Plot, Series, histogram
from lexpand.render.report import Heading, Paragraph, Report, TableOf

EVIL = "<b>|`x`*[a](b)|</b>"


def test_text_is_escaped_in_html_and_markdown() -> None:
    blocks = [
        Heading(EVIL),
        Paragraph(EVIL),
        Paragraph(EVIL, note=True),
        TableOf((EVIL, "n"), ((EVIL, "1"),), frozenset({1})),
        Plot(EVIL, EVIL, EVIL, (Series(EVIL, ((1.0, 2.0),), (EVIL,)),)),
    ]
    report = Report(EVIL, blocks)
    assert "<b>" not in report.to_html()
    for line in report.to_markdown().splitlines():
        if line.startswith("|"):
            bare = line.replace("\\|", "")
            assert bare.count("|") in (3, 4)
    assert "\\`x\\`" in report.to_markdown() and "](b)" not in report.to_markdown().replace(
        "\\]", ""
    )


def test_markdown_leaves_out_bars_and_aligns_numbers() -> None:
    table = TableOf(("a", "", "n"), (("x", Bar(0.5), "1"),), frozenset({2}))
    assert Report("t", [table]).to_markdown() == ("# t\n\n| a | n |\n| --- | ---: |\n| x | 1 |\n")


@pytest.mark.parametrize("kind", ["points", "lines", "bars"])
@pytest.mark.parametrize(
    "points", [(), ((0.0, 0.0),), ((1.0, -2.0), (3.0, 5.0)), ((1e-9, 1e9), (2.0, 2.0))]
)
@pytest.mark.parametrize("log_x", [False, True])
def test_a_plot_is_well_formed_whatever_its_points_are(
    kind: str, points: tuple[tuple[float, float], ...], log_x: bool
) -> None:
    svg = ET.fromstring(Plot("t", "x", "y", (Series("s", points),), kind, log_x).to_svg())
    legend = 1 if kind == "lines" else 0
    shapes = [each for each in svg.iter() if each.tag in ("circle", "rect")]
    shapes = shapes[: len(shapes) - legend]
    assert len(shapes) == len(points)
    for each in shapes:
        place = float(each.get("cx") or each.get("x") or "nan")
        assert -1 <= place <= 641


def test_a_histogram_has_the_shares_of_each_sample() -> None:
    plot = histogram("terms", "n", [("a", [1, 2, 3]), ("b", [10.0] * 4)])
    for series in plot.series:
        assert sum(share for _, share in series.points) == pytest.approx(1)
    assert plot.series[1].points[-1][1] == 1


def test_plots_become_tables_in_markdown() -> None:
    points = Plot("p", "ms", "q", (Series("bm25", ((0.5, 0.3),), ("bm25",)),))
    assert "| bm25 | 0.5 | 0.3 |" in Report("t", [points]).to_markdown()
    bars = Plot("p", "query", "d", (Series("s", tuple((i, i) for i in range(5))),), "bars")
    assert "| s | 0 | 1 | 2 | 3 | 4 |" in Report("t", [bars]).to_markdown()
