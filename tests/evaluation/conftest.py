"""A real store, converted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store


@pytest.fixture(scope="session")
def nw_ucla(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("real") / "nw_ucla"
    convert("nw-ucla", real_data / "nw_ucla" / "all_sqe", path, normalize=NormalizeConfig(), progress=False)
    return Store.open(path)
