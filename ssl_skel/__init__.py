"""ssl-skel: self-supervised pretraining for 3D-skeleton action recognition.

The names that most programs need are here; ``__init__.pyi`` lists them. Each is imported when it is first used, so
``import ssl_skel`` itself imports nothing heavy.
"""

import os

import lazy_loader

# Threads that wait for each other leave their core to others; spinning is ten times slower next to other work
# (docs/speed.md). OpenMP reads it when torch is imported, OpenBLAS when NumPy is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # the same for NumPy's and SciPy's BLAS: 2**4 cycles

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
