"""The ``ssl-skel`` command. Verbs of other packages join by the entry-point group ``ssl_skel.commands``.

Nothing heavy is imported here: ``ssl-skel --help`` answers at once.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Annotated

import typer

import ssl_skel
from ssl_skel.cli.former import current_words
from ssl_skel.errors import UserError
from ssl_skel.escaping import shown
from ssl_skel.lifeline import follow
from ssl_skel.names import unknown


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2, Ctrl-C into exit code 130.

    Raises:
        SystemExit: with one of these codes.
    """
    warnings.formatwarning = _one_line
    warnings.filterwarnings("once", category=FutureWarning, append=True)  # such as a former name that is met twice
    try:
        yield
    except UserError as error:
        print(f"error: {shown(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
    except SystemExit as end:
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):  # typer exits without a word
            print("stopped", file=sys.stderr)
        raise


def _one_line(message: Warning | str, *where: object, **more: object) -> str:
    """How a warning is printed: a sentence, without the line of code that gave it."""
    return f"warning: {shown(message)}\n"


def schema(verb: Annotated[str, typer.Argument(help="pretrain or finetune.")]) -> None:
    """Print the JSON schema of a verb's configs, for editors."""
    found = {entry.name: entry for entry in entry_points(group="ssl_skel.configs")}
    if verb not in found:
        raise unknown("verb", verb, sorted(found))
    print(json.dumps(found[verb].load().model_json_schema(), indent=2))


def build() -> typer.Typer:
    """The command with all its verbs, each an entry point."""
    app = typer.Typer(
        name="ssl-skel",
        help="Self-supervised pretraining for 3D-skeleton action recognition.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_root)
    for entry in sorted(entry_points(group="ssl_skel.commands"), key=lambda entry: entry.name):
        app.command(entry.name)(entry.load())
    return app


def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(ssl_skel.__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the ``ssl-skel`` command."""
    follow()
    with report_errors():
        build()(args=current_words(sys.argv[1:]), prog_name="ssl-skel")


if __name__ == "__main__":
    main()
