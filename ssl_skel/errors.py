"""The one exception that means "your input, not our code"."""


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
