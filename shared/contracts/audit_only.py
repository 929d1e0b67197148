"""Events that no service reacts to: they tell people (console, audit, auditors) what happened.

An event is either read by a service's table of reactions or listed here, never both and never
neither, so that no event is dead and none is forgotten (tests/architecture/test_catalogue.py).
"""

from typing import Final

AUDIT_ONLY: Final[frozenset[str]] = frozenset()
