"""What every answer of the console gets, and how a browser is told what an API is told as JSON.

Plain ASGI around everything but tracing, so that streams pass through unbuffered. A page never
leaves without the content policy, and a problem document becomes a page only for a browser that
asked for one.
"""

import json
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.pages.templates import POLICY, Pages
from shared.web.problems import MEDIA_TYPE

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_UNAUTHORISED: Final = 401


class Shell:
    """The layer."""

    def __init__(self, app: ASGIApp, *, pages: Pages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(Request(scope, receive), self._pages, send)
        await self._app(scope, receive, answer.send)


class _Answer:
    """One answer on its way out; a problem for a browser is held back until it is whole."""

    def __init__(self, request: Request, pages: Pages, send: Send) -> None:
        self._request = request
        self._pages = pages
        self._send = send
        self._held: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Passes a message on, or turns the whole answer into a page."""
        if message["type"] == "http.response.start":
            if self._is_for_people(message):
                self._held = message
                return
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        elif self._held is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._told(self._held["status"])
            return
        await self._send(message)

    def _is_for_people(self, start: Message) -> bool:
        headers = MutableHeaders(scope=start)
        asked = self._request.headers
        wants_page = "text/html" in asked.get("accept", "") or "hx-request" in asked
        return wants_page and headers.get("content-type", "").startswith(MEDIA_TYPE)

    async def _told(self, status: int) -> None:
        response = self._sign_in() if status == _UNAUTHORISED else self._problem(status)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        await response(self._request.scope, self._request.receive, self._send)

    def _sign_in(self) -> Response:
        url = self._request.url
        shown = self._request.headers.get("hx-current-url") is None
        here = url.path + (f"?{url.query}" if url.query else "")
        to = here if self._request.method == "GET" and shown else "/"
        address = f"/sign-in?{urlencode({'to': to})}"
        if "hx-request" in self._request.headers:
            return Response(status_code=_UNAUTHORISED, headers={"HX-Redirect": address})
        return RedirectResponse(address, status_code=303)

    def _problem(self, status: int) -> HTMLResponse:
        document = json.loads(self._body)
        return self._pages.plain("problem.html", status=status, problem=document)
