"""Line charts as SVG that takes its colours from the page's theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Line = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 240, 52, 12, 22, 36
STYLES = 4  # how many lines can be told apart


def line_chart(title: str, lines: Mapping[str, Line], x_name: str = "epoch", percent: bool = False) -> str:
    """A chart of up to four lines, told apart by colour and by dashes.

    Args:
        title: plain text above it.
        lines: name -> points (x, y), ascending in x; at least one point in all.
        x_name: of the axis below.
        percent: y is a share, written in per cent.

    Raises:
        ValueError: more lines than can be told apart, or no point.
    """
    points = [point for line in lines.values() for point in line]
    if not points or len(lines) > STYLES:
        raise ValueError(f"{title}: {len(lines)} lines and {len(points)} points; give 1 to {STYLES} lines with points")
    (x_low, x_high), (y_low, y_high) = (_span([point[axis] for point in points]) for axis in (0, 1))
    y_ticks = ticks(y_low, y_high)
    whole = all(x == int(x) for x, _ in points)
    x_ticks = [x for x in ticks(x_low, x_high) if x_low <= x <= x_high and (x == int(x) or not whole)]
    y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for y in y_ticks:
        at = place(x_low, y)[1]
        text = f"{100 * y:g} %" if percent else f"{y:g}"
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    for x in x_ticks:
        at = place(x, y_low)[0]
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>')
    for style, (name, line) in enumerate(lines.items()):
        placed = [place(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="s{style}" points="{path}"/>')
        if len(placed) <= 30:
            parts += [f'<circle class="s{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in placed]
        if len(lines) > 1:
            x = _LEFT + style * (_WIDTH - _LEFT) / len(lines)
            parts.append(f'<line class="s{style}" x1="{x}" x2="{x + 18}" y1="9" y2="9" stroke-width="2"/>')
            parts.append(f'<text class="s{style}" x="{x + 22}" y="13">{escape(name)}</text>')
    ends = "; ".join(f"{name} ends at {_said(line[-1][1], percent)}" for name, line in lines.items() if line)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(f"{title}: {ends}")}">'
        f"{''.join(parts)}</svg></figure>"
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover a range, from at or below ``low`` to at or above ``high``.

    >>> ticks(0.13, 0.88)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]

    Args:
        low, high: ends, low below high.
        about: how many steps are wished for.
    """
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    digits = max(0, 1 - math.floor(math.log10(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, digits) for at in range(first, last + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _said(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.4g}"
