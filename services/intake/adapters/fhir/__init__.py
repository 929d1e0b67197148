"""Reads FHIR R4 and mCODE bundles into statements for the coordination record.

``read_bundle`` is pure: the same bytes give the same reading. It never raises for bad input; the
reading then carries ``problems`` and nothing of it may be recorded. Which resources are used, and
how, is told in docs/architecture/fhir-import.md.
"""

from services.intake.adapters.fhir.bundle import read_bundle
from services.intake.adapters.fhir.reading import (
    BundleReading,
    Identifier,
    Outcome,
    Problem,
    ProblemCode,
    Reason,
    ReportLine,
    ResourceCounts,
    Statement,
    Subject,
)

__all__ = [
    "BundleReading",
    "Identifier",
    "Outcome",
    "Problem",
    "ProblemCode",
    "Reason",
    "ReportLine",
    "ResourceCounts",
    "Statement",
    "Subject",
    "read_bundle",
]
