"""Line charts as SVG: as wide as the page, with text of one size at any width, in the colours of the page's theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Line = Sequence[tuple[float, float]]
STYLES = 4  # how many lines can be distinguished
_MOST = 1e30  # values beyond are drawn there
_DOTS = 60  # a line of this many points or fewer shows each


def line_chart(
    title: str,
    lines: Mapping[str, Line],
    x_name: str = "epoch",
    percent: bool = False,
    baselines: Mapping[str, float] | None = None,
    y_ends: tuple[float, float] | None = None,
) -> str:
    """A chart of up to four lines, distinguished by colour and by dashes.

    The picture stretches with the page. Everything is placed by shares of it, so that text and dots keep their size;
    only the lines themselves are scaled.

    Args:
        title: plain text above it.
        lines: name -> points (x, y), ascending in x; at least one point in all.
        x_name: of the axis below.
        percent: y is a share, written in per cent.
        baselines: name -> y of a horizontal line to compare with.
        y_ends: of the axis at the left; default: it fits the points.

    Raises:
        ValueError: more lines than can be distinguished, or no point.
    """
    points = [point for line in lines.values() for point in line]
    if not points or len(lines) > STYLES:
        raise ValueError(f"{title}: {len(lines)} lines and {len(points)} points; give 1 to {STYLES} lines with points")
    baselines = baselines or {}
    axes = _Axes.around(points, y_ends or list(baselines.values()))
    parts = axes.draw(x_name, percent)
    for name, y in baselines.items():
        down = f"{axes.place(axes.x[0], y)[1]:.2f}%"
        parts.append(f'<line class="base" x1="0%" x2="100%" y1="{down}" y2="{down}"/>')
        text = escape(f"{name}: {_spoken(y, percent)}")
        parts.append(f'<text class="base" x="100%" y="{down}" dy="-5" text-anchor="end">{text}</text>')
    for style, (name, line) in enumerate(lines.items()):
        parts += _draw_line(axes, name, line, style, percent)
    ends = [f"{name} ends at {_spoken(line[-1][1], percent)}" for name, line in lines.items() if line]
    ends += [f"{name} is {_spoken(y, percent)}" for name, y in baselines.items()]
    spoken = escape(f"{title}: {'; '.join(ends)}")
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{_legend(list(lines)) if len(lines) > 1 else ''}"
        f'<div class="chart"><svg role="img" aria-label="{spoken}">{"".join(parts)}</svg></div></figure>'
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, evenly spaced, from at or below ``low`` to at or above ``high``.

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
    def around(cls, points: Line, more: Sequence[float]) -> _Axes:
        """Axes that hold all points, and further values of y.

        The y axis begins and ends at a tick; the x axis has whole ticks where all x are whole.
        """
        low, high = _span([x for x, _ in points])
        whole = all(x == int(x) for x, _ in points)
        x_ticks = [x for x in ticks(low, high) if low <= x <= high and (x == int(x) or not whole)]
        y_low, y_high = _span([*(y for _, y in points), *more])
        y_ticks = ticks(y_low, y_high)
        return cls((low, high), (min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])), x_ticks, y_ticks)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Across and down, in per cent of the picture."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return 100 * across, 100 * (1 - up)

    def draw(self, x_name: str, percent: bool) -> list[str]:
        """SVG of grid lines, numbers and the name below."""
        parts = []
        for y in self.y_ticks:
            down = f"{self.place(self.x[0], y)[1]:.2f}%"
            text = f"{100 * y:g} %" if percent else f"{y:g}"
            parts.append(f'<line class="axis" x1="0%" x2="100%" y1="{down}" y2="{down}"/>')
            parts.append(f'<text x="0%" y="{down}" dx="-8" dy="5" text-anchor="end">{text}</text>')
        for x in self.x_ticks:
            across = f"{self.place(x, self.y[0])[0]:.2f}%"
            parts.append(f'<text x="{across}" y="100%" dy="20" text-anchor="middle">{x:g}</text>')
        return [*parts, f'<text x="50%" y="100%" dy="42" text-anchor="middle">{escape(x_name)}</text>']


def _draw_line(axes: _Axes, name: str, line: Line, style: int, percent: bool) -> list[str]:
    """The line, stretched to the picture, and its points, which are not."""
    places = [axes.place(*point) for point in line]
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
    drawn = [
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" overflow="visible">'
        f'<polyline class="s{style}" points="{path}"/></svg>'
    ]
    if len(places) <= _DOTS:
        for (x, y), (at, value) in zip(places, line, strict=True):
            said = escape(f"{name}, {at:.4g}: {_spoken(value, percent)}")
            drawn.append(f'<circle class="s{style}" cx="{x:.2f}%" cy="{y:.2f}%" r="3.5"><title>{said}</title></circle>')
    return drawn


def _legend(names: Sequence[str]) -> str:
    lines = "".join(
        f'<li><svg aria-hidden="true"><line class="s{style}" x1="0" x2="38" y1="7" y2="7" stroke-width="3"/></svg>'
        f"{escape(name)}</li>"
        for style, name in enumerate(names)
    )
    return f'<ul class="legend">{lines}</ul>'


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = (max(-_MOST, min(value, _MOST)) for value in (min(values), max(values)))
    spare = max(0.5, 1e-3 * abs(low))
    return (low, high) if high - low > 1e-9 * spare else (low - spare, high + spare)


def _spoken(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.4g}"
