"""`python -m blackbox_am.cli` is the same command as `blackbox-am`."""

from blackbox_am.cli import main

main()
