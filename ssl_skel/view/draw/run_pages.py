"""Pages of runs and indexes: how training went, and which classes features separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import Scenes, card, document, fact_list, gallery, grid, point_map, points
from ssl_skel.view.draw.tables import confusion_table, table


@dataclass(frozen=True, eq=False)
class Failure:
    """A clip that was taken for another class.

    Attributes:
        clip: that clip.
        nearest: what it was compared with, nearest first.
        note: what happened, in words.
    """

    clip: RenderableClip
    nearest: Sequence[RenderableClip]
    note: str


@dataclass(frozen=True, eq=False)
class Compared:
    """What the nearest neighbours of clips say about features.

    Attributes:
        note: how it was measured, and how well it went, in words.
        class_names: one per label.
        confusion: (K, K) clips of class (row) taken for class (column).
        clips: (N,) test clips of map and gallery; their facts say ``class``, ``predicted`` and ``prediction``.
        kinds: (N,) their labels, -1 unknown.
        places: (N, 2) where they are; None: too few for a map.
        failures: examples, worst first.
    """

    note: str
    class_names: Sequence[str]
    confusion: np.ndarray
    clips: Sequence[RenderableClip]
    kinds: np.ndarray
    places: np.ndarray | None
    failures: Sequence[Failure]


@dataclass(frozen=True)
class Recipe:
    """How a run or an evaluation was made, so that it can be made again.

    Attributes:
        facts: such as seed, command and date.
        config: as resolved, YAML.
    """

    facts: Mapping[str, str]
    config: str = ""

    def html(self) -> str:
        """Section of a page; the config is folded up."""
        config = f'<pre tabindex="0" role="group" aria-label="Config">{escape(self.config)}</pre>'
        config = f"<details><summary>Config</summary>{config}</details>" if self.config else ""
        return f"<h2>How it was made</h2>{fact_list(self.facts)}{config}"


@dataclass(frozen=True)
class Curves:
    """What a training logged.

    Attributes:
        main: charts of ``line_chart``.
        more: charts for those who train networks; folded up.
    """

    main: Sequence[str] = ()
    more: Sequence[str] = ()

    def html(self) -> str:
        """Section of a page; empty where nothing was logged."""
        parts = []
        if self.main:
            note = "Accuracies during training are for monitoring; nothing is chosen by them."
            parts += ["<h2>Training</h2>", f'<p class="soft">{note}</p>', *self.main]
        if self.more:
            parts.append(f"<details><summary>More curves</summary>{''.join(self.more)}</details>")
        return "".join(parts)


def run_page(
    title: str,
    facts: Mapping[str, str],
    curves: Curves,
    notes: Sequence[str],
    compared: Compared | None,
    recipe: Recipe,
) -> str:
    """The classes that a run's features separate, its training, and how it was made.

    Args:
        title: name of the run.
        facts: what it is: method, network, data and time.
        curves: of its training.
        notes: what is missing from the page, and how to get it.
        compared: None where the encoder or its data are not at hand.
        recipe: to make it again.

    Returns:
        HTML text, for ``write_page``.
    """
    body = [fact_list(facts)]
    body += [f"<p><strong>Missing here:</strong> {escape(note)}</p>" for note in notes]
    clips: list[RenderableClip] = []
    scenes = Scenes()
    if compared is not None:
        clips += compared.clips
        maps = {}
        if compared.places is not None:
            maps["clips"] = points(compared.places, compared.clips)
            body.append(_map())
        scenes = Scenes(maps, {"clips": range(len(compared.clips))})
        total = int(compared.confusion.sum())
        shown = "" if len(clips) == total else f" {len(clips)} of the {total} clips are on this page."
        body += [
            confusion_section(compared.confusion, compared.class_names, f"{compared.note}{shown}", "clips"),
            *_failures(compared.failures, clips),
            "<h2>Test clips</h2>",
            gallery("clips"),
        ]
    body += [curves.html(), recipe.html()]
    intro = "Which movements this network distinguishes without labels, how it was trained, and how to train it again."
    return document(title, intro, "\n".join(body), clips, scenes=scenes, sync="time")


def index_page(
    title: str, intro: str, clips: Sequence[RenderableClip], places: np.ndarray, notes: Sequence[str] = ()
) -> str:
    """Map and gallery of the movements in a search index.

    Args:
        title: name of the index.
        intro: what it holds, in words.
        clips: (N,) its clips, or windows in them.
        places: (N, 2) where they are.
        notes: what similarities mean in it, warnings.

    Returns:
        HTML text, for ``write_page``.
    """
    scenes = Scenes({"clips": points(places, clips)}, {"clips": range(len(clips))})
    said = "".join(f"<p>{escape(note)}</p>" for note in notes)
    body = f"{said}{_map()}<h2>Clips</h2>{gallery('clips')}"
    return document(title, intro, body, clips, scenes=scenes, sync="time")


def worst(confusion: np.ndarray, limit: int = 8) -> list[tuple[int, int, int]]:
    """The most frequent confusions (class, taken for, clips), most first; equal counts in class order."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(at), len(wrong)) for at in order]
    return [(row, column, int(wrong[row, column])) for row, column in pairs if wrong[row, column]]


def _map() -> str:
    return (
        "<h2>Map of the movements</h2><p>Each mark is one movement; marks are close together where the network finds "
        "movements similar (t-SNE: neighbours can be trusted, distances between groups cannot). Point at a mark to "
        f"see its movement; press a name below to see its marks alone.</p>{point_map('clips', 'Map of the movements')}"
    )


def confusion_section(confusion: np.ndarray, names: Sequence[str], note: str, gallery: str = "") -> str:
    """A confusion matrix with its most frequent confusions.

    Args:
        confusion: (K, K) clips of class (row) taken for class (column).
        names: of the classes.
        note: how it was measured, in words.
        gallery: see ``confusion_table``.
    """
    count = confusion.sum(1)
    rows = [(names[row], names[column], f"{number} of {count[row]}") for row, column, number in worst(confusion)]
    often = table(("true class", "predicted class", "clips"), rows) if rows else "<p>Nothing was confused.</p>"
    press = " Press a cell to see its clips." if gallery else ""
    return (
        f"<h2>Confusion matrix</h2><p>{escape(note)} A row is a true class, its numbers per cent of that class: the "
        f"diagonal holds the recall. The last row and column count clips.{press}</p>"
        f"{confusion_table(confusion, names, gallery)}<h2>Most frequent confusions</h2>{often}"
    )


def _failures(failures: Sequence[Failure], clips: list[RenderableClip]) -> list[str]:
    """Rows of a failure and its neighbours; their clips are added to those of the page."""
    if not failures:
        return []
    parts = [
        "<h2>Errors</h2><p>On the left a misclassified clip; next to it the "
        "movements that the network finds most like it.</p>"
    ]
    for failure in failures:
        row = [failure.clip, *failure.nearest]
        first = len(clips)
        clips += row
        parts += [f"<p>{escape(failure.note)}</p>", grid([card(first + at, clip) for at, clip in enumerate(row)])]
    return parts
