"""``ssl-skel view``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssl_skel.cli.groups import grouped
from ssl_skel.cli.options import FpsOption, JsonOption, OverwriteOption, PoolingOption, ReadingArgument
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, show_json
from ssl_skel.files.taken import is_index, refuse_taken_file

if TYPE_CHECKING:
    from ssl_skel.data.store import Store


@dataclass(frozen=True)
class ContentOptions:
    """Content."""

    store: Annotated[Path | None, typer.Option(help="Current path of the clips of a run, evaluation or index.")] = None
    clip: Annotated[list[str] | None, typer.Option(help="Show only this clip. May be repeated.")] = None
    count: Annotated[int | None, typer.Option(min=1, help="Number of clips; default: 1000, or 6 reconstructions.")] = (
        None
    )
    reconstructions: Annotated[
        bool, typer.Option("--reconstructions", help="For a run: what it predicts where joints are masked.")
    ] = False
    attention: Annotated[str, typer.Option(help="For a run: what it attends to in the clip of this name.")] = ""
    pooling: PoolingOption = None
    fps: FpsOption = None
    format: Annotated[str, typer.Option(help="Format of a raw file; default: the first that reads it.")] = ""
    layout: Annotated[str | None, typer.Option(help="Joint layout of an npz file: a name or a YAML file.")] = None


@dataclass(frozen=True)
class PictureOptions:
    """Pictures instead of a page."""

    png: Annotated[Path | None, typer.Option(help="Write a film strip; for a run: its map and confusion matrix.")] = (
        None
    )
    gif: Annotated[Path | None, typer.Option(help="Write the clip as an animation.")] = None
    mp4: Annotated[Path | None, typer.Option(help="Write the clip as a video.")] = None

    @property
    def paths(self) -> dict[str, Path]:
        """Kind -> file to write, of those wanted."""
        kinds = {"png": self.png, "gif": self.gif, "mp4": self.mp4}
        return {kind: path for kind, path in kinds.items() if path}


@grouped
def view(
    what: Annotated[Path, typer.Argument(help="Run, evaluation, index, store or raw file.")],
    content: ContentOptions,
    pictures: PictureOptions,
    options: ReadingArgument = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Page to write; default: NAME.html.")] = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a page that shows a run, evaluation, index, store or recording: one HTML file that works offline.

    With --png, --gif or --mp4, pictures for papers instead.
    """
    from ssl_skel.view.draw.html import write_file

    own = content.reconstructions or content.attention
    if own and not _is_run(what):
        raise UserError(f"{what}: --reconstructions and --attention need a run of ssl-skel pretrain")
    if pictures.paths and (output or own):
        raise UserError("--png, --gif and --mp4 make pictures of clips and runs instead of pages; leave the others off")
    page = output or Path(f"{Path(os.path.realpath(what)).name}.html")
    for path in pictures.paths.values() or [page]:
        refuse_taken_file(path, overwrite, [what])
    raw = content.store if _is_run(what) else what
    if options and (own or raw is None or is_index(what) or (what / "report.json").is_file()):
        raise UserError(f"{options[0]}: options are for raw recordings, and none are shown; leave them out")
    for kind, path in pictures.paths.items():
        write_file(path, _picture(what, content, kind, options or ()), overwrite)
    if not pictures.paths:
        write_file(page, _page(what, content, options or ()).encode(), overwrite)
    written = list(pictures.paths.values()) or [page]
    if json_:
        show_json({"written": [str(path) for path in written]})
        return
    for path in written:
        say(f"written: {path}")


def _is_run(path: Path) -> bool:
    """Whether the folder holds a pretraining run or an evaluation."""
    return (path / "config.yaml").is_file()


def _page(what: Path, content: ContentOptions, options: Sequence[str]) -> str:
    """The page of what is stored there."""
    store, clips, count, fps = content.store, content.clip or [], content.count, content.fps
    if content.reconstructions:
        from ssl_skel.view.reconstruct import page_of_reconstructions

        return page_of_reconstructions(what, store, clips, count or 6, fps)
    if content.attention:
        from ssl_skel.view.attention import page_of_attention

        return page_of_attention(what, content.attention, store, fps)
    if (what / "report.json").is_file():
        from ssl_skel.view.evaluations import page_of_evaluation

        return page_of_evaluation(what, store, fps)
    if _is_run(what):
        from ssl_skel.view.runs import page_of_run

        return page_of_run(what, store, fps, content.pooling, options)
    if is_index(what):
        from ssl_skel.view.indexes import page_of_index

        return page_of_index(what, store, fps)
    from ssl_skel.view.clips import COUNT, page_of_store

    return page_of_store(_clips(what, content, options), clips, count or COUNT, fps)


def _picture(what: Path, content: ContentOptions, kind: str, options: Sequence[str]) -> bytes:
    """A file of that kind."""
    if _is_run(what):
        if kind != "png":
            raise UserError(f"{what}: a run has no {kind}; use --png, or name a store and a clip of it")
        from ssl_skel.view.runs import figure_of_run

        return figure_of_run(what, content.store, content.pooling, options)
    from ssl_skel.view.clips import find_row, shown
    from ssl_skel.view.draw.pictures import film_strip, gif, mp4

    store = _clips(what, content, options)
    clips = content.clip or []
    if len(store) > 1 and len(clips) != 1:
        raise UserError(f"{what}: holds {len(store)} clips; name one with --clip")
    row = find_row(store, clips[0]) if clips else 0
    return {"png": film_strip, "gif": gif, "mp4": mp4}[kind](shown(store, row, fps=content.fps))


def _clips(what: Path, content: ContentOptions, options: Sequence[str]) -> Store:
    """Clips of a store, or of raw recordings."""
    from ssl_skel.data.sources.recordings import open_clips

    if not what.exists():
        raise UserError(f"{what}: holds no run, evaluation, index, store or raw recordings; nothing to view")
    return open_clips(what, format=content.format, layout=content.layout, options=options)
