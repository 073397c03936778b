"""Text of files and users on its way to a terminal: nothing in it acts, and it stays on its line."""

from __future__ import annotations

import re

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: object) -> str:
    r"""Text on one line that changes nothing of a terminal: characters that act rather than show are escaped.

    >>> print(shown("a\nb\x1b[2J"))
    a\nb\x1b[2J
    """
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], str(text))
