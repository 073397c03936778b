"""Pictures for papers: film strips and animations of clips, embedding maps and confusion matrices."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from ssl_skel.errors import UserError
from ssl_skel.view.draw.clips import RenderableClip, sides
from ssl_skel.view.draw.run_pages import Compared

_COLOURS = {"L": "#0072b2", "R": "#c04e00", "C": "#3c434d"}  # as in pages
_MARKS = "os^DXPv<>*hd"
_SIDE = 480  # pixels of an animation
_TILT = 0.2  # seen a little from above, in radians, as in pages
_BAND = 0.07  # share of an animation's height for its title, and for its time


def film_strip(clip: RenderableClip, pictures: int = 6) -> bytes:
    """A clip as a row of moments, evenly through it, as PNG: its title above, the time of each below.

    Args:
        clip: what to draw; left limbs are dashed.
        pictures: moments, at most the clip's frames.
    """
    frames = clip.joints.shape[1]
    chosen = np.linspace(0, frames - 1, min(pictures, frames)).round().astype(int)
    figure = Figure(figsize=(1.7 * len(chosen), 2.4), dpi=200, layout="constrained")
    figure.suptitle(_title(clip), fontsize=9)
    stage = _Stage(clip)
    for axes, frame in zip(np.ravel(figure.subplots(1, len(chosen))), chosen, strict=True):
        stage.draw(axes, int(frame))
        axes.set_title(f"{frame / clip.fps:.1f} s", fontsize=8, y=-0.02, verticalalignment="top")
    return _png(figure)


def _title(clip: RenderableClip) -> str:
    """Name and class."""
    return ", ".join([clip.name, *([clip.facts["class"]] if "class" in clip.facts else [])])


def gif(clip: RenderableClip) -> bytes:
    """A clip as an endless GIF with title and time, at most 25 pictures a second: the format keeps no more."""
    from PIL import Image

    rate = min(clip.fps, 25.0)
    pictures = [Image.fromarray(picture) for picture in _pictures(clip, rate)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / rate), loop=0)
    return out.getvalue()


def mp4(clip: RenderableClip) -> bytes:
    """A clip as H.264 video at its own rate.

    Raises:
        UserError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError("mp4: needs PyAV; install it with pip install 'ssl-skel[video]', or write a GIF") from error
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(1001))
        stream.height = stream.width = _SIDE
        stream.pix_fmt = "yuv420p"
        for picture in _pictures(clip, clip.fps):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def compared_figure(compared: Compared) -> bytes:
    """Embedding map, if there is one, next to the confusion matrix in per cent, as PNG."""
    panels: list[Callable[[Axes, Compared], None]] = [_confusion]
    if compared.places is not None:
        panels.insert(0, _map)
    figure = Figure(figsize=(6.5 * len(panels), 6), dpi=200, layout="constrained")
    for axes, panel in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        panel(axes, compared)
    return _png(figure)


def _map(axes: Axes, compared: Compared) -> None:
    assert compared.places is not None
    found = np.unique(compared.kinds)
    for at, kind in enumerate(found):
        mine = compared.places[compared.kinds == kind]
        mark, colour = _MARKS[at % len(_MARKS)], hsv_to_rgb((at / len(found), 0.85, 0.75))
        name = compared.class_names[kind] if kind >= 0 else "unknown"
        axes.scatter(mine[:, 0], mine[:, 1], s=14, marker=mark, color=colour, label=name, linewidths=0)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False)
    axes.set(xticks=[], yticks=[])
    axes.set_title("t-SNE of the features", fontsize=10)


def _confusion(axes: Axes, compared: Compared) -> None:
    count = compared.confusion.sum(1, keepdims=True)
    share = 100 * compared.confusion / np.maximum(count, 1)
    names, numbers = list(compared.class_names), range(len(share))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if len(share) <= 20:
        for row, column in np.argwhere(compared.confusion > 0):
            dark = "white" if share[row, column] > 60 else "black"
            axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", fontsize=7, color=dark)
    size = 8 if len(share) <= 20 else 5
    axes.set_xticks(numbers, names, rotation=90, fontsize=size)
    axes.set_yticks(numbers, names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title("nearest neighbour, % of each class", fontsize=10)


def _pictures(clip: RenderableClip, rate: float) -> Iterator[np.ndarray]:
    """(480, 480, 3) uint8, ``rate`` a second."""
    figure, stage = Figure(figsize=(3, 3), dpi=_SIDE / 3), _Stage(clip)
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, _BAND, 1, 1 - 2 * _BAND))
    figure.text(0.5, 1 - _BAND / 2, _title(clip), fontsize=8, ha="center", va="center")
    time = figure.text(0.5, _BAND / 2, "", fontsize=8, ha="center", va="center")
    frames = clip.joints.shape[1]
    for at in range(max(1, round(clip.seconds * rate))):
        axes.clear()
        stage.draw(axes, min(frames - 1, int(at / rate * clip.fps + 1e-6)))
        time.set_text(f"{at / rate:.1f} s of {clip.seconds:.1f} s")
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Stage:
    """A clip as pages show it from the front: the camera follows sideways, and keeps its height."""

    def __init__(self, clip: RenderableClip) -> None:
        self.clip, self.sides = clip, sides(clip.layout)
        joints = clip.places.astype(np.float64)
        right, up = -joints[..., 0], joints[..., 1]  # a recording camera has x to its left
        if joints.shape[-1] == 3:
            up = up * np.cos(_TILT) + joints[..., 2] * np.sin(_TILT)
        points = np.stack([right, up], -1)
        there = np.asarray(np.isfinite(points).all(-1))  # (M, T, V)
        across = np.where(there, points[..., 0], 0)
        centre = across.sum((0, 2)) / np.maximum(there.sum((0, 2)), 1)
        points[..., 0] -= centre[:, None]
        self.points = np.where(there[..., None], points, np.nan)
        seen = points[there] if there.any() else np.zeros((1, 2))
        low, high = seen[:, 1].min(), seen[:, 1].max()
        lowest = np.where(there, points[..., 1], np.inf).min((0, 2))
        self.floor = np.median(lowest[np.isfinite(lowest)]) if there.any() else 0.0
        self.middle = (low + high) / 2
        self.reach = 1.08 * max(np.abs(seen[:, 0]).max(), (high - low) / 2, 1e-6)

    def draw(self, axes: Axes, frame: int) -> None:
        """One frame."""
        heat = self.clip.heat
        axes.axhline(self.floor, color="#c9ced6", linewidth=0.8, zorder=0)
        for person in reversed(range(len(self.points))):
            points = self.points[person, frame]
            for child, parent in self.clip.layout.bones:
                side = self.sides[child]
                style: Any = (0, (2, 1.2)) if side == "L" else "-"
                width = 0.7 if person else 1.6
                axes.plot(*points[[child, parent]].T, color=_COLOURS[side], linestyle=style, linewidth=width)
            size = 3 if heat is None else 3 + 60 * np.abs(heat[person, frame])
            colour = _COLOURS["C"] if heat is None else np.where(heat[person, frame] > 0, "#b5179e", "#1a7f4b")
            axes.scatter(points[:, 0], points[:, 1], s=size, c=colour, zorder=3)
        axes.set(xlim=(-self.reach, self.reach), aspect="equal")
        axes.set_ylim(self.middle - self.reach, self.middle + self.reach)
        axes.axis("off")


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
