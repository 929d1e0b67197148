"""The sign-in of the console against a real provider: believed only when everything fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.console.sign_in.attempts import local_path
from services.console.sign_in.provider import (
    Asked,
    Client,
    Provider,
    SignInRefusedError,
)
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.ports import HttpAnswer
from shared.runtime.dev_tokens import AUDIENCE, SERVICE_AUDIENCE
from shared.testing.sign_in import ISSUER
from tests.unit.console.console_app_rig import BASE, Console, choose_user, made_console

CALLBACK = f"{BASE}/sign-in/callback"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return made_console(tmp_path)


def provider_of(console: Console, http: Any = None) -> Provider:
    http = http or console.world.http
    people = Issuer(ISSUER, f"{ISSUER}/jwks", AUDIENCE, SERVICE_AUDIENCE)
    own = Issuer(ISSUER, f"{ISSUER}/jwks", "console", SERVICE_AUDIENCE)
    return Provider(
        Client(ISSUER, "console", "secret", CALLBACK),
        http=http,
        people=TokenAuthenticator([people], http=http, clock=console.clock),
        id_tokens=TokenAuthenticator([own], http=http, clock=console.clock),
    )


async def came_back(console: Console, provider: Provider, asked: Asked) -> dict[str, str]:
    """The answer that the browser brings back."""
    address = await provider.address(asked)
    location = await choose_user(console.provider, address, "demo-ops-1")
    assert location.startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_a_person_who_signs_in_is_believed_until_the_token_ends(console: Console) -> None:
    provider, asked = provider_of(console), Asked.fresh()
    back = await came_back(console, provider, asked)

    signed = await provider.answer(
        asked, code=back["code"], state=back["state"], issuer=back["iss"]
    )

    principal = await console.sign_in.authenticator.authenticate(signed.access_token)
    assert principal.subject == "demo-ops-1"
    assert (signed.ends_at - console.clock.now()).total_seconds() == 8 * 3600


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "another"}, "wrong-state"),
        ({"iss": "https://elsewhere.example"}, "wrong-issuer"),
        ({"code": "guessed"}, "code-refused"),
    ],
)
async def test_an_answer_to_another_question_is_refused(
    console: Console, change: Mapping[str, str], code: str
) -> None:
    provider, asked = provider_of(console), Asked.fresh()
    back = {**await came_back(console, provider, asked), **change}

    with pytest.raises(SignInRefusedError, match=code):
        await provider.answer(asked, code=back["code"], state=back["state"], issuer=back["iss"])


async def test_a_code_is_good_for_the_browser_that_asked_alone(console: Console) -> None:
    provider, asked = provider_of(console), Asked.fresh()
    back = await came_back(console, provider, asked)
    thief = Asked(state=asked.state, nonce=asked.nonce, verifier=Asked.fresh().verifier)

    with pytest.raises(SignInRefusedError, match="code-refused"):
        await provider.answer(thief, code=back["code"], state=back["state"], issuer=None)


async def test_a_token_made_for_another_question_is_refused(console: Console) -> None:
    provider, asked = provider_of(console), Asked.fresh()
    back = await came_back(console, provider, asked)
    other = Asked(state=asked.state, nonce="another", verifier=asked.verifier)

    with pytest.raises(SignInRefusedError, match="wrong-nonce"):
        await provider.answer(other, code=back["code"], state=back["state"], issuer=None)


async def test_a_discovery_document_of_another_issuer_is_refused(console: Console) -> None:
    class Elsewhere:
        async def call(self, *args: Any, **more: Any) -> HttpAnswer:
            return HttpAnswer(200, b'{"issuer": "https://elsewhere.example"}')

    with pytest.raises(SignInRefusedError, match="wrong-issuer"):
        await provider_of(console, Elsewhere()).address(Asked.fresh())


@pytest.mark.parametrize(
    "path", ["/", "/cases/1?zoom=full", "/stream?case=AAAA-BBBB&type=hold-recorded"]
)
def test_a_page_of_ours_is_returned_to(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example", "",
        "\\\\elsewhere.example", "/a\nb", "/\tx", "/sign-in/start", "javascript:alert(1)",
        "/" + "a" * 600, "/caf\u00e9",
    ],
)  # fmt: skip
def test_an_address_elsewhere_is_never_returned_to(path: str) -> None:
    assert local_path(path) == "/"
