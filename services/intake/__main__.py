"""Runs intake: `python -m services.intake`."""

from services.intake.bootstrap import PROGRAM
from shared.runtime.service import main

if __name__ == "__main__":
    main(PROGRAM)
