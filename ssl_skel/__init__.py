"""ssl-skel: self-supervised pretraining for 3D-skeleton action recognition.

The names that most programs need are here; ``__init__.pyi`` lists them. Each is imported when it is first used, so
``import ssl_skel`` itself imports nothing heavy.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
