"""Former home of ``extract_features``, which README of 0.1 printed. Goes with 0.3."""

from ssl_skel.embedding.features import extract_features

__all__ = ["extract_features"]
