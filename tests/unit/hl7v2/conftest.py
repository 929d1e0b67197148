"""Leaves out the tests on reference material where that material is not there."""

import pytest
from hl7_builders import SHARED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect ``realdata`` tests of this folder without ../shared/fhir/hl7v2."""
    if SHARED.is_dir():
        return
    absent = [
        item for item in items if item.get_closest_marker("realdata") and "hl7v2" in item.path.parts
    ]
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]
