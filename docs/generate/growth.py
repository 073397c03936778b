"""The plot of time and memory over the number of clips, from ``results/growth.json``."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

FILE = Path(__file__).parents[2] / "results/growth.json"
_PANELS = (("core_seconds", "seconds of one core", 1e-3), ("megabytes", "MB of own memory", 0.1))


def picture() -> str:
    """SVG of two panels, both axes logarithmic: a line for each step, and one that grows tenfold with the clips."""
    rows: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))["rows"]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, (key, title, least) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for step in dict.fromkeys(row["step"] for row in rows):
            own = [row for row in rows if row["step"] == step]
            axes.loglog([row["clips"] for row in own], [max(least, row[key]) for row in own], marker="o", label=step)
        clips = sorted({row["clips"] for row in rows})
        axes.loglog(clips, [max(least, 1e-3) * one / clips[0] for one in clips], "k:", label="ten times as much")
        axes.set(xlabel="clips", ylabel=title)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize="small")
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
