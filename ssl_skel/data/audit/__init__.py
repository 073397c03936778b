"""The doctor: what is wrong with a store, clip by clip and as a whole.

``limits`` holds every threshold, ``clips`` looks at one clip, ``duplicates`` and ``overlaps`` at pairs of them,
``leakage`` at splits, ``counts`` at published counts and balance, ``inspection`` goes through a store, ``report``
tells what came out.

What a store can no longer show: gaps were filled on the way in, persons nobody ever tracked were dropped, and
the clip was moved (turned, scaled, where asked for). Filled gaps are seen by their shape (a straight line at even
speed, a joint that stands still, a joint on top of its parent); how many there were, ``meta.json`` tells.
Ids that changed and persons who came midway are seen in raw files only. In half precision, filled gaps and shared
frames cannot be told from rounding.
"""
