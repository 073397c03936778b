"""Options of the pretexts, apart from them: a config is read and checked before torch is imported."""

from typing import Annotated

from pydantic import Field

Positive = Annotated[int, Field(ge=1)]
"""A whole number, at least 1."""
