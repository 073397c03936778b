"""Names of the parts of a saved classifier, below the folder of its training, and defaults of ``train-classifier``."""

CLASSIFIER, HEAD, HEAD_CARD = "classifier", "head.safetensors", "head.json"

TYPICAL = "typical.safetensors"
"""Extra file of classifiers of ``train-classifier``; see ``finetune.classifiers.typical``."""

DEFAULT_ENCODER = "box/tcn"
"""Default encoder of ``train-classifier``: it comes with the package and takes every body layout."""

KEEP = 0.95
"""Share of right answers that the threshold of ``train-classifier`` leaves."""
