"""What each service reacts to, read from its own table of reactions."""

from tools.documents.readers import OWNERS, reactions_of

SERVICES = OWNERS

__all__ = ["SERVICES", "reactions_of"]
