"""The shell of every page, and its pieces: one file that needs no network and runs no script but its own.

The page's policy names the hash of its script and sheet, so that text from a data set, which is escaped, could not run
even if it slipped through.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_skel.files.atomic import write_bytes
from ssl_skel.files.taken import refuse_taken_file
from ssl_skel.view.draw.clips import BUDGET, RenderableClip, pack, sides

_SCRIPTS = ("skeleton.js", "stage.js", "gallery.js", "map.js", "page.js")  # the last one starts the page
_MOTION = """<button id="play">Play</button>
<label class="moment">Moment <input id="scrub" type="range" min="0" max="1000" value="0"></label>
<span id="clock" class="soft"></span>
<details id="more" open><summary>View</summary><div>
<label>Speed <select id="speed"><option value="0.25">&frac14;</option><option value="0.5">&frac12;</option>
<option value="1" selected>1</option><option value="2">2</option></select></label>
<label>Align by <select id="sync"><option value="phase">part of the movement</option>
<option value="time">seconds</option></select></label>
<button data-turn="0 0.2">Front</button><button data-turn="1.57 0.2">Side</button>
<button data-turn="0 1.57">Above</button>
<button id="closer" aria-label="Zoom in">+</button><button id="farther" aria-label="Zoom out">&minus;</button>
<button id="follow" aria-pressed="true">Follow the body</button>
<button id="names" aria-pressed="false">Joint names</button>
<button id="theme">Light or dark</button></div></details>
"""
_STILL = '<button id="theme">Light or dark</button>'
_LINES = {
    "left": "left limbs (dashed)",
    "right": "right limbs",
    "middle": "trunk and head",
    "second": "second person (thin)",
}
_HELP = """<details class="help"><summary>Mouse, touch and keys</summary><p>The grid is the floor. Drag a body to
turn all of them, drag with Shift or with two fingers to move them, pinch or turn the wheel with Ctrl to
zoom. Point at a joint for its name. Double-click a body, or press its button, for full screen. Keys on a
body: arrows turn, Shift and arrows move, + and &minus; zoom, 0 resets, f is full screen. Space plays and
pauses; comma and full stop step by one frame.</p></details>"""
_ENLARGE = '<svg aria-hidden="true" viewBox="0 0 16 16"><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"/></svg>'


GROUPS = ("class", "predicted", "prediction", "subject", "camera")
"""Facts by which clips are filtered and marks coloured."""


@dataclass(frozen=True)
class Scenes:
    """What the script of a page fills in, besides players.

    Attributes:
        maps: points of the places made by ``point_map``, by name; see ``points``.
        galleries: clips of the places made by ``gallery``, by name: their numbers in the page.
    """

    maps: Mapping[str, Any] = field(default_factory=dict)
    galleries: Mapping[str, Sequence[int]] = field(default_factory=dict)


def document(
    title: str,
    intro: str,
    body: str,
    clips: Sequence[RenderableClip],
    *,
    scenes: Scenes | None = None,
    sync: Literal["phase", "time"] = "phase",
    budget: int = BUDGET,
) -> str:
    """A whole page.

    Args:
        title: plain text.
        intro: what the page shows, plain text.
        body: HTML, its clips' places made by ``card``.
        clips: in the order of the places' numbers.
        scenes: maps and galleries.
        sync: how clips of unequal length are synchronised at first: at the same part, or at the same second.
        budget: bytes for the coordinates of all clips, see ``pack``.
    """
    assets = files("ssl_skel.view.draw") / "assets"
    sheet = (assets / "page.css").read_text("utf-8")
    script = "\n".join((assets / name).read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    scenes = scenes or Scenes()
    galleries = {name: list(numbers) for name, numbers in scenes.galleries.items()}
    extra = {"maps": dict(scenes.maps), "galleries": galleries, "groups": GROUPS, "sync": sync}
    packed = pack(clips, budget) | extra
    data = json.dumps(packed, separators=(",", ":"), allow_nan=False)
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
<header><h1>{escape(title)}</h1><p>{escape(intro)}</p>{_legend(clips)}</header>
<section class="bar" aria-label="Controls"><div>{_MOTION if clips else _STILL}</div></section>
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
        stand: number of the clip whose size and path the camera follows; default: its own.
    """
    numbers = f'data-clip="{number}" data-stand="{number if stand is None else stand}"'
    return f'<article class="clip">{player(heading or clip.name, numbers)}{fact_list(clip.facts)}</article>'


