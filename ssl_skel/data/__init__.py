"""From raw recordings to batches: readers, normalisation, the store, splits, the loader."""
