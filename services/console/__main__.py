"""Runs the console: `python -m services.console`."""

from services.console.bootstrap import PROGRAM
from shared.runtime.service import main

if __name__ == "__main__":
    main(PROGRAM)
