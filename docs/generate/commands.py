"""The page of commands, from the commands themselves."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from ssl_skel.cli.app import build


def page() -> str:
    """All commands with their arguments and options, as Markdown."""
    found = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    parts = ["# Commands\n\nMade from the commands. `ssl-skel COMMAND --help` prints the same.\n"]
    for panel in dict.fromkeys(map(_panel, found.values())):
        parts.append(f"## {panel}\n")
        parts += [_command(name, command) for name, command in found.items() if _panel(command) == panel]
    return "\n".join(parts)


def _panel(thing: Any) -> str:
    return str(getattr(thing, "rich_help_panel", None) or "Commands")


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name != "argument" and not getattr(one, "hidden", False)]
    usage = " ".join(["ssl-skel", name, *map(_place, arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"### {name}\n", inspect.cleandoc(command.help or "").replace("\b", ""), f"\n```text\n{usage}\n```\n"]
    if arguments or options:
        parts.append("| argument or option | meaning |\n|:--|:--|")
        parts += [f"| `{_place(one)}` | {_text(one)} |" for one in arguments]
        parts += [f"| {_names(one)} | {_text(one)} |" for one in options]
    return "\n".join(parts) + "\n"


def _place(argument: Any) -> str:
    name = argument.metavar or (argument.name or "").rstrip("_").upper()
    if argument.metavar:
        return str(name)
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])


def _text(one: Any) -> str:
    text = " ".join((one.help or "").split()).replace("|", "\\|").replace("[", "\\[")
    default = one.default
    if isinstance(default, (str, int, float)) and not isinstance(default, bool) and default != "" and one.show_default:
        text += f" Default: `{default}`."
    return text
