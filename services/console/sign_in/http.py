"""The pages of signing in and out.

The session's cookie is SameSite=Strict, so a link from an e-mail arrives without it: `/sign-in`
therefore answers with a page that goes on to `/sign-in/start` by itself, a step that begins here
and brings the cookie along. Who has a session goes on to the page; others go and sign in.
"""

from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console.pages.templates import Pages
from services.console.sign_in.attempts import Attempts, local_path
from services.console.sign_in.provider import Asked, Provider, SignInRefusedError
from services.console.sign_in.sessions import COOKIE, Sessions
from shared.auth.principal import Principal
from shared.web.problems import Problem
from shared.web.security import public, signed_in

ATTEMPT_COOKIE: Final = "tandem_sign_in"
ATTEMPT_SECONDS: Final = 600
#: all that is open to everybody: signing in, and style and scripts
OPEN_PATHS: Final = ("/sign-in", "/static")
_SEE_OTHER: Final = 303


class SignIn:
    """What the sign-in pages work with. `base_url` is the console's own address."""

    def __init__(
        self, *, provider: Provider, attempts: Attempts, sessions: Sessions, pages: Pages,
        base_url: str,
    ) -> None:  # fmt: skip
        self.provider = provider
        self.attempts = attempts
        self.sessions = sessions
        self.pages = pages
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))
        self.secure = base_url.startswith("https:")

    def keep(self, response: Response, name: str, value: str, *, seconds: int | None) -> None:
        """Sets a cookie that no script reads; the session's never travels with a foreign link."""
        strict = name == COOKIE
        response.set_cookie(
            name, value, max_age=seconds, path="/" if strict else "/sign-in", httponly=True,
            secure=self.secure, samesite="strict" if strict else "lax",
        )  # fmt: skip


def router(sign_in: SignIn) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/sign-in", dependencies=[Depends(public())])
    async def ask(to: Annotated[str, Query(max_length=2000)] = "/") -> HTMLResponse:
        onward = f"/sign-in/start?{urlencode({'to': local_path(to)})}"
        return sign_in.pages.plain("onward.html", onward=onward, what="Signing in")

    @routes.get("/sign-in/start", dependencies=[Depends(public())])
    async def start(request: Request, to: Annotated[str, Query(max_length=2000)] = "/") -> Response:
        if isinstance(request.scope.get("tandem.principal"), Principal):
            return RedirectResponse(local_path(to), status_code=_SEE_OTHER)
        asked = Asked.fresh()
        attempt = await sign_in.attempts.begin(asked, to)
        response = RedirectResponse(await sign_in.provider.address(asked), status_code=_SEE_OTHER)
        sign_in.keep(response, ATTEMPT_COOKIE, attempt, seconds=ATTEMPT_SECONDS)
        return response

    @routes.get("/sign-in/callback", dependencies=[Depends(public())])
    async def callback(
        request: Request,
        state: Annotated[str, Query(max_length=500)] = "",
        code: Annotated[str, Query(max_length=2000)] = "",
        iss: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        return await _finish(sign_in, request.cookies.get(ATTEMPT_COOKIE, ""), state, code, iss)

    @routes.post("/sign-out")
    async def sign_out(
        request: Request, who: Annotated[Principal, Depends(signed_in())]
    ) -> Response:
        _refuse_foreign(request, sign_in.origin)
        await sign_in.sessions.end(request.cookies.get(COOKIE, ""))
        response = sign_in.pages.plain("signed-out.html")
        response.delete_cookie(COOKIE, path="/")
        return response

    return routes


async def _finish(
    sign_in: SignIn, attempt: str, state: str, code: str, issuer: str | None
) -> Response:
    found = await sign_in.attempts.take(attempt)
    if found is None or not code:
        return sign_in.pages.plain("sign-in-refused.html", status=403)
    asked, path = found
    try:
        signed = await sign_in.provider.answer(asked, code=code, state=state, issuer=issuer)
    except SignInRefusedError:
        return sign_in.pages.plain("sign-in-refused.html", status=403)
    session_id = await sign_in.sessions.open(signed.access_token, signed.ends_at)
    # a redirect would still count as coming from the sign-in service: the cookie would stay behind
    response = sign_in.pages.plain("onward.html", onward=local_path(path), what="Signed in")
    sign_in.keep(response, COOKIE, session_id, seconds=None)
    response.delete_cookie(ATTEMPT_COOKIE, path="/sign-in")
    return response


def _refuse_foreign(request: Request, origin: str) -> None:
    """Returns when the form was sent by a page of ours."""
    if request.headers.get("origin", origin) != origin:
        raise Problem(403, "not-allowed", "This form was sent from another site.")
