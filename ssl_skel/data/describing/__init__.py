"""A first ``recordings.yaml`` for a folder of recordings, from what their names and contents show."""
