"""HL7 v2 messages -> statements of the record, by the same readers as a FHIR bundle.

A message is translated into the resources that it speaks of, and those are read exactly as if a
bundle had brought them: one terminology, one set of safe readings, one form of statement.
"""

from services.intake.adapters.hl7v2.batch import split_messages
from services.intake.adapters.hl7v2.message import read_message

__all__ = ["read_message", "split_messages"]
