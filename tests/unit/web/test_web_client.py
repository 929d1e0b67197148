"""Calls to neighbours: one attempt each, whole answers or none."""

import asyncio

import httpx
import pytest

from shared.ports import HttpTooLargeError, HttpUnreachableError
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.web.client import ANSWER_BYTES_MAX, HttpxClient, ServiceHttp, ServiceTokens


def client(handler: object) -> HttpxClient:
    return HttpxClient(transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


async def test_an_answer_comes_back_whatever_its_status() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"code": "hold-open"}, headers={"etag": '"3"'})

    async with client(handler) as http:
        answer = await http.call("PUT", "http://intake/x", body=b"{}", timeout_seconds=1)

    assert (answer.status, answer.body) == (409, b'{"code":"hold-open"}')
    assert answer.headers["etag"] == '"3"'


async def test_a_call_that_fails_is_made_once() -> None:
    calls = []

    async def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request.url)
        raise httpx.ConnectError("refused")

    async with client(handler) as http:
        with pytest.raises(HttpUnreachableError, match="ConnectError"):
            await http.call("GET", "http://intake/x", timeout_seconds=1)

    assert len(calls) == 1


async def test_the_time_out_bounds_the_whole_answer() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        async def drip() -> object:
            for _ in range(100):
                await asyncio.sleep(0.05)
                yield b"x"

        return httpx.Response(200, content=drip())

    async with client(handler) as http:
        with pytest.raises(HttpUnreachableError, match="TimeoutError"):
            await http.call("GET", "http://intake/x", timeout_seconds=0.2)


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "http://169.254.169.254/"})

    async with client(handler) as http:
        assert (await http.call("GET", "http://intake/x", timeout_seconds=1)).status == 302


async def test_an_answer_without_end_is_cut_off() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * (ANSWER_BYTES_MAX + 1))

    async with client(handler) as http:
        with pytest.raises(HttpTooLargeError, match="too large"):
            await http.call("GET", "http://intake/x", timeout_seconds=5)


async def test_no_call_goes_out_when_there_is_no_token() -> None:
    neighbour = FunctionHttp()
    tokens = ServiceTokens(
        http=FunctionHttp(),
        clock=StandingClock(),
        token_url="http://127.0.0.1:8090/token",
        client_id="intake",
        secret="s",
        audience="tandem-services",
    )

    with pytest.raises(HttpUnreachableError):
        await ServiceHttp(neighbour, tokens).call("GET", "http://x/", timeout_seconds=1)

    assert neighbour.calls == []
