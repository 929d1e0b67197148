"""What all pages use: style and scripts, and the choice of the zone in which times are shown."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.console.pages.times import ZONE_COOKIE
from services.console.pages.viewer import Parts, Viewer
from services.console.sign_in.attempts import local_path
from shared.web.problems import not_found
from shared.web.security import public

router = APIRouter(include_in_schema=False)

#: the address names the content, so a copy never grows old
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_YEAR_SECONDS: Final = 31_536_000


@router.get("/static/{name}", dependencies=[Depends(public())])
async def asset(name: str, parts: Parts) -> Response:
    """A style sheet or script, by the address that names its content."""
    found = parts.pages.assets.get(name)
    if found is None:
        raise not_found("file")
    headers = {"Cache-Control": _FOR_EVER}
    return Response(found.content, media_type=found.media_type, headers=headers)


@router.post("/zone")
async def choose_zone(
    request: Request,
    viewer: Viewer,
    zone: Annotated[Literal["clinic", "utc"], Form()],
    to: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Shows times in the clinic's zone or in UTC from now on, in this browser."""
    response = RedirectResponse(local_path(to), status_code=303)
    response.set_cookie(
        ZONE_COOKIE, zone, max_age=_YEAR_SECONDS, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response
