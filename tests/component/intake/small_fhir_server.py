"""A small FHIR server on loopback: real sockets, and as much misbehaviour as a test plants."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

FHIR_JSON = "application/fhir+json; charset=utf-8"


@dataclass
class Planted:
    """An answer that is no plain resource."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": FHIR_JSON})


class SmallFhirServer:
    """Serves what was put; `asked` are the paths with their headers, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Planted] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.port = 0

    @property
    def base(self) -> str:
        """The base of its resources."""
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def paths(self) -> list[str]:
        """What was asked for, below the base."""
        return [path.removeprefix("/fhir/") for path, _ in self.asked]

    def put(self, *resources: Mapping[str, Any]) -> None:
        """Serves these at their `Type/id`."""
        for resource in resources:
            key = f"{resource['resourceType']}/{resource['id']}"
            self.answers[key] = Planted(200, json.dumps(resource).encode())

    def plant(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        """Answers this at a path (with its query, or without any)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = Planted(status, body, {"content-type": FHIR_JSON, **named})

    def answer(self, path: str) -> Planted:
        """What is served at the path."""
        below = path.removeprefix("/fhir/")
        found = self.answers.get(below) or self.answers.get(below.partition("?")[0])
        return found or Planted(404)


@contextmanager
def small_fhir_server() -> Iterator[SmallFhirServer]:
    """A server that runs until the block ends."""
    served = SmallFhirServer()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answers what is served there."""
            served.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            planted = served.answer(self.path)
            self.send_response(planted.status)
            for name, value in planted.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(planted.body)))
            self.end_headers()
            self.wfile.write(planted.body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
