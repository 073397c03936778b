"""Line charts: round numbers below, points where they belong, and words for those who do not see them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_skel.view.draw.charts import line_chart, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_cover_the_range_and_are_round(low: float, extent: float) -> None:
    found = ticks(low, low + extent)
    step = found[1] - found[0]
    assert found[0] <= low + 1e-6 * step
    assert found[-1] >= low + extent - 1e-6 * step
    assert 3 <= len(found) <= 13
    assert f"{step:.3e}"[0] in "125"


def coordinates(svg: str, style: int) -> list[tuple[float, float]]:
    (path,) = re.findall(rf'<polyline class="s{style}" points="([^"]*)"', svg)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in path.split())]


def test_points_lie_where_their_numbers_say() -> None:
    svg = line_chart("t", {"a": [(0, 0.0), (5, 1.0), (10, 0.5)], "b": [(10, 0.0)]})
    (x0, y0), (x1, y1), (x2, y2) = coordinates(svg, 0)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.02)
    assert y1 < y2 < y0
    assert y2 - y1 == pytest.approx(y0 - y2, abs=0.02)
    assert coordinates(svg, 1) == [(x2, y0)]


def test_it_is_well_formed_escaped_and_says_where_lines_end() -> None:
    svg = line_chart("<t>", {"a & b": [(1, 0.25), (2, 0.5)], "c": [(1, 0.75)]}, percent=True)
    root = ElementTree.fromstring(svg)
    labels = [element.get("aria-label") for element in root.iter("svg") if element.get("aria-label")]
    assert labels == ["<t>: a & b ends at 50.0 %; c ends at 75.0 %"]
    assert "60 %" in svg


def test_a_baseline_is_a_horizontal_line_with_its_name() -> None:
    svg = line_chart("t", {"a": [(0, 0.5), (1, 1.0)]}, percent=True, baselines={"<raw>": 0.25}, y_ends=(0, 1))
    (line,) = re.findall(r'<line class="base" x1="0%" x2="100%" y1="(.*?)" y2="(.*?)"/>', svg)
    assert line == ("75.00%", "75.00%")
    assert "&lt;raw&gt;: 25.0 %</text>" in svg
    assert "&lt;raw&gt; is 25.0 %" in svg
    assert coordinates(svg, 0) == [(0.0, 50.0), (100.0, 0.0)]


def test_one_point_and_too_many_lines() -> None:
    assert len(coordinates(line_chart("t", {"a": [(3, 2.0)]}), 0)) == 1
    for lines in ({}, {"a": []}, {str(at): [(0, 0.0)] for at in range(5)}):
        with pytest.raises(ValueError, match="give 1 to 4 lines"):
            line_chart("t", lines)


@pytest.mark.parametrize("values", [(1e30, 1e30), (-1e300, 1.7e308), (1e16, 1e16), (0.0, 5e-324), (1.0, 1.0 + 2**-52)])
def test_any_numbers_can_be_drawn(values: tuple[float, float]) -> None:
    svg = line_chart("loss", {"a": list(enumerate(values))})
    ElementTree.fromstring(svg)
    assert "nan" not in svg
    assert all(-1 <= y <= 101 for _, y in coordinates(svg, 0)) or max(map(abs, values)) > 1e30
