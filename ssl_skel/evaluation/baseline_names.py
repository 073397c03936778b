"""Names of the baselines without a network; ``baselines`` defines what each computes."""

from __future__ import annotations

from typing import Literal

RawBaseline = Literal["raw", "raw_box", "raw_deviation", "raw_pairs"]
"""An entry of ``BASELINES``."""
