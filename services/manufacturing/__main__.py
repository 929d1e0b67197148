"""Runs manufacturing: `python -m services.manufacturing`."""

from services.manufacturing.bootstrap import PROGRAM
from shared.runtime.service import main

if __name__ == "__main__":
    main(PROGRAM)
