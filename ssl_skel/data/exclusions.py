r"""Lists of clips to leave out: a text file, one clip name per line, ``#`` before remarks.

A name that a plain line would not keep (blanks at its ends, ``#`` or ``"`` in front, line ends, control characters)
is written as a JSON string, ``"two\nlines"``. ``ssl-skel audit`` proposes a list; conversion and splits use it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ssl_skel.errors import UserError, why_unreadable


def read_exclusions(file: Path | str | None) -> frozenset[str]:
    """Names of the clips to leave out, none without a file; empty lines and lines that start with ``#`` do not count.

    Raises:
        UserError: the file cannot be read, or is not UTF-8 text.
    """
    if file is None:
        return frozenset()
    file = Path(file)
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = why_unreadable(error, "give a list of clip names, one per line")
        raise UserError(f"{file}: cannot be read: {why}") from error
    return frozenset(_name(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#"))


def check_exclusions(names: Collection[str], there: Collection[str], source: Path | str) -> None:
    """Refuse a list that names unknown clips: it was made for another data set, or mistyped.

    Args:
        names: of the list.
        there: names of all clips.
        source: the list's file, for the message.

    Raises:
        UserError: says how many, and one of them.
    """
    unknown = sorted(set(names) - set(there))
    if unknown:
        raise UserError(
            f"{source}: {len(unknown)} of {len(names)} names are not clips here, such as {unknown[0]!r}; "
            "remove them, or give the list of this data set"
        )


def format_exclusions(reasons: Mapping[str, Iterable[str]]) -> str:
    """The text of a list: reason -> names, each reason as a remark above its names; a name is written once."""
    lines, written = [], set()
    for reason, names in reasons.items():
        new = [name for name in dict.fromkeys(names) if name not in written]
        if new:
            lines += [f"# {reason}: {len(new)}", *map(_line, new)]
            written.update(new)
    return "".join(f"{line}\n" for line in lines)


def _line(name: str) -> str:
    """The line of a name."""
    plain = name == name.strip() and name.isprintable() and name != "" and not name.startswith(("#", '"'))
    return name if plain else json.dumps(name)


def _name(line: str) -> str:
    """The name on a line; what is not a JSON string is the name itself, as in lists of earlier releases."""
    if line.startswith('"'):
        try:
            name = json.loads(line)
        except ValueError:
            return line
        return name if isinstance(name, str) else line
    return line
