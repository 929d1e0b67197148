"""A sender is recognised by its feed's secret; every other token goes its usual way."""

import hmac

import pytest

from services.intake.application.recognise_sender import Sender, SenderAuthenticator
from shared.auth.authenticator import NotAuthenticatedError
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role

SECRETS = {"ehr": "a" * 32, "lab": "b" * 32}
PERSON = Principal("u-1", "U", frozenset({Role.COORDINATOR}))


class Issuer:
    """Knows one person's token."""

    async def authenticate(self, token: str) -> Principal:
        """The person."""
        if token != "token-of-a-person":
            raise NotAuthenticatedError("malformed")
        return PERSON


async def test_each_secret_is_its_feeds_own() -> None:
    senders = SenderAuthenticator(Issuer(), SECRETS)

    ehr, lab = [await senders.authenticate(secret) for secret in SECRETS.values()]

    assert isinstance(ehr, Sender)
    assert isinstance(lab, Sender)
    assert (ehr.feed, ehr.subject, lab.feed) == ("ehr", "feed:ehr", "lab")


async def test_a_sender_has_no_role_and_is_no_service() -> None:
    found = await SenderAuthenticator(Issuer(), SECRETS).authenticate("a" * 32)

    assert (found.roles, found.service) == (frozenset(), None)
    assert not found.has_any(*Role)


@pytest.mark.parametrize("shown", ["", "a" * 31, "a" * 33, "A" * 32, "ehr", "\udce9" * 32])
async def test_what_is_no_secret_is_left_to_the_issuer(shown: str) -> None:
    with pytest.raises(NotAuthenticatedError):
        await SenderAuthenticator(Issuer(), SECRETS).authenticate(shown)


async def test_people_sign_in_as_before() -> None:
    assert await SenderAuthenticator(Issuer(), SECRETS).authenticate("token-of-a-person") is PERSON


async def test_secrets_are_compared_in_constant_time_with_every_feeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return real(one, other)

    senders = SenderAuthenticator(Issuer(), SECRETS)
    monkeypatch.setattr(hmac, "compare_digest", counted)
    await senders.authenticate("a" * 32)

    assert compared == [32, 32]  # digests, so that not even the length of a secret is told


def test_a_secret_is_not_kept_as_it_is() -> None:
    senders = SenderAuthenticator(Issuer(), SECRETS)

    assert "a" * 32 not in repr(vars(senders))
