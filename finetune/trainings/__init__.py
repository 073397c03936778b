"""Supervised trainings of an evaluation, and what they leave on disk."""
