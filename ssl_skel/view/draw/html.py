"""The shell of every page, and its pieces: one file that needs no network and obeys no script but its own.

The page's policy names the hash of its script and sheet, so that text from a data set, escaped as it is, could not act
even if it slipped through.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_skel.files.atomic import write_bytes
from ssl_skel.files.taken import refuse_taken_file
from ssl_skel.view.draw.clips import BUDGET, RenderableClip, pack

_SCRIPTS = ("skeleton.js", "map.js", "player.js")  # the last one starts the page
_MOTION = """<button id="play">Play</button>
<label>Moment <input id="scrub" type="range" min="0" max="1000" value="0"></label>
<span id="clock" class="soft"></span>
<label>Speed <select id="speed"><option value="0.25">&frac14;</option><option value="0.5">&frac12;</option>
<option value="1" selected>1</option><option value="2">2</option></select></label>
<label>In step <select id="sync"><option value="phase">same part of the movement</option>
<option value="time">same seconds</option></select></label>
<button data-turn="0 0.12">Front</button><button data-turn="1.57 0.12">Side</button>
<button data-turn="0 1.57">Above</button>
<button id="follow" aria-pressed="true">Follow the body</button>
"""
_LEGEND = """<ul class="legend" aria-label="How bodies are drawn">
<li><svg aria-hidden="true"><line class="line-left" x1="0" y1="7" x2="38" y2="7"/></svg>left limbs (dashed)</li>
<li><svg aria-hidden="true"><line class="line-right" x1="0" y1="7" x2="38" y2="7"/></svg>right limbs</li>
<li><svg aria-hidden="true"><line class="line-middle" x1="0" y1="7" x2="38" y2="7"/></svg>trunk and head</li>
<li><svg aria-hidden="true"><line class="line-second" x1="0" y1="7" x2="38" y2="7"/></svg>second person (thin)</li>
<li>The grid is the floor. Drag a body, or press the arrow keys on it, to turn all of them; space plays and pauses,
comma and full stop go one picture back and on.</li></ul>"""


def document(
    title: str,
    intro: str,
    body: str,
    clips: Sequence[RenderableClip],
    *,
    maps: Mapping[str, Any] | None = None,
    sync: Literal["phase", "time"] = "phase",
    budget: int = BUDGET,
) -> str:
    """A whole page.

    Args:
        title: plain text.
        intro: what one sees, plain text.
        body: HTML, its clips' places made by ``card``.
        clips: what the places' numbers mean.
        maps: points of the places made by ``point_map``, by name.
        sync: how clips of unequal length go in step at first: at the same part, or at the same second.
        budget: bytes for the coordinates of all clips, see ``pack``.
    """
    assets = files("ssl_skel.view.draw") / "assets"
    sheet = (assets / "page.css").read_text("utf-8")
    script = "\n".join((assets / name).read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    data = json.dumps(pack(clips, budget) | {"maps": maps or {}, "sync": sync}, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c")  # no name can close the element that holds it
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(sheet)}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{sheet}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>{escape(intro)}</p>{_LEGEND if clips else ""}</header>
<div class="bar" role="toolbar" aria-label="Controls"><div>{_MOTION if clips else ""}
<button id="theme">Light or dark</button></div></div>
<main>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def card(number: int, clip: RenderableClip, heading: str = "", stand: int | None = None) -> str:
    """Place of a clip: its name, its player and its facts.

    Args:
        number: of the clip in the page.
        clip: that clip.
        heading: instead of its name, plain text.
        stand: number of the clip whose size and path the camera keeps to; default: its own.
    """
    what = f"Moving skeleton, {heading or clip.name}. Arrow keys turn it."
    numbers = f'data-clip="{number}" data-stand="{number if stand is None else stand}"'
    return (
        f'<article class="clip"><h3>{escape(heading or clip.name)}</h3>'
        f'<canvas {numbers} tabindex="0" role="img" aria-label="{escape(what)}"></canvas>'
        f"{fact_list(clip.facts)}</article>"
    )


def grid(cards: Sequence[str], kind: str = "grid") -> str:
    """Cards side by side."""
    return f'<div class="{kind}">{"".join(cards)}</div>'


def point_map(name: str, classes: Sequence[str], title: str) -> str:
    """Place of a map of clips, beside the player of the one that is pointed at, above one button a class.

    Args:
        name: of its points among the page's maps; see ``points``.
        classes: names of the kinds.
        title: for those who do not see it.
    """
    what = f"{title}. Arrow keys go from clip to clip."
    buttons = "".join(
        f'<button data-kind="{kind}" aria-pressed="false"><canvas aria-hidden="true"></canvas>{escape(label)}</button>'
        for kind, label in enumerate(classes)
    )
    return (
        f'<section><div class="map" data-map="{escape(name)}">'
        f'<canvas tabindex="0" role="img" aria-label="{escape(what)}"></canvas>'
        '<aside class="clip" aria-live="polite"><h3>Point at a mark to see its movement</h3>'
        '<canvas tabindex="0" role="img" aria-label="The movement pointed at"></canvas><dl></dl></aside></div>'
        f'<div class="classes" role="group" aria-label="Show one class alone">{buttons}</div></section>'
    )


def points(places: np.ndarray, kinds: np.ndarray, first: int = 0) -> dict[str, Any]:
    """Points of a map.

    Args:
        places: (N, 2) coordinates of any scale; both axes are stretched to the picture.
        kinds: (N,) class numbers, -1 unknown.
        first: number in the page of the first point's clip; the others follow.
    """
    low, high = places.min(0), places.max(0)
    share = ((places - low) / np.where(high > low, high - low, 1)).round(4)
    return {
        "x": share[:, 0].tolist(),
        "y": (1 - share[:, 1]).tolist(),
        "kind": kinds.tolist(),
        "clip": list(range(first, first + len(places))),
    }


def fact_list(facts: Mapping[str, str]) -> str:
    """Names and values, one pair a line; empty where there are none."""
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table of text."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def heat_table(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: Sequence[Sequence[str]] | None = None,
    corner: str = "",
    diagonal: bool = False,
) -> str:
    """A matrix as a table whose cells are stronger in colour where more is.

    Args:
        values: (R, C), not negative; shades are shares of the largest.
        rows, columns: names.
        texts: written into the cells; None: the cells are small, and a value shows under the pointer.
        corner: what rows and columns are.
        diagonal: frame the cells where both are the same.
    """
    top = max(float(values.max(initial=0)), 1e-12)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    lines = []
    for at, name in enumerate(rows):
        cells = []
        for to, value in enumerate(values[at]):
            own = " own" if diagonal and at == to else ""
            text = escape(texts[at][to]) if texts is not None else ""
            hint = "" if texts is not None else f' title="{value:.3g}"'
            cells.append(f'<td class="h{min(9, int(10 * value / top))}{own}"{hint}>{text}</td>')
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    kind = "heat" if texts is not None else "heat small"
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr><th>{escape(corner)}</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def write_page(path: Path, html: str, overwrite: bool = False) -> None:
    """Write a page.

    Raises:
        UserError: the file exists already, or the system refuses to write.
    """
    write_file(path, html.encode(), overwrite)


def write_file(path: Path, content: bytes, overwrite: bool = False) -> None:
    """Write a picture or page, unless the file exists already.

    Raises:
        UserError: as ``write_page``.
    """
    refuse_taken_file(path, overwrite)
    write_bytes(path, content, make_folder=False)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
