"""Runs infusion scheduling: `python -m services.infusion_scheduling`."""

from services.infusion_scheduling.bootstrap import PROGRAM
from shared.runtime.service import main

if __name__ == "__main__":
    main(PROGRAM)
