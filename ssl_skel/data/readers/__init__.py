"""Raw formats: one file and one entry of ``READERS`` each."""

from __future__ import annotations

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.amc import AmcReader
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.bvh import BvhReader
from ssl_skel.data.readers.ctrgcn import CtrGcnReader
from ssl_skel.data.readers.florence3d import Florence3DReader
from ssl_skel.data.readers.kinetics import KineticsReader
from ssl_skel.data.readers.mediapipe import MediaPipeReader
from ssl_skel.data.readers.msr_action3d import MsrAction3DReader
from ssl_skel.data.readers.npy import NpyReader
from ssl_skel.data.readers.npz import NpzReader
from ssl_skel.data.readers.ntu import NtuReader
from ssl_skel.data.readers.nw_ucla import NwUclaReader
from ssl_skel.data.readers.openpose import OpenPoseReader
from ssl_skel.data.readers.pku_mmd import PkuMmdReader
from ssl_skel.data.readers.pyskl import PysklReader
from ssl_skel.data.readers.sbu import SbuReader
from ssl_skel.data.readers.stgcn import StGcnReader
from ssl_skel.data.readers.table import TableReader
from ssl_skel.data.readers.text import TextReader
from ssl_skel.data.readers.utd_mhad import UtdMhadReader
from ssl_skel.data.readers.utkinect import UtKinectReader

READERS: dict[str, type[Reader]] = {
    "nw-ucla": NwUclaReader,
    "utd-mhad": UtdMhadReader,
    "sbu": SbuReader,
    "ntu": NtuReader,
    "ctrgcn": CtrGcnReader,
    "pyskl": PysklReader,
    "stgcn": StGcnReader,
    "pku-mmd": PkuMmdReader,
    "msr-action3d": MsrAction3DReader,
    "utkinect": UtKinectReader,
    "florence3d": Florence3DReader,
    "kinetics": KineticsReader,
    "mediapipe": MediaPipeReader,
    "openpose": OpenPoseReader,
    "bvh": BvhReader,
    "amc": AmcReader,
    "table": TableReader,
    "text": TextReader,
    "npy": NpyReader,
    "npz": NpzReader,
}

__all__ = ["READERS", "RawClip", "Reader"]
