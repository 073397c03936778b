"""A store for more than one benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_skel.data.clip import RawClip
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.layouts import LAYOUTS


@pytest.fixture(scope="session")
def ntu_like(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """512 clips like NTU RGB+D's: about 90 frames a clip, a second person in one clip of five."""
    random, layout = np.random.default_rng(0), LAYOUTS["ntu25"]
    path = tmp_path_factory.mktemp("stores") / "ntu_like"
    with StoreWriter(path, layout, ("action",)) as writer:
        for number in range(512):
            persons = 1 + int(random.random() < 0.2)
            shape = (persons, int(random.integers(40, 141)), layout.num_joints, 3)
            writer.add(RawClip(f"clip{number}", random.normal(size=shape).astype("f4"), label=0))
    return Store.open(path)
