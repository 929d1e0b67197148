"""The service's own manual: OpenAPI with the roles of each endpoint, a page to read it, and one
page per problem code (what its `type` points to).

The pages are plain HTML without scripts or anything from elsewhere, so they work offline and under
the strictest content policy. In demo mode they are open, otherwise for whoever is signed in.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from shared.contracts.vocabulary import Role
from shared.web.declared import accesses
from shared.web.examples import add_examples
from shared.web.problems import not_found
from shared.web.security import Access

_CODE: Final = re.compile(r"[a-z]+(?:-[a-z0-9]+){1,5}")
_UNEXPLAINED: Final = (
    "The title and the detail of the answer say what this refusal means; there is no longer "
    "explanation of it here. Nothing was changed unless the answer says so."
)
PATHS: Final = ("/docs", "/openapi.json", "/problems")
#: no script at all, no frame, nothing from elsewhere; the one style block is allowed by its hash
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{background:#f3f3f3;padding:.1rem .3rem}pre{overflow:auto;padding:.6rem}"
    "section{border-top:1px solid #bbb;padding:.6rem 0}dt{font-weight:600}"
)
_METHODS: Final = ("get", "put", "post", "patch", "delete")


def router(app: FastAPI, *, demo: bool) -> APIRouter:
    """The endpoints of the manual."""
    readers = Access(anonymous=demo, roles=tuple(Role))
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(readers)])

    @routes.get("/openapi.json")
    async def openapi_document() -> JSONResponse:
        return JSONResponse(openapi(app))

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        return _page(app.title, "".join(_operations(openapi(app))))

    @routes.get("/problems/{code}")
    async def problem(code: str) -> HTMLResponse:
        text = problem_texts().get(code, _UNEXPLAINED if _CODE.fullmatch(code) else None)
        if text is None:
            raise not_found("problem")
        return _page(code, _paragraphs(text))

    return routes


def openapi(app: FastAPI) -> dict[str, Any]:
    """The app's OpenAPI document: every operation with roles, bearer tokens, problems, examples."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        _declare_security(app, document)
        add_examples(app.state.service.value, document)
        app.openapi_schema = document
    return app.openapi_schema


def _declare_security(app: FastAPI, document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    components.setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    for method, path, access in accesses(app):
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is None:
            continue
        operation["x-roles"] = sorted(access.labels)
        operation["security"] = [] if access.anonymous else [{"bearer": []}]
        operation.setdefault("responses", {})["default"] = {
            "description": "A problem (RFC 9457)",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        operation["responses"].pop("422", None)


_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "trace_id": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def problem_texts() -> Mapping[str, str]:
    """What each documented problem code means, by code."""
    text = files("shared.web").joinpath("problems.md").read_text(encoding="utf-8")
    sections = text.split("\n## ")[1:]
    return {head.strip(): body.strip() for head, _, body in (s.partition("\n") for s in sections)}


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    yield '<p>The same as <a href="/openapi.json">OpenAPI</a>.</p>'
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(method, path, item[method], document)


def _operation(
    method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> str:
    text = operation.get("description", operation.get("summary", ""))
    parts = [f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>", _paragraphs(text)]
    parts.append(f"<dl><dt>Who may call it</dt><dd>{_listed(operation['x-roles'])}</dd>")
    names = [f"{p['name']} ({p['in']})" for p in operation.get("parameters", [])]
    if names:
        parts.append(f"<dt>Parameters</dt><dd>{_listed(names)}</dd>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append(f"<dt>Body</dt><dd>{_schema(body.get('schema', {}), document)}</dd>")
    return f"<section>{''.join(parts)}</dl></section>"


def _schema(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    found = document.get("components", {}).get("schemas", {}).get(name, schema)
    required = set(found.get("required", ()))
    fields = [f"{n}{'' if n in required else ' (optional)'}" for n in found.get("properties", {})]
    return _listed(fields)


def _listed(names: list[str]) -> str:
    return ", ".join(f"<code>{html.escape(name)}</code>" for name in names) or "nobody"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n") if part.strip())


def _page(title: str, body: str) -> HTMLResponse:
    head = f"<meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    content = f"<!doctype html><html lang=en><head>{head}</head><body><h1>{html.escape(title)}</h1>"
    policy = f"default-src 'none'; style-src '{_style_hash()}'; frame-ancestors 'none'"
    return HTMLResponse(
        f"{content}{body}</body></html>", headers={"Content-Security-Policy": policy}
    )


def _style_hash() -> str:
    digest = hashlib.sha256(_STYLE.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()
