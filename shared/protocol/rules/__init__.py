"""The rule families. Each module turns rulebook rows and facts into checks for one gate."""
