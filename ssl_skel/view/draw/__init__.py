"""Seeing: clips and figures in; self-contained HTML pages and pictures out. Nothing here reads runs or stores."""
