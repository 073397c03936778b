"""The one exception that means "your input, not our code", and why a text file cannot be read."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in a file, a config or a command line that its author can fix.

    The message is one line and names the file, the field and the remedy. The command prints it
    without a traceback and exits with code 2; library callers may catch it. The middle of a message
    of more than 500 characters is left out.
    """

    def __init__(self, message: str) -> None:
        rest = len(message) - _LONGEST
        super().__init__(message if rest <= 0 else f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}")


_LONGEST = 500
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # its marks of the byte order


def why_unreadable(error: OSError | UnicodeDecodeError, remedy: str) -> str:
    """What is wrong with a file that should be UTF-8 text and what to do, for the end of a message.

    >>> try:
    ...     "clip,x".encode("utf-16").decode()
    ... except UnicodeDecodeError as error:
    ...     print(why_unreadable(error, "give a table"))
    is UTF-16; save it as UTF-8

    Args:
        error: of opening it, or of decoding it from its beginning.
        remedy: unless it is UTF-16.
    """
    if isinstance(error, OSError):
        return f"{error.strerror or error}; {remedy}"
    return "is UTF-16; save it as UTF-8" if error.object.startswith(_UTF16) else f"is not UTF-8 text; {remedy}"
