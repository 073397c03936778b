"""Progress of long work, on stderr: a bar on a terminal, else a line now and then, or nothing (``--quiet``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

from ssl_skel.escaping import say, shown

QUIET = "SSL_SKEL_QUIET"
"""Environment variable that hides all progress if it is set, also in the processes that a command starts."""
Progress = tqdm
"""What ``progress`` returns."""
_BETWEEN_LINES = 30.0  # seconds
_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed} since the start, {remaining} to go, {rate_fmt}{postfix}"


class _Lines(tqdm):  # type: ignore[misc]
    """A bar for a file: each display is a line of its own."""

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Anything that shows a text."""
        return lambda text: say(text.strip(), error=True) if text.strip() else None


class _Nowhere:
    """Swallows the returns and line feeds that move a bar."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def progress(
    things: Iterable[Any] | None = None,
    title: str = "",
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
    hidden: bool = False,
    leave: bool = True,
    delay: float = 0.0,
) -> tqdm:
    """Go through things, or count steps by ``update()``, and show the progress.

    Args:
        things: to go through; None for steps.
        title: what is going on.
        total: how many there are; default: the length of ``things``.
        initial: how many were done before.
        unit: of one.
        hidden: show nothing.
        leave: a bar stays when all is done.
        delay: seconds before the first sign of a bar.
    """
    options = {"total": total, "initial": initial, "unit": unit, "leave": leave}
    options |= {"desc": shown(title), "disable": hidden or bool(os.environ.get(QUIET))}
    if sys.stderr.isatty():
        return tqdm(things, delay=delay, **options)
    pause = {"delay": _BETWEEN_LINES, "mininterval": _BETWEEN_LINES, "maxinterval": _BETWEEN_LINES}
    return _Lines(things, file=_Nowhere(), bar_format=_LINE, **pause, **options)


def note(line: object) -> None:
    """Print a line of progress past any bar."""
    if not os.environ.get(QUIET):
        tqdm.write(shown(line), sys.stderr)
