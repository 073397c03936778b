"""``ssl-skel audit``. Nothing heavy is imported before its arguments are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption, OverwriteOption, StoreArgument
from ssl_skel.escaping import say, show_json


def audit(
    store: StoreArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="LIMIT=VALUE", help="Such as jump=0.7 near=0.02.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Split to check; of duplicates, the training clip is kept. Default: all splits.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to make; default: audit in the store.")
    ] = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Check a store for damage, duplicates and leakage between the sides of its splits.

    Makes a folder of audit.html, a page that plays each finding, audit.md, audit.json, and exclude.txt, a list of clips
    that convert --exclude leaves out. The store stays as it is.
    """
    from ssl_skel.config import config_from_words
    from ssl_skel.data.audit.folder import check_folder
    from ssl_skel.data.audit.limits import Limits
    from ssl_skel.data.splits import load_split
    from ssl_skel.data.store import Store

    limits = config_from_words(Limits, overrides or [], "audit")
    opened = Store.open(store)  # before a folder is made in something that is not a store
    if protocol:
        load_split(opened, protocol)
    folder = output or store / "audit"
    check_folder(folder, overwrite=overwrite)

    from ssl_skel.data.audit import inspection
    from ssl_skel.data.audit.report import show, write_audit
    from ssl_skel.view.audit import page_of_audit

    found = inspection.audit(store, protocol, limits)
    write_audit(found, folder, page_of_audit(opened, found), overwrite=overwrite)
    if json_:
        show_json(found.to_dict())
        return
    show(found)
    say()
    say(f"written: {folder / 'audit.html'}, audit.md, audit.json, exclude.txt")
