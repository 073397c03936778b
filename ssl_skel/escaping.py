"""Text of files and users on its way to a terminal: no control sequence takes effect, and it stays on its line.

Lines are printed by ``say``, data for machines by ``show_json``, tables by ``ssl_skel.console``; nothing else prints.
"""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: object) -> str:
    r"""Text on one line that changes nothing of a terminal: characters that act instead of being shown are escaped.

    >>> print(shown("a\nb\x1b[2J"))
    a\nb\x1b[2J
    """
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], str(text))


def inert(value: object) -> object:
    """A cell of a CSV file that no spreadsheet takes for a formula: text that begins like one gets a quote in front
    (OWASP).

    Control characters, which would break the line, are escaped.

    >>> inert("=HYPERLINK(1)"), inert("xview"), inert(-0.5)
    ("'=HYPERLINK(1)", 'xview', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def say(line: object = "", *, error: bool = False) -> None:
    """Print one line.

    Args:
        line: of whatever characters.
        error: to stderr, at once.
    """
    print(shown(line), file=sys.stderr if error else sys.stdout, flush=error)


def say_page(page: str) -> None:
    """Print text of several lines that ends with one."""
    print("\n".join(map(shown, page.split("\n"))), end="")


def show_json(value: Any) -> None:
    """Print plain data as JSON, in ASCII."""
    print(json.dumps(value, indent=2))


def never_refuse_letters() -> None:
    """Let the console escape characters that it lacks, such as those of a class name on a Windows console."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
