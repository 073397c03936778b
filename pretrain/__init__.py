"""Pretraining, one of the two verbs; ``pretrain.run.run(config)`` is all of it.

It is a top-level package, next to ``ssl_skel`` and ``finetune``, on purpose. ``ssl_skel`` holds the nouns, things
that any program can use: stores, backbones, pretexts, the training loop, metrics. A verb takes one config
and puts nouns to work from start to end, top to bottom, so that its run file reads like the recipe it is.
Nouns never import verbs, and verbs never import each other: they meet at an encoder file on disk.
"""
