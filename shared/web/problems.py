"""Every answer that is not a success is a problem document (RFC 9457).

A use case or an endpoint raises `Problem`; `shared.web.failures` turns it, and whatever else goes
wrong, into `application/problem+json`. No problem ever echoes what the caller sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.responses import JSONResponse

MEDIA_TYPE: Final = "application/problem+json"
#: problem types resolve below this path of the answering service to a page that explains them
TYPE_PATH: Final = "/problems/"
#: a document that is wrong everywhere is not answered with a megabyte of errors
ERRORS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """One place in the request that is wrong: a JSON pointer (RFC 6901) into the body.

    For a parameter the pointer is `#/query/<name>`, `#/path/<name>` or `#/header/<name>`.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """A refusal that the caller can understand: raise it anywhere below an endpoint.

    `code` is stable and documented (kebab-case); `title` says in one sentence what it means;
    `detail` what happened this time; `extra` holds further members, such as all reasons for a
    refused start. 409 is a business rule, 422 malformed input, 412 a stale version.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def document(self, *, base_url: str, trace_id: str) -> dict[str, object]:
        """The members of the problem document. `base_url` is the service's, without final slash."""
        document: dict[str, object] = {
            **self.extra,
            "type": f"{base_url}{TYPE_PATH}{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "trace_id": trace_id,
        }
        if self.detail is not None:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = [
                {"pointer": e.pointer, "code": e.code, "detail": e.detail}
                for e in self.errors[:ERRORS_MAX]
            ]
        return document

    def response(self, *, base_url: str, trace_id: str) -> JSONResponse:
        """The answer."""
        return JSONResponse(
            self.document(base_url=base_url, trace_id=trace_id),
            status_code=self.status,
            headers={"Cache-Control": "no-store", **self.headers},
            media_type=MEDIA_TYPE,
        )


def not_found(what: str = "resource") -> Problem:
    """404, also for what the caller may not know of (another site's case)."""
    return Problem(404, "not-found", f"There is no such {what}, or you may not see it.")
