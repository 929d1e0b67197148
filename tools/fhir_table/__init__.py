"""Writes the page that tells what the FHIR reader uses from each real bundle."""
