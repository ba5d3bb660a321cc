"""`python -m lockgate_updater`: the same as the command `lockgate-updater`."""

import sys

from lockgate_updater.command import main

if __name__ == "__main__":
    sys.exit(main())
