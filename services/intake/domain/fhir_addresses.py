"""Where a reference leads on the one FHIR server that a feed may ask.

Invariant: an address that is asked consists of the configured base, a resource type and an id that
were each matched as a whole; nothing else of what a sender wrote gets into it. So a reference can
lead to no other host, port or path, whatever it says.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

#: a longer reference is no address of a resource
REFERENCE_LENGTH_MAX: Final = 2_000
_PATH: Final = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_PRINTABLE: Final = re.compile(r"[!-~]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_PORTS: Final = {"http": 80, "https": 443}


class ForeignAddressError(ValueError):
    """The reference is none of a resource on this server."""


@dataclass(frozen=True, slots=True)
class FhirBase:
    """The address below which a FHIR server has its resources, without a slash at its end."""

    url: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no plain address of a server."""
        if not _PRINTABLE.fullmatch(self.url) or "\\" in self.url or "%" in self.url:
            raise ValueError("the base has characters that no plain address has")
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("the base is an http or https address")
        if "@" in parts.netloc or parts.query or parts.fragment or self.url[-1] in "/?#":
            raise ValueError("the base has no user, query, fragment or slash at its end")
        if {".", "..", ""} & set(parts.path.split("/")[1:]):
            raise ValueError("the path of the base has empty or relative parts")
        _port(parts)

    def key_of(self, reference: str) -> str:
        """`Type/id` of a relative or absolute reference, without its version.

        Raises `ForeignAddressError` for another server and for what is no reference to a resource.
        """
        if not _PRINTABLE.fullmatch(reference) or len(reference) > REFERENCE_LENGTH_MAX:
            raise ForeignAddressError("the reference cannot be read")
        path = self._below(reference) if _SCHEME.match(reference) else reference
        found = _PATH.fullmatch(path)
        if found is None or not found["id"].strip("."):
            raise ForeignAddressError("the reference names no resource")
        return f"{found['type']}/{found['id']}"

    def address_of(self, key: str) -> str:
        """The address of a resource that `key_of` named."""
        return f"{self.url}/{self.key_of(key)}"

    def _below(self, reference: str) -> str:
        own = urlsplit(self.url)
        try:
            parts = urlsplit(reference)
            is_own = (parts.scheme, parts.hostname, _port(parts)) == (
                own.scheme, own.hostname, _port(own),
            )  # fmt: skip
        except ValueError:
            is_own = False
        prefix = f"{own.path}/"
        if not is_own or "@" in parts.netloc or parts.query or parts.fragment:
            raise ForeignAddressError("the reference is of another server")
        if not parts.path.startswith(prefix):
            raise ForeignAddressError("the reference is of another path of the server")
        return parts.path.removeprefix(prefix)


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)
