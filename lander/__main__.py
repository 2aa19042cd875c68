"""`python -m lander` is `lander-ctl`."""

import sys

from lander.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
