"""Numbers from text, many at once, against ``float`` one by one."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssl_skel.data.readers.decimals import PADDING, read_numbers

NUMBER = st.one_of(
    st.floats().map(repr),
    st.floats(-10, 10).map("{:.7g}".format),
    st.floats(-1e6, 1e6).map("{:.3f}".format),
    st.floats(-1, 1).map("{:.12f}".format),
    st.integers().map(str),
    st.from_regex(r"-?[0-9]{1,2}\.[0-9]{0,10}", fullmatch=True),
)
ODD = re.findall(r"\S+", "-0 -0.0 .5 5. nan -inf 1e-5 1.5e3 +3 0.00000001 9.99999999 9.999999999 00000000 12.5 -1.25")


def starts(text: bytes) -> np.ndarray:
    return np.array([match.start() for match in re.finditer(rb"\S+", text)], np.int64)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(NUMBER, min_size=1), gap=st.sampled_from([" ", "\n", "\r\n", "\t", "   "]))
@example(words=ODD, gap=" ")
def test_the_same_as_float_bit_for_bit(words: list[str], gap: str) -> None:
    text = gap.join(words).encode() + PADDING
    expected = np.array(list(map(float, words)))
    numbers, end = read_numbers(text, starts(text), 1)
    np.testing.assert_array_equal(numbers[:, 0].view("i8"), expected.view("i8"))
    np.testing.assert_array_equal(end, starts(text) + [len(word) for word in words])
    in_a_row, end = read_numbers(text, np.array([0]), len(words))
    np.testing.assert_array_equal(in_a_row[0].view("i8"), expected.view("i8"))
    assert end == len(text) - len(PADDING)


@settings(max_examples=200, deadline=None)
@given(word=st.binary(min_size=1, max_size=12).filter(lambda word: min(word) > 32))
@example(word=b"1.2.3")
@example(word=b"1.2a")
@example(word=b"--1")
@example(word=b"1:2")
@example(word=b".")
@example(word=b"1./")
def test_what_float_refuses_is_refused(word: bytes) -> None:
    text = b"0.5 " + word + b" 0.5" + PADDING
    try:
        expected = float(word)
    except ValueError:
        with pytest.raises(ValueError, match="could not convert"):
            read_numbers(text, np.array([4]), 1)
    else:
        np.testing.assert_array_equal(read_numbers(text, np.array([4]), 1)[0], expected)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="missing at the end"):
        read_numbers(b"1.5 2.5\n" + PADDING, np.array([4]), 2)
    numbers, end = read_numbers(PADDING, np.zeros(0, np.int64), 3)
    assert numbers.shape == (0, 3)
    assert end.shape == (0,)
