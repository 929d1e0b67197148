"""The Merkle tree over all chain heads, hashed as in Certificate Transparency (RFC 9162, 2.1.1)."""

import hashlib
from collections.abc import Mapping, Sequence

from shared.audit.chain import canonical

Head = tuple[int, bytes]


def root_of(heads: Mapping[str, Head]) -> bytes:
    """The root over (chain, seq, hash) of all chains, in the order of their names."""
    return _tree([_leaf(name, *heads[name]) for name in sorted(heads)])


def _leaf(chain: str, seq: int, digest: bytes) -> bytes:
    text = canonical({"chain": chain, "hash": digest.hex(), "seq": seq})
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def _tree(leaves: Sequence[bytes]) -> bytes:
    """The hash of the tree, whose left half has the largest power of two below the count."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _tree(leaves[:half]) + _tree(leaves[half:])).digest()
