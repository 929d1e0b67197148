"""How Tandem's processes come up, are watched and go away, with the servers that they need."""
