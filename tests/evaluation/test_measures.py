"""Reports of release 0.1 are read under the present names of measures."""

from __future__ import annotations

import pytest

from ssl_skel.evaluation.measures import present_measure
from ssl_skel.evaluation.report import Figure, Measurement


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("linear, closed", "linear, cached"),
        ("linear, closed, 1 copy", "linear, cached, 1 augmented view"),
        ("linear, closed, 6 copies", "linear, cached, 6 augmented views"),
        ("linear, closed, 6 copies, fused joint + bone by 0.6 : 0.6", "linear, cached, 6 augmented views, fused"),
        ("linear, live", "linear, trained"),
        ("exemplars, 5 a class", "exemplars, 5-shot"),
        ("fine-tuned, 15 a class", "fine-tuned, 15-shot"),
        ("retrieval, copies among the answers", "retrieval, duplicates among the answers"),
        ("kNN, k = 1", "kNN, k = 1"),
        ("fine-tuned, 1 %", "fine-tuned, 1 %"),
    ],
)
def test_former_names(former: str, present: str) -> None:
    found = present_measure(former)
    assert found.startswith(present)
    assert present_measure(found) == found
    row = Measurement(split="xview", features="raw", measure=former, figures={"accuracy": Figure(mean=0.5)})
    assert row.measure == found
