"""The audit: what is wrong with a store, clip by clip and as a whole.

``limits`` holds every threshold, ``clips`` looks at one clip, ``duplicates`` and ``overlaps`` at pairs of them,
``leakage`` at splits, ``counts`` at published counts and balance, ``inspection`` goes through a store, ``report``
writes the findings.

What a store can no longer show: gaps were filled at conversion, persons who were never tracked were dropped, and the
clip was moved (and turned or scaled if requested). Filled gaps are recognised by their shape (a straight line at even
speed, a joint that stands still, a joint on top of its parent); ``meta.json`` records how many there were. Ids that
changed and persons who came midway are visible only in raw files. In half precision, filled gaps and shared frames
cannot be distinguished from rounding.
"""
