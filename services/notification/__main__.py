"""Runs notification: `python -m services.notification`."""

from services.notification.bootstrap import PROGRAM
from shared.runtime.service import main

if __name__ == "__main__":
    main(PROGRAM)
