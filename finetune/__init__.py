"""Evaluation of encoders by labels, the other verb: ``finetune.run.run(config)``.

Two further commands use its results: ``fusion`` puts the streams of several evaluations together, ``predict``
applies a trained classifier to new recordings.

It is a top-level package next to ``pretrain`` for the reason given there, and does not depend on it: it evaluates an
encoder file on disk.
"""