def player(heading: str, numbers: str = "", level: int = 3) -> str:
    """Heading, canvas and full-screen button of a player."""
    name = escape(heading)
    return (
        f'<h{level}>{name}</h{level}><div class="player"><canvas {numbers} tabindex="0" role="img" '
        f'aria-label="Moving skeleton: {name}"></canvas>'
        f'<button class="enlarge" aria-label="Full screen: {name}">{_ENLARGE}</button></div>'
    )


def grid(cards: Sequence[str], kind: str = "grid") -> str:
    """Cards side by side."""
    return f'<div class="{kind}">{"".join(cards)}</div>'


def gallery(name: str) -> str:
    """Place of a gallery: clips page by page, searched by name and filtered by their facts.

    Args:
        name: of its clips among the page's galleries; see ``Scenes``.
    """
    return (
        f'<section class="gallery" data-gallery="{escape(name)}" tabindex="-1" aria-label="Clips">'
        '<div class="filters"><label>Name contains <input type="search" size="12"></label></div>'
        '<p class="soft" role="status"></p><div class="grid"></div>'
        '<div class="pages"><button data-page="-1">Previous</button><span></span>'
        '<button data-page="1">Next</button></div>'
        f'<template><article class="clip">{player("")}<dl></dl></article></template></section>'
    )


def point_map(name: str, title: str) -> str:
    """Place of a map of clips, next to the player of the one under the pointer, above a legend that filters.

    Args:
        name: of its points among the page's maps; see ``points``.
        title: for screen readers.
    """
    what = f"{title}. Arrow keys go from clip to clip, + and - zoom, 0 resets."
    return (
        f'<section class="scatter" data-map="{escape(name)}"><div class="filters"><label>Colour by <select></select>'
        '</label><button data-zoom="1.5" aria-label="Zoom into the map">+</button>'
        '<button data-zoom="0.667" aria-label="Zoom out of the map">&minus;</button>'
        '<button data-zoom="0">Whole map</button></div><div class="map">'
        f'<canvas tabindex="0" role="img" aria-label="{escape(what)}"></canvas>'
        f'<article class="clip">{player("Point at a mark")}<dl></dl></article></div>'
        '<div class="classes" role="group" aria-label="Show one value alone"></div></section>'
    )


def points(places: np.ndarray, clips: Sequence[RenderableClip], first: int = 0) -> dict[str, Any]:
    """Points of a map, which can be coloured by those of ``GROUPS`` that differ between the clips.

    Args:
        places: (N, 2) coordinates of any scale; both axes are stretched to the picture.
        clips: (N,) theirs.
        first: number in the page of the first point's clip; the others follow.
    """
    low, high = places.min(0), places.max(0)
    share = ((places - low) / np.where(high > low, high - low, 1)).round(4)
    colours = {name: [clip.facts.get(name, "unknown") for clip in clips] for name in GROUPS}
    several = {name: values for name, values in colours.items() if len(set(values)) > 1}
    return {
        "x": share[:, 0].tolist(),
        "y": (1 - share[:, 1]).tolist(),
        "clip": list(range(first, first + len(places))),
        "colours": several or {GROUPS[0]: colours[GROUPS[0]]},
    }


def fact_list(facts: Mapping[str, str]) -> str:
    """Names and values, one pair a line; empty where there are none."""
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


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


def _legend(clips: Sequence[RenderableClip]) -> str:
    """How bodies are drawn; sides and a second person only where there are any."""
    if not clips:
        return ""
    sided = any("L" in sides(layout) for layout in {id(clip.layout): clip.layout for clip in clips}.values())
    lines = ["left", "right", "middle"] if sided else []
    lines += ["second"] if any(clip.several for clip in clips) else []
    items = "".join(
        f'<li><svg aria-hidden="true"><line class="line-{line}" x1="0" y1="7" x2="38" y2="7"/></svg>{_LINES[line]}</li>'
        for line in lines
    )
    return (f'<ul class="legend" aria-label="How bodies are drawn">{items}</ul>' if items else "") + _HELP


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
