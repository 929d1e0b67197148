"""The named SQL of manufacturing."""

from typing import Final

from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.manufacturing.adapters")
