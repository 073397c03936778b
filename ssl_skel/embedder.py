"""Former home of ``SkeletonEmbedder``; pickles and README of 0.1 name it. Goes with 0.3."""

from ssl_skel.embedding.sklearn import SkeletonEmbedder

__all__ = ["SkeletonEmbedder"]
