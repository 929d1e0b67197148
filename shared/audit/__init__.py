"""The tamper-evident record of who did what: `append` in the transaction of the change."""

from shared.audit.chain import Value, append

__all__ = ["Value", "append"]
