"""No damage to a file that the project reads gets more out of a command than one line.

``python tests/fuzz files`` tries more. Here, cases run in this process, so a crash of the interpreter ends the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import OUT, SOUND, TARGETS, observe, run_case, workplace
from targets import Target

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX"),
    pytest.mark.filterwarnings("default"),  # a command prints its warnings
]
CASES = 245


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    with workplace() as pristine:
        yield pristine


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_commands_read_what_is_whole(pristine: Path, target: Target) -> None:
    """Otherwise their refusals would say nothing."""
    with target.restored(pristine):
        Path(OUT).mkdir()
        assert observe((*target.calls, *target.commands)[0])[:2] == ("read", "")


@pytest.mark.parametrize("batch", range(7))
def test_damaged_files(pristine: Path, batch: int) -> None:
    found = [run_case(case, 1, pristine) for case in range(batch, CASES, 7)]
    assert [outcome for outcome in found if outcome.kind not in SOUND] == []
