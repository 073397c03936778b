"""What tests of raw recordings share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store


@pytest.fixture(scope="module")
def store(raw: Path) -> Store:
    """The module's recordings, converted."""
    convert("npz", raw, raw.parent / "store", normalize=NormalizeConfig())
    return Store.open(raw.parent / "store")
