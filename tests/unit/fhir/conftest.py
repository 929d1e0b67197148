"""Leaves out the tests on reference material where that material is not there.

They are deselected, not skipped: a skip would say that something is missing that should be there.
"""

import pytest
from fhir_builders import SHARED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect ``realdata`` tests without ../shared/fhir beside the checkout."""
    if SHARED.is_dir():
        return
    absent = [item for item in items if item.get_closest_marker("realdata")]
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]
