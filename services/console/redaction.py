"""The settings in force, with what is secret in them hidden."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from shared.runtime.stack import DEFAULT_PORTS

HIDDEN = "***"
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN(?!_URL)|PRIVATE|CREDENTIAL|(^|_)KEY($|_)")


def settings(environ: Mapping[str, str], *, redacted: bool) -> dict[str, str]:
    """All `TANDEM_` settings by name, defaults of the ports included."""
    names = {name: value for name, value in environ.items() if name.startswith("TANDEM_")}
    everything = {**{name: str(port) for name, port in DEFAULT_PORTS.items()}, **names}
    shown = hide if redacted else (lambda _, value: value)
    return {name: shown(name, everything[name]) for name in sorted(everything)}


def hide(name: str, value: str) -> str:
    """The value as it may be shown: nothing of a secret, an address without its password."""
    if _SECRET_NAME.search(name):
        return HIDDEN
    if "://" not in value:
        return value
    return _without_password(value)


def _without_password(address: str) -> str:
    try:
        parts = urlsplit(address)
        if parts.password is None:
            return address
    except ValueError:
        return HIDDEN
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{HIDDEN}@{host}"))
