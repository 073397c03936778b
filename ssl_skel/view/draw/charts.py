"""Line charts as SVG that takes its colours from the page's theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Line = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 240, 52, 12, 22, 36
STYLES = 4  # how many lines can be distinguished
_DOTS = 30  # a line of so many points or fewer shows each


def line_chart(title: str, lines: Mapping[str, Line], x_name: str = "epoch", percent: bool = False) -> str:
    """A chart of up to four lines, distinguished by colour and by dashes.

    Args:
        title: plain text above it.
        lines: name -> points (x, y), ascending in x; at least one point in all.
        x_name: of the axis below.
        percent: y is a share, written in per cent.

    Raises:
        ValueError: more lines than can be distinguished, or no point.
    """
    points = [point for line in lines.values() for point in line]
    if not points or len(lines) > STYLES:
        raise ValueError(f"{title}: {len(lines)} lines and {len(points)} points; give 1 to {STYLES} lines with points")
    axes = _Axes.around(points)
    parts = axes.draw(x_name, percent)
    for style, (name, line) in enumerate(lines.items()):
        parts += _draw_line([axes.place(*point) for point in line], style)
        if len(lines) > 1:
            parts += _legend_entry(name, style, len(lines))
    ends = "; ".join(f"{name} ends at {_spoken(line[-1][1], percent)}" for name, line in lines.items() if line)
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
        about: desired number of steps.
    """
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    digits = max(0, 1 - math.floor(math.log10(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, digits) for at in range(first, last + 1)]


@dataclass(frozen=True)
class _Axes:
    """From values to places in the picture.

    Attributes:
        x, y: ends of each axis, low below high.
        x_ticks, y_ticks: round numbers within them.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: list[float]
    y_ticks: list[float]

    @classmethod
    def around(cls, points: Line) -> _Axes:
        """Axes that hold all points; y begins and ends at a tick, x has whole ticks where all x are whole."""
        low, high = _span([x for x, _ in points])
        whole = all(x == int(x) for x, _ in points)
        x_ticks = [x for x in ticks(low, high) if low <= x <= high and (x == int(x) or not whole)]
        y_low, y_high = _span([y for _, y in points])
        y_ticks = ticks(y_low, y_high)
        return cls((low, high), (min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])), x_ticks, y_ticks)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Across and down, in the picture's units."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def draw(self, x_name: str, percent: bool) -> list[str]:
        """SVG of grid lines, numbers and the name below."""
        parts = []
        for y in self.y_ticks:
            down = self.place(self.x[0], y)[1]
            text = f"{100 * y:g} %" if percent else f"{y:g}"
            parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{text}</text>')
        for x in self.x_ticks:
            across = self.place(x, self.y[0])[0]
            parts.append(f'<text x="{across:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
        centre = (_LEFT + _WIDTH) / 2
        return [*parts, f'<text x="{centre}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>']


def _draw_line(places: Line, style: int) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle class="s{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places]
    return [f'<polyline class="s{style}" points="{path}"/>', *(dots if len(places) <= _DOTS else [])]


def _legend_entry(name: str, style: int, count: int) -> list[str]:
    x = _LEFT + style * (_WIDTH - _LEFT) / count
    return [
        f'<line class="s{style}" x1="{x}" x2="{x + 18}" y1="9" y2="9" stroke-width="2"/>',
        f'<text class="s{style}" x="{x + 22}" y="13">{escape(name)}</text>',
    ]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _spoken(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.4g}"
