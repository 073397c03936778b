"""Names of what a saved classifier consists of, below the folder of its training."""

CLASSIFIER, HEAD, HEAD_CARD = "classifier", "head.safetensors", "head.json"
