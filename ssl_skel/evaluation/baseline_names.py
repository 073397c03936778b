"""Names of the baselines that pass no network; what each computes stands in ``baselines``."""

from __future__ import annotations

from typing import Literal

RawBaseline = Literal["raw", "raw_box", "raw_deviation", "raw_pairs"]
"""An entry of ``BASELINES``."""
