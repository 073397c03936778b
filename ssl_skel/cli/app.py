"""The ``ssl-skel`` command. Verbs of other packages join by the entry-point group ``ssl_skel.commands``.

Nothing heavy is imported here: ``ssl-skel --help`` answers at once.
"""

from __future__ import annotations

import errno
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import ssl_skel
from ssl_skel.cli.former import current_words
from ssl_skel.cli.verb import hint, overview, panel_of, with_common_options
from ssl_skel.errors import UserError
from ssl_skel.escaping import never_refuse_letters, say, show_json, shown
from ssl_skel.lifeline import follow
from ssl_skel.names import unknown

_UsageError: Any = typer.BadParameter.__base__
_OF_THE_MACHINE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EIO, errno.ENOENT, errno.ENOTDIR),
}
"""What any system may refuse: permissions, disk space, names, and files that vanish."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2, Ctrl-C into exit code 130.

    Raises:
        SystemExit: with one of these codes.
    """
    never_refuse_letters()
    warnings.formatwarning = _one_line
    warnings.filterwarnings("once", category=FutureWarning, append=True)  # such as a former name that is used twice
    try:
        yield
    except UserError as error:
        say(f"error: {error}", error=True)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        say(f"error: {place}{error.strerror}; make room or choose another path", error=True)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate memory|out of memory", str(error)):
            raise
        reason = re.split(r"(?<!\d)\. ", str(error))[0]
        say(f"error: not enough memory: {reason}; use smaller batches or shorter clips", error=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        say("stopped", error=True)
        raise SystemExit(130) from None
    except SystemExit as end:
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):  # typer exits without a word
            say("stopped", error=True)
        raise


class OneLine(TyperGroup):
    """Commands that report usage mistakes, such as an unknown option, like all other mistakes."""

    def make_context(self, *given: Any, **more: Any) -> Any:
        """As typer's, see there."""
        with _reported_by_us():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        """As typer's, see there."""
        with _reported_by_us():
            return super().invoke(ctx)


@contextmanager
def _reported_by_us() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        if context is None or not hasattr(error, "format_message") or "NoArgs" in type(error).__name__:
            raise
        text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
        remedy = hint(sys.argv[1:]) or f"see {context.command_path} --help"
        raise UserError(f"{text}{'' if text.endswith('?') else ';'} {remedy}") from error


def _one_line(message: Warning | str, *where: object, **more: object) -> str:
    """How a warning is printed: a sentence, without the line of code that gave it."""
    return f"warning: {shown(message)}\n"


def schema(verb: Annotated[str, typer.Argument(help="pretrain or finetune.")]) -> None:
    """Print the JSON schema of a verb's configs, for editors."""
    found = {entry.name: entry for entry in entry_points(group="ssl_skel.configs")}
    if verb not in found:
        raise unknown("verb", verb, sorted(found))
    show_json(found[verb].load().model_json_schema())


def build() -> typer.Typer:
    """The command with all its verbs, each an entry point."""
    app = typer.Typer(
        name="ssl-skel",
        cls=OneLine,
        help="Self-supervised pretraining for 3D-skeleton action recognition.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    known = {entry.name: entry for entry in entry_points(group="ssl_skel.commands")}
    for name in overview(list(known)):
        app.command(name, rich_help_panel=panel_of(name))(with_common_options(name, known[name].load()))
    return app


def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        say(ssl_skel.__version__)
        raise typer.Exit


def main(*verb: str) -> None:
    """Entry point of the ``ssl-skel`` command.

    Args:
        verb: in front of the words of the command line, as in ``main("pretrain")`` for ``python -m pretrain``.
    """
    follow()
    with report_errors():
        build()(args=current_words([*verb, *sys.argv[1:]]), prog_name="ssl-skel")


if __name__ == "__main__":
    main()
