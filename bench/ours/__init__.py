"""The product's own parts, as its services put them together."""
