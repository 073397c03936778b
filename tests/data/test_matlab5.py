"""The parser of MATLAB files against SciPy's, and against files that were made to harm."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from ssl_skel.data.readers.matlab5 import LARGEST, read_variable


def written(values: dict[str, Any], **options: Any) -> bytes:
    file = BytesIO()
    savemat(file, values, **{"do_compression": True, **options})
    return file.getvalue()


def packed(matrix: bytes) -> bytes:
    body = zlib.compress(matrix)
    return b" " * 124 + b"\x00\x01IM" + struct.pack("<II", 15, len(body)) + body


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_numbers_are_scipys(dtype: str, compressed: bool) -> None:
    for shape in [(20, 3, 7), (20, 3), (1, 1), (1, 3), (2, 0)]:
        values = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
        data = written({"other": ["text"], "d_skel": values, "last": 1.0}, do_compression=compressed)
        found = read_variable(data, "d_skel")
        np.testing.assert_array_equal(found, loadmat(BytesIO(data))["d_skel"])
        assert found.shape == shape


@pytest.mark.parametrize(
    ("value", "words"),
    [("text", "not real and numeric"), (1j, "not real and numeric"), ({"a": 1}, "not real and numeric|odd|cut")],
)
def test_other_kinds_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_variable(written({"d_skel": value}), "d_skel")
    with pytest.raises(ValueError, match="no variable d_skel"):
        read_variable(written({"d_shel": 1.0}), "d_skel")


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before() -> None:
    matrix = struct.pack("<II", 14, 2**31) + struct.pack("<IIII", 6, 8, 6, 0)
    matrix += (
        struct.pack("<IIiii4x", 5, 12, 20, 3, 10**7)
        + struct.pack("<II8s", 1, 6, b"d_skel")
        + struct.pack("<II", 9, 2**31)
    )
    stream = zlib.compressobj(9)
    body = stream.compress(matrix) + b"".join(stream.compress(bytes(2**20)) for _ in range(400)) + stream.flush()
    data = b" " * 124 + b"\x00\x01IM" + struct.pack("<II", 15, len(body)) + body
    assert len(data) < 2**20
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"more than {LARGEST} bytes"):
        read_variable(data, "d_skel")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * LARGEST


@pytest.mark.parametrize("seed", range(4))
def test_a_file_mutated_behind_its_check_sum_is_read_or_refused(seed: int) -> None:
    """SciPy's reader ends the interpreter on some of these: tags, sizes and dimensions lie, the check sum is sound."""
    chance = random.Random(seed)
    sound = written({"d_skel": np.arange(120.0).reshape(20, 3, 2)}, do_compression=False)[128:]
    for _ in range(500):
        matrix = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(matrix) if chance.random() < 0.3 else 80)
            matrix[at] = chance.choice([0, 1, 2, 4, 14, 15, 127, 128, 255, chance.randrange(256)])
        if chance.random() < 0.2:
            del matrix[chance.randrange(len(matrix)) :]
        try:
            found = read_variable(packed(bytes(matrix)), "d_skel")
        except ValueError:
            continue
        assert found.size <= len(matrix)
