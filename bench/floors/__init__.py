"""The floors: what the same work costs without our guarantees."""
