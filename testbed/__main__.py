"""`python -m testbed` is `procmem`."""

from testbed.cli.main import main

main()
