"""Weights that papers' authors released, read into this package's networks.

A release is a file of this package: which of its names belong to which of ours, and how a tensor of theirs becomes one
of ours. ``tests/backbones/golden`` holds what each release's own module computes, and so what an import must.
"""
