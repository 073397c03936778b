"""Joint layouts: built-in ones and your own, and maps between them."""

from ssl_skel.layouts.layout import LAYOUTS, LayoutLike, SkeletonLayout, load_layout, parse_layout

__all__ = ["LAYOUTS", "LayoutLike", "SkeletonLayout", "load_layout", "parse_layout"]
