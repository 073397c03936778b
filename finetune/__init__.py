"""Evaluation of encoders by labels, the other verb; ``finetune.run.run(config)`` is all of it.

It stands at top level beside ``pretrain`` for the reason told there, and knows nothing of it: what it
evaluates is an encoder file on disk.
"""
