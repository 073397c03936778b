"""Frozen features and what they are worth: kNN, linear probe, metrics, reports."""
