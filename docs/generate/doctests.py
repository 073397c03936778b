"""Doctests of docstrings as blocks of code: an extension of griffe, which reads the docstrings for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

_BLOCK = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences each doctest as ``pycon``."""

    def on_object(self, *, obj: griffe.Object, **more: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = fence(obj.docstring.value)


def fence(text: str) -> str:
    """A docstring with its doctests fenced."""
    return _BLOCK.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
