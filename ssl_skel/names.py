"""Names: the one "did you mean" of messages about unknown names, and which names may become paths."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from ssl_skel.errors import UserError

_ALL = 40  # names; of longer lists only the first few help
_FIRST = 5
_QUOTED = 80  # characters of a name in a message
_SURELY = 0.8  # share of letters in common
PATH_NAME = r"^[\w+-]([\w .+-]*[\w.+-])?$"
"""Form of every name that becomes part of a path: no separator, no control character, no dot or blank in front."""
_LONGEST = 150  # bytes; file systems take 255, and what is made of a name adds its own


def check_path_name(name: object, where: Path | str = "") -> None:
    """The one rule for a name that becomes part of a path: of a run, a split, a store that is merged.

    Args:
        name: as given, by a user or by a file.
        where: file and field; "" if the caller says so.

    Raises:
        UserError: it has another form than ``PATH_NAME``, or more than 150 bytes.
    """
    if not isinstance(name, str) or not re.fullmatch(PATH_NAME[1:-1], name) or len(name.encode()) > _LONGEST:
        raise UserError(
            f"{where}{': ' if where else ''}{_brief(name)} cannot become the name of a file; use letters, digits, "
            f"'_', '.', '+', '-' and blanks within, no dot in front, at most {_LONGEST} bytes"
        )


def _brief(name: object) -> str:
    return repr(name) if len(repr(name)) <= _QUOTED else f"{repr(name)[:_QUOTED]} ..."


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
        known: all valid names; of more than 40 the first five are listed.
    """
    names = list(dict.fromkeys(map(str, known)))
    near = difflib.get_close_matches(str(word)[:_LONGEST], names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    short = [name if len(name) <= _QUOTED else f"{name[:_QUOTED]} ..." for name in names]
    listed = short if len(names) <= _ALL else [*short[:_FIRST], f"... ({len(names)} in all)"]
    return f"; known: {', '.join(listed)}" if names else ""


def misspelt(word: str, known: Iterable[str]) -> str | None:
    """The known name that an unknown word looks like a misspelling of, where unknown words are allowed too.

    >>> misspelt("labels", ["label", "frames"]), misspelt("content", ["label", "frames"])
    ('label', None)
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, 1, _SURELY)
    return near[0] if near and word not in names else None


def unknown(kind: str, word: object, known: Iterable[object], *, where: Path | str = "") -> UserError:
    """The mistake of an unknown name.

    >>> str(unknown("split", "xveiw", ["xsub", "xview"], where="ntu60"))
    "ntu60: unknown split 'xveiw'; did you mean 'xview'?"

    Args:
        kind: what it should name, such as ``split``; "" if ``where`` says so.
        word: the unknown name.
        known: all valid names.
        where: file, field or option.
    """
    place, what = f"{where}: " if where else "", f"{kind} " if kind else ""
    return UserError(f"{place}unknown {what}{_brief(word)}{nearest(word, known)}")
