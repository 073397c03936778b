"""Heads on an encoder, and trained classifiers on disk."""
