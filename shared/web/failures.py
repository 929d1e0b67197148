"""What goes wrong below an endpoint, as problem documents: one place decides.

A store that cannot be reached is 503 and takes the service out of rotation; an unknown outcome of
a commit is told as just that; anything unforeseen is 500 and says nothing but its trace id.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.persistence.database import (
    CommitUnknownError,
    RetryableError,
    StoreUnavailableError,
    UnstorableError,
)
from shared.ports import HttpUnreachableError
from shared.web.problems import FieldError, Problem
from shared.web.requests import trace_of

RETRY_SECONDS: Final = "2"

_BY_STATUS: Final = {
    400: ("malformed-request", "The request cannot be read."),
    404: ("not-found", "There is no such resource, or you may not see it."),
    405: ("method-not-allowed", "This resource does not support the method."),
    413: ("body-too-large", "The body is larger than this endpoint accepts."),
    415: ("media-type-not-supported", "Send the body as the documented media type."),
}


def install(app: FastAPI) -> None:
    """Gives the app its handlers."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(StoreUnavailableError, _on_store_gone)
    app.add_exception_handler(UnstorableError, _on_unstorable)
    app.add_exception_handler(CommitUnknownError, _on_commit_unknown)
    app.add_exception_handler(RetryableError, _on_busy)
    app.add_exception_handler(HttpUnreachableError, _on_unreachable)
    app.add_exception_handler(Exception, _on_bug)


def answer(request: Request, problem: Problem) -> JSONResponse:
    """The response to this request."""
    base = str(request.base_url).rstrip("/")
    return problem.response(base_url=base, trace_id=trace_of(request).trace_id)


def unforeseen() -> Problem:
    """The problem of a bug of ours."""
    return Problem(500, "internal-error", "Something went wrong here; it has been recorded.")


def body_too_large() -> Problem:
    """The problem of a body beyond the endpoint's limit."""
    return Problem(413, *_BY_STATUS[413])


def located(errors: Sequence[Any]) -> tuple[FieldError, ...]:
    """pydantic's errors with JSON pointers; what was sent is not repeated."""
    return tuple(
        FieldError(_pointer(e["loc"]), str(e["type"]).replace("_", "-"), str(e["msg"]))
        for e in errors
    )


def _pointer(location: Sequence[int | str]) -> str:
    head, *rest = [str(part) for part in location] or ["body"]
    parts = rest if head == "body" else [head, *rest]
    return "#" + "".join("/" + p.replace("~", "~0").replace("/", "~1") for p in parts)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return answer(request, error)


async def _on_malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    title = "The request does not have the documented form."
    return answer(request, Problem(422, "malformed-request", title, errors=located(error.errors())))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    code, title = _BY_STATUS.get(error.status_code, ("refused", "The request was refused."))
    headers = dict(error.headers or {})
    return answer(request, Problem(error.status_code, code, title, headers=headers))


async def _on_store_gone(request: Request, _: Exception) -> JSONResponse:
    request.app.state.readiness.distrust()
    title = "The store cannot be reached; nothing was changed."
    headers = {"Retry-After": RETRY_SECONDS}
    return answer(request, Problem(503, "store-unavailable", title, headers=headers))


async def _on_unstorable(request: Request, _: Exception) -> JSONResponse:
    title = "The request holds a character that no text may have; nothing was changed."
    return answer(request, Problem(422, "malformed-request", title))


async def _on_commit_unknown(request: Request, _: Exception) -> JSONResponse:
    request.app.state.readiness.distrust()
    title = "The store did not say whether the change was made; read it back before you go on."
    headers = {"Retry-After": RETRY_SECONDS}
    return answer(request, Problem(503, "outcome-unknown", title, headers=headers))


async def _on_busy(request: Request, _: Exception) -> JSONResponse:
    title = "Somebody else is changing the same case; nothing was changed, ask again."
    return answer(request, Problem(503, "busy", title, headers={"Retry-After": "1"}))


async def _on_unreachable(request: Request, _: Exception) -> JSONResponse:
    title = "Another service did not answer in time; what it did is unknown."
    headers = {"Retry-After": RETRY_SECONDS}
    return answer(request, Problem(503, "neighbour-unreachable", title, headers=headers))


async def _on_bug(request: Request, _: Exception) -> JSONResponse:
    return answer(request, unforeseen())
