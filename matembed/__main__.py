"""``python -m matembed``: the command line."""

import sys

from matembed.cli import main

if __name__ == "__main__":
    sys.exit(main())
