"""``ssl-skel configs``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption, OverwriteOption


def configs(
    name: Annotated[str, typer.Argument(help="Show this config; default: list all.")] = "",
    file: Annotated[Path | None, typer.Argument(help="Where --copy writes; default: NAME.yaml in this folder.")] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Write the config to a file of your own.")] = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """List the configs that come with the package, show one, or copy it.

    pretrain, finetune and sweep take a name in place of a path, as in: ssl-skel pretrain own_recordings.
    """
    from ssl_skel.console import show_table
    from ssl_skel.errors import UserError
    from ssl_skel.escaping import say, say_page, show_json
    from ssl_skel.files.atomic import write_text
    from ssl_skel.files.taken import refuse_taken_file
    from ssl_skel.names import unknown
    from ssl_skel.shipped_configs import config_facts

    facts = {one.name: one for one in config_facts()}
    if name and name not in facts:
        raise unknown("config", name, facts)
    if (copy and not name) or (file and not copy):
        raise UserError("--copy takes a NAME, and then a FILE if you like; see ssl-skel configs --help")
    text = Path(facts[name].path).read_text("utf-8") if name else ""
    if copy:
        target = file or Path(f"{Path(name).name}.yaml")
        refuse_taken_file(target, overwrite)
        write_text(target, text, make_folder=False)
        say(f"written: {target}")
    elif json_:
        show_json(facts[name].to_dict() if name else [one.to_dict() for one in facts.values()])
    elif name:
        say_page(text)
    else:
        rows = [[one.name, one.what, one.outcome] for one in facts.values()]
        show_table(("name", "what it is", "time and figures"), rows)
