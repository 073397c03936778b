"""The one "did you mean": what a message says of a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from ssl_skel.errors import UserError

_ALL = 40  # names; of longer lists only the first few help
_FIRST = 5


def nearest(word: object, known: Iterable[object]) -> str:
    """The end of a message about an unknown name: the known name that was probably meant, or else all of them.

    >>> nearest("xveiw", ["xsub", "xview"])
    "; did you mean 'xview'?"
    >>> nearest("test", ["xsub", "xview"])
    '; known: xsub, xview'
    >>> nearest("test", [])
    ''

    Args:
        word: the unknown name.
        known: the names that there are; of more than 40 the first five are listed.
    """
    names = list(dict.fromkeys(map(str, known)))
    near = difflib.get_close_matches(str(word), names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    listed = names if len(names) <= _ALL else [*names[:_FIRST], f"... ({len(names)} in all)"]
    return f"; known: {', '.join(listed)}" if names else ""


def unknown(kind: str, word: object, known: Iterable[object], *, where: Path | str = "") -> UserError:
    """The mistake of an unknown name.

    >>> str(unknown("split", "xveiw", ["xsub", "xview"], where="ntu60"))
    "ntu60: unknown split 'xveiw'; did you mean 'xview'?"

    Args:
        kind: what it should be the name of, such as ``split``; "" where ``where`` says so.
        word: the unknown name.
        known: the names that there are.
        where: file, field or option.
    """
    place, what = f"{where}: " if where else "", f"{kind} " if kind else ""
    return UserError(f"{place}unknown {what}{word!r}{nearest(word, known)}")
