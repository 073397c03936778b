"""Weights that papers' authors released, read into this package's networks.

Each release has a file in this package: which of its names belong to which of ours, and how its tensors become ours.
``tests/backbones/golden`` holds the outputs of each release's own module, which an import must match.
"""
