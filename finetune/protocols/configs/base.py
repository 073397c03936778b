"""What the options of every protocol have."""

from __future__ import annotations

from typing import ClassVar

from ssl_skel.config import EntryConfig


class ProtocolConfig(EntryConfig):
    """Options of one protocol.

    Attributes:
        required_pooling: the only pooling of the encoder that the protocol can use; None: it takes any.
    """

    required_pooling: ClassVar[str | None] = None
