"""The development sign-in is a real OpenID Connect provider, and stays inside the demo."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import typer
from typer.testing import CliRunner

from shared.auth.tokens import TokenAuthenticator
from shared.contracts.vocabulary import Role, Service
from shared.ports import HttpUnreachableError
from shared.runtime import token_command
from shared.runtime.dev_identity import create_provider, refuse_outside_demo
from shared.runtime.dev_tokens import DEMO_USERS, SERVICE_AUDIENCE, DevIdentity, demo_user
from shared.testing.doubles import StandingClock
from shared.testing.sign_in import ISSUER
from shared.web.client import HttpxClient, ServiceTokens

REDIRECT = "http://127.0.0.1:8080/signed-in"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
QUESTION = {
    "client_id": "console",
    "redirect_uri": REDIRECT,
    "code_challenge": CHALLENGE,
    "state": "s-1",
    "nonce": "n-1",
}


@pytest.fixture
async def provider(identity: DevIdentity, clock: StandingClock) -> AsyncIterator[httpx.AsyncClient]:
    app = create_provider(identity, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
        yield client


async def code_for(provider: httpx.AsyncClient, subject: str) -> str:
    answer = await provider.post("/authorize", data={**QUESTION, "user": subject})
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["s-1"]
    assert query["iss"] == [ISSUER]
    return query["code"][0]


def redemption(code: str, /, **changes: str) -> Mapping[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": "console",
        "redirect_uri": REDIRECT,
        "code": code,
        "code_verifier": VERIFIER,
        **changes,
    }


async def test_the_sign_in_page_offers_every_role_and_loads_nothing(
    provider: httpx.AsyncClient,
) -> None:
    page = await provider.get("/authorize", params={**QUESTION, "response_type": "code"})

    assert page.status_code == 200
    offered = set(re.findall(r'name=user value="([^"]+)"', page.text))
    assert offered == {user.subject for user in DEMO_USERS}
    assert {role.partition(":")[0] for u in DEMO_USERS for role in u.roles} == set(Role)
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_what_the_question_says_is_written_as_text(provider: httpx.AsyncClient) -> None:
    evil = '"><script>alert(1)</script>'

    page = await provider.get(
        "/authorize", params={**QUESTION, "state": evil, "response_type": "code"}
    )

    assert "<script" not in page.text


async def test_a_person_signs_in_and_gets_a_token_that_the_services_take(
    provider: httpx.AsyncClient, authenticator: TokenAuthenticator
) -> None:
    nurse = demo_user("infusion_nurse")

    answer = await provider.post("/token", data=redemption(await code_for(provider, nurse.subject)))

    assert answer.headers["cache-control"] == "no-store"
    principal = await authenticator.authenticate(answer.json()["access_token"])
    assert principal.subject == nurse.subject
    assert principal.roles == {Role.INFUSION_NURSE}


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "guessed"},
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"client_id": "intake"},
        {"redirect_uri": "http://127.0.0.1:9999/other"},
    ],
)
async def test_a_code_is_redeemed_only_as_it_was_asked_for(
    changes: Mapping[str, str], provider: httpx.AsyncClient
) -> None:
    code = await code_for(provider, demo_user("ops").subject)

    answer = await provider.post("/token", data=redemption(code, **changes))

    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


async def test_a_code_is_good_once_and_for_a_minute(
    provider: httpx.AsyncClient, clock: StandingClock
) -> None:
    used = redemption(await code_for(provider, demo_user("ops").subject))
    late = redemption(await code_for(provider, demo_user("ops").subject))

    assert (await provider.post("/token", data=used)).status_code == 200
    assert (await provider.post("/token", data=used)).status_code == 400
    clock.advance(seconds=60)
    assert (await provider.post("/token", data=late)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"client_id": "stranger"},
        {"code_challenge": ""},
    ],
)
async def test_a_code_is_sent_to_known_clients_on_this_machine_only(
    changes: Mapping[str, str], provider: httpx.AsyncClient
) -> None:
    form = {**QUESTION, "user": demo_user("ops").subject, **changes}

    assert (await provider.post("/authorize", data=form)).status_code >= 400


async def test_a_service_gets_its_token_by_its_own_secret(
    identity: DevIdentity, clock: StandingClock, authenticator: TokenAuthenticator
) -> None:
    transport = httpx.ASGITransport(create_provider(identity, clock=clock))
    http = HttpxClient(transport=transport)
    tokens = ServiceTokens(
        http=http,
        clock=clock,
        token_url=f"{ISSUER}/token",
        client_id="intake",
        secret=identity.secret_of(Service.INTAKE),
        audience=SERVICE_AUDIENCE,
    )

    first = await tokens.token()
    clock.advance(seconds=3540)
    assert await tokens.token() == first
    clock.advance(seconds=1)
    assert await tokens.token() != first

    assert (await authenticator.authenticate(await tokens.token())).service is Service.INTAKE
    await http.close()


async def test_a_wrong_secret_gets_no_token(identity: DevIdentity, clock: StandingClock) -> None:
    http = HttpxClient(transport=httpx.ASGITransport(create_provider(identity, clock=clock)))
    tokens = ServiceTokens(
        http=http,
        clock=clock,
        token_url=f"{ISSUER}/token",
        client_id="intake",
        secret=identity.secret_of(Service.CONSOLE),
        audience=SERVICE_AUDIENCE,
    )

    with pytest.raises(HttpUnreachableError, match="no token"):
        await tokens.token()
    await http.close()


async def test_discovery_names_the_endpoints_and_the_keys(provider: httpx.AsyncClient) -> None:
    document = (await provider.get("/.well-known/openid-configuration")).json()
    keys = (await provider.get("/jwks")).json()["keys"]

    assert document["issuer"] == ISSUER
    assert document["jwks_uri"] == f"{ISSUER}/jwks"
    assert [set(key) & {"d", "p", "q"} for key in keys] == [set()]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TANDEM_MODE": "live", "TANDEM_OIDC_ISSUER": ISSUER},
        {"TANDEM_MODE": "shadow", "TANDEM_OIDC_ISSUER": ISSUER},
        {"TANDEM_MODE": "demo", "TANDEM_OIDC_ISSUER": "http://0.0.0.0:8090"},
        {"TANDEM_MODE": "demo", "TANDEM_OIDC_ISSUER": "https://sign-in.example"},
    ],
)
def test_it_refuses_to_start_outside_the_demo_or_beyond_this_machine(
    environment: Mapping[str, str],
) -> None:
    with pytest.raises(SystemExit):
        refuse_outside_demo(environment)


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first = DevIdentity.prepare(tmp_path, ISSUER)
    second = DevIdentity.prepare(tmp_path, ISSUER)

    assert first.jwks() == second.jwks()
    assert first.client_secrets == second.client_secrets
    assert len(set(first.client_secrets.values())) == len(Service)
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "identity").iterdir()}
    assert modes == {0}


def test_the_token_command_prints_a_demo_users_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    token_command.register(app)
    app.command("other")(lambda: None)
    monkeypatch.setenv("TANDEM_VAR", str(tmp_path))

    assert CliRunner().invoke(app, ["token", "--role", "ops"]).exit_code == 2
    DevIdentity.prepare(tmp_path, ISSUER).remember()
    printed = CliRunner().invoke(app, ["token", "--role", "ops"])

    assert printed.exit_code == 0
    assert printed.stdout.count(".") == 2
    assert CliRunner().invoke(app, ["token", "--role", "king"]).exit_code == 2
