"""AUTH2: how seldom the keys are fetched, and what holds while the issuer is down."""

import asyncio

import pytest
from joserfc.jwk import ECKey

from shared.auth.authenticator import IdentityUnavailableError, NotAuthenticatedError
from shared.auth.tokens import TokenAuthenticator
from shared.runtime.dev_tokens import DevIdentity
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.sign_in import JwksServer


def token_of(identity: DevIdentity, clock: StandingClock, key: ECKey | None = None) -> str:
    other = DevIdentity(identity.issuer, key or identity.key, {}, identity.folder)
    return other.issue_token("u-1", ["ops"], now=clock.now(), seconds=40 * 24 * 3600)


def fresh_key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


async def test_many_tokens_at_once_fetch_the_keys_once(
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    http: FunctionHttp,
) -> None:
    token = token_of(identity, clock)

    await asyncio.gather(*(authenticator.authenticate(token) for _ in range(50)))

    assert len(http.calls) == 1


async def test_unknown_key_ids_cause_one_fetch_a_minute(
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    http: FunctionHttp,
) -> None:
    await authenticator.authenticate(token_of(identity, clock))
    clock.advance(seconds=60)

    for _ in range(20):
        with pytest.raises(NotAuthenticatedError, match="unknown-key"):
            await authenticator.authenticate(token_of(identity, clock, fresh_key()))
        clock.advance(seconds=2)

    assert len(http.calls) == 2
    clock.advance(seconds=60)
    with pytest.raises(NotAuthenticatedError, match="unknown-key"):
        await authenticator.authenticate(token_of(identity, clock, fresh_key()))
    assert len(http.calls) == 3


async def test_a_rotated_key_is_found_within_a_minute(
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    jwks: JwksServer,
) -> None:
    await authenticator.authenticate(token_of(identity, clock))
    rotated = fresh_key()
    jwks.documents = DevIdentity(identity.issuer, rotated, {}, identity.folder).jwks()

    clock.advance(seconds=60)

    assert (await authenticator.authenticate(token_of(identity, clock, rotated))).subject == "u-1"
    with pytest.raises(NotAuthenticatedError, match="unknown-key"):
        await authenticator.authenticate(token_of(identity, clock))


async def test_known_keys_serve_while_the_issuer_is_down_for_a_day_and_no_longer(
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    jwks: JwksServer,
) -> None:
    await authenticator.authenticate(token_of(identity, clock))
    token = token_of(identity, clock)
    jwks.up = False

    clock.advance(hours=24)
    assert (await authenticator.authenticate(token)).subject == "u-1"

    clock.advance(seconds=1)
    with pytest.raises(IdentityUnavailableError):
        await authenticator.authenticate(token)

    jwks.up = True
    clock.advance(seconds=60)
    assert (await authenticator.authenticate(token)).subject == "u-1"


async def test_nobody_is_let_in_before_the_first_keys_were_had(
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    jwks: JwksServer,
    http: FunctionHttp,
) -> None:
    jwks.up = False
    token = token_of(identity, clock)

    for _ in range(10):
        with pytest.raises(IdentityUnavailableError):
            await authenticator.authenticate(token)
    assert len(http.calls) == 1

    jwks.up = True
    clock.advance(seconds=2)
    assert (await authenticator.authenticate(token)).subject == "u-1"


@pytest.mark.parametrize(
    "documents",
    [{}, {"keys": None}, {"keys": [1, {"kid": 3}, {"kid": "a", "kty": "EC", "crv": "P-256"}]}],
)
async def test_a_garbled_key_document_changes_nothing(
    documents: dict[str, object],
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    jwks: JwksServer,
) -> None:
    token = token_of(identity, clock)
    await authenticator.authenticate(token)
    jwks.documents = documents

    clock.advance(hours=2)

    assert (await authenticator.authenticate(token)).subject == "u-1"
