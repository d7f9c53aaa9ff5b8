"""`python -m testbed` is `procmem`."""

from testbed.cli import main

main()
