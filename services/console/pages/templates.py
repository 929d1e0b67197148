"""Turns templates into pages: escaping is always on, an unknown name is an error, nothing inline.

Scripts and styles come from this process alone, by addresses that name their content, so that the
pages need no `unsafe-inline` and no network.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.console.live import LETTERS
from services.console.pages import words
from services.console.projections.detail import visible_detail
from shared.contracts.case_code import case_code

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DIGITS: Final = 12
#: sent by a page that asks for itself anew: the digest of how it looks
SEEN_HEADER: Final = "Tandem-Seen"
#: where templates want that digest
_SEEN: Final = "@seen@"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the folder `static`, served under a name that changes with its content."""

    name: str
    address: str
    content: bytes
    media_type: str


def load_assets() -> dict[str, Asset]:
    """The assets by the last part of their address."""
    found: dict[str, Asset] = {}
    for file in files("services.console").joinpath("static").iterdir():
        stem, _, kind = file.name.rpartition(".")
        if kind in _TYPES:
            content = file.read_bytes()
            key = f"{stem}.{hashlib.sha256(content).hexdigest()[:_DIGITS]}.{kind}"
            found[key] = Asset(
                file.name, f"/static/{key}", content, f"{_TYPES[kind]}; charset=utf-8"
            )
    return found


class Pages:
    """The templates and assets of one process."""

    def __init__(self, *, mode: str, protocol: str, protocol_status: str) -> None:
        self.assets = load_assets()
        self._environment = Environment(
            loader=PackageLoader("services.console", "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        addresses = {asset.name: asset.address for asset in self.assets.values()}
        self._environment.globals.update(
            static=addresses.__getitem__,
            mode=mode,
            protocol=protocol,
            protocol_status=protocol_status,
            words=words,
            case_code=case_code,
            visible_detail=visible_detail,
            letters=LETTERS,
        )

    def text(self, name: str, **values: Any) -> str:  # noqa: ANN401 - what templates show
        """The rendered template."""
        return self._environment.get_template(name).render(**values)

    def page(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """The rendered template as an answer."""
        return HTMLResponse(self.text(name, **values), status_code=status)

    def refreshed(
        self,
        request: Request,
        name: str,
        **values: Any,  # noqa: ANN401 - what templates show
    ) -> Response:
        """The page; nothing (204) for a page that asks for itself anew and would look the same."""
        text = self.text(name, **values)
        looks = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
        if request.headers.get(SEEN_HEADER) == looks:
            return Response(status_code=204)
        return HTMLResponse(text.replace(_SEEN, looks))

    def plain(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """A page for nobody in particular: no name, no navigation, no data."""
        return self.page(name, status=status, **values)
