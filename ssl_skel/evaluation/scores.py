"""The figures of one set of predictions, as reports keep them; ``metrics`` measures them."""

from __future__ import annotations

from pydantic import field_validator

from ssl_skel.config import Section


class Scores(Section):
    """Figures of one set of predictions; shares are between 0 and 1."""

    accuracy: float
    """Share of clips classified correctly (top-1)."""

    macro_f1: float
    """Mean F1 over the classes that have test clips."""

    top5: float | None = None
    """Share of clips whose class is among the five best scored; None without scores or with five classes or fewer."""

    ece: float | None = None
    """Expected calibration error: how far confidence and accuracy are apart; None without scores."""

    interval: tuple[float, float] | None = None
    """95 % bootstrap interval of the accuracy over test clips; None in old reports."""

    per_class: tuple[float | None, ...]
    """Accuracy of each class; None where the class has no test clip."""

    confusion: tuple[tuple[int, ...], ...]
    """Clips of class (row) taken for class (column)."""

    @field_validator("confusion")
    @classmethod
    def _check_square(cls, confusion: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        if any(len(row) != len(confusion) for row in confusion):
            raise ValueError("confusion: has a row and a column for each class")
        return confusion
