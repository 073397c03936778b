"""Command names and options of earlier releases, which keep working for one more release."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_skel.escaping import say

COMMANDS = {"motions": "synthetic"}
"""Former command -> its name today."""

OPTIONS = {"--readout": "--pooling", "--keep-copies": "--keep-duplicates"}
"""Former option -> its name today, for every command that has it."""


def current_words(words: Sequence[str]) -> list[str]:
    """A command line in today's names, with one warning line on stderr for each former name in it.

    >>> current_words(["embed", "run", "--pooling=part"])
    ['embed', 'run', '--pooling=part']

    Args:
        words: what follows ``ssl-skel``.
    """
    command, *rest = words or [""]
    if command in COMMANDS:
        _warn(command, COMMANDS[command])
    return [COMMANDS.get(command, command), *map(_current_option, rest)] if words else []


def _current_option(word: str) -> str:
    name, equals, value = word.partition("=")
    if name not in OPTIONS:
        return word
    _warn(name, OPTIONS[name])
    return OPTIONS[name] + equals + value


def _warn(former: str, current: str) -> None:
    say(f"warning: {former} is now called {current}", error=True)
