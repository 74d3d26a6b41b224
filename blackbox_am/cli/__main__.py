"""`python -m blackbox_am.cli`, the same as `blackbox-am`."""

from blackbox_am.cli import main

main()
