"""Feeds damaged real bundles to the FHIR reader: mutations, seeds, and what must always hold."""
