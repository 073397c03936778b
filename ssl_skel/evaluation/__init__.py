"""How good frozen features are: kNN, linear probe, metrics, reports."""
