"""Former home of ``load_encoder``, which README of 0.1 printed. Goes with 0.3."""

from ssl_skel.encoders.files import load_encoder

__all__ = ["load_encoder"]
