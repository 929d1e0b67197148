"""How Tandem's processes come up, are watched and go away, and the servers they need on one machine."""
