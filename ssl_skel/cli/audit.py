"""``ssl-skel audit``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption


def audit(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[LIMIT=VALUE]...", help="Such as jump=0.7 near=0.02.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Split to look at; of duplicates its training clip stays. Default: all splits.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the three files; default: audit in the store.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an audit that is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Look for what is wrong with a store: damage, duplicates, and what straddles its splits.

    Writes audit.json, audit.md and exclude.txt, a list of clips that convert --exclude leaves out. The store stays as
    it is.
    """
    from ssl_skel.config import config_from_words
    from ssl_skel.console import console
    from ssl_skel.data.audit import inspection
    from ssl_skel.data.audit.limits import Limits
    from ssl_skel.data.audit.report import check_folder, show, write_audit
    from ssl_skel.data.store import Store

    limits = config_from_words(Limits, overrides or [], "audit")
    Store.open(store)  # before a folder is made in what is no store
    folder = output or store / "audit"
    check_folder(folder, overwrite=overwrite)
    found = inspection.audit(store, protocol, limits, progress=sys.stderr.isatty())
    write_audit(found, folder, overwrite=overwrite)
    if json_:
        print(json.dumps(found.to_dict(), indent=1))
        return
    show(found, console())
    print(f"\nwritten: {folder / 'audit.json'}, audit.md, exclude.txt")
