"""Raw formats: one file each, one row in ``READERS`` each."""

from __future__ import annotations

from ssl_skel.data.readers.base import RawClip, Reader
from ssl_skel.data.readers.npz import NpzReader
from ssl_skel.data.readers.nw_ucla import NwUclaReader
from ssl_skel.data.readers.sbu import SbuReader
from ssl_skel.data.readers.utd_mhad import UtdMhadReader

READERS: dict[str, type[Reader]] = {
    "nw-ucla": NwUclaReader,
    "utd-mhad": UtdMhadReader,
    "sbu": SbuReader,
    "npz": NpzReader,
}

__all__ = ["READERS", "RawClip", "Reader"]
