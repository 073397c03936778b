"""What the views of a pretext show, as an option."""

from __future__ import annotations

from typing import Literal

from ssl_skel.encoders.stream_names import Stream

Source = Literal["own", "own_motion", Stream]
"""``own`` is the encoder's stream, ``own_motion`` its change from frame to frame; any other stream may be named."""
