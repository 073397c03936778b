"""``ssl-skel view``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.errors import UserError


@dataclass(frozen=True)
class ViewRequest:
    """What ``view`` was asked for; see its options."""

    what: Path
    store: Path | None
    clips: list[str]
    count: int | None
    reconstructions: bool
    attention: str
    fps: float
    format: str
    layout: str | None

    @property
    def is_run(self) -> bool:
        """A pretraining run lies there, or an evaluation."""
        return (self.what / "config.yaml").is_file()


def view(
    what: Annotated[Path, typer.Argument(help="Run, evaluation, index, store or raw file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Page to write; default: NAME.html.")] = None,
    store: Annotated[Path | None, typer.Option(help="Where the recordings of a run or index lie now.")] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Only this clip. May be repeated.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many clips are chosen; default: 50, or 6.")] = None,
    reconstructions: Annotated[
        bool, typer.Option("--reconstructions", help="Of a run: what it fills in where something is hidden.")
    ] = False,
    attention: Annotated[str, typer.Option(help="Of a run: where it looks in the clip of this name.")] = "",
    png: Annotated[Path | None, typer.Option(help="Instead: a film strip; of a run: map and confusion matrix.")] = None,
    gif: Annotated[Path | None, typer.Option(help="Instead: the clip as an animation.")] = None,
    mp4: Annotated[Path | None, typer.Option(help="Instead: the clip as a video.")] = None,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames a second of the recordings.")] = 30.0,
    format: Annotated[str, typer.Option(help="Format of a raw file; default: whichever reads it.")] = "",
    layout: Annotated[str | None, typer.Option(help="Joint layout of an npz file: a name or a YAML file.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Make the page of a run, evaluation, index, store or recording: one HTML file that opens without network.

    With --png, --gif or --mp4, pictures for papers instead.
    """
    from ssl_skel.view.draw.html import refuse_taken, write_file

    wish = ViewRequest(what, store, clip or [], count, reconstructions, attention, fps, format, layout)
    if not wish.is_run and (reconstructions or attention):
        raise UserError(f"{what}: --reconstructions and --attention want a run of ssl-skel pretrain")
    pictures = {kind: path for kind, path in (("png", png), ("gif", gif), ("mp4", mp4)) if path}
    if pictures and (output or reconstructions or attention):
        raise UserError("--png, --gif and --mp4 make pictures of clips and runs instead of pages; leave the others off")
    for path in pictures.values():
        refuse_taken(path, overwrite)
    for kind, path in pictures.items():
        write_file(path, _picture(wish, kind), overwrite)
        print(path)
    if not pictures:
        page = output or Path(f"{what.resolve().name}.html")
        refuse_taken(page, overwrite)
        write_file(page, _page(wish).encode(), overwrite)
        print(page)


def _page(wish: ViewRequest) -> str:
    if wish.reconstructions:
        from ssl_skel.view.reconstruct import page_of_reconstructions

        return page_of_reconstructions(wish.what, wish.store, wish.clips, wish.count or 6, wish.fps)
    if wish.attention:
        from ssl_skel.view.attention import page_of_attention

        return page_of_attention(wish.what, wish.attention, wish.store, wish.fps)
    if (wish.what / "report.json").is_file():
        from ssl_skel.evaluation.report import Report
        from ssl_skel.view.draw.run_pages import report_page

        return report_page(Report.load(wish.what))
    if wish.is_run:
        from ssl_skel.view.runs import page_of_run

        return page_of_run(wish.what, wish.store, wish.fps)
    if (wish.what / "vectors.npy").is_file():
        from ssl_skel.view.indexes import page_of_index

        return page_of_index(wish.what, wish.store, wish.fps)
    from ssl_skel.view.clips import open_clips, page_of_store

    store = open_clips(wish.what, wish.format, wish.layout)
    return page_of_store(store, wish.clips, wish.count or 50, wish.fps)


def _picture(wish: ViewRequest, kind: str) -> bytes:
    if wish.is_run:
        if kind != "png":
            raise UserError(f"{wish.what}: a run has no {kind}; use --png, or name a store and a clip of it")
        from ssl_skel.view.runs import figure_of_run

        return figure_of_run(wish.what, wish.store)
    from ssl_skel.view.clips import find_row, open_clips, shown
    from ssl_skel.view.draw.pictures import film_strip, gif, mp4

    store = open_clips(wish.what, wish.format, wish.layout)
    if len(store) > 1 and len(wish.clips) != 1:
        raise UserError(f"{wish.what}: holds {len(store)} clips; name one with --clip")
    row = find_row(store, wish.clips[0]) if wish.clips else 0
    return {"png": film_strip, "gif": gif, "mp4": mp4}[kind](shown(store, row, fps=wish.fps))
