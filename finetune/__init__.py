"""Evaluation of encoders by labels, the other verb: ``finetune.run.run(config)``.

What it keeps serves two further commands: ``fusion`` puts the streams of several evaluations together, ``predict``
applies a trained classifier to new recordings.

It stands at top level beside ``pretrain`` for the reason given there, and knows nothing of it: what it
evaluates is an encoder file on disk.
"""
