"""The typed rulebook and its loader. Every clinical number of Tandem lives behind these types."""
