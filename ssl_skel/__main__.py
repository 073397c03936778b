"""``python -m ssl_skel``, the same as ``ssl-skel``."""

from ssl_skel.cli.app import main

main()
