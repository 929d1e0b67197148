"""AUTH1: what a token must be, each refusal on its own, and no outbound request for a bad one."""

import base64
import hmac
import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from shared.auth.authenticator import NotAuthenticatedError
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.contracts.vocabulary import Role, Service
from shared.ports import HttpAnswer
from shared.runtime.dev_tokens import DevIdentity
from shared.testing.doubles import FunctionHttp, StandingClock


def signed(identity: DevIdentity, claims: dict[str, Any], **header: Any) -> str:
    """A token signed with the issuer's own key, with any header and claims."""
    head = {"alg": "ES256", "kid": identity.key.kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, claims, identity.key, ["ES256"])


def good_claims(identity: DevIdentity, clock: StandingClock) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    return {
        "iss": identity.issuer,
        "sub": "u-1",
        "aud": "tandem",
        "iat": now,
        "exp": now + 3600,
        "roles": ["coordinator"],
    }


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "x") -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    encoded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, signature])


async def refusal(authenticator: TokenAuthenticator, token: str) -> str:
    with pytest.raises(NotAuthenticatedError) as caught:
        await authenticator.authenticate(token)
    return caught.value.code


async def test_a_person_is_let_in_with_their_roles(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    roles = ["infusion_nurse", "consultant:hepatology", "offline_access"]

    principal = await authenticator.authenticate(
        identity.issue_token("u-1", roles, now=clock.now(), name="Ada", site="north")
    )

    assert principal.subject == "u-1"
    assert principal.roles == {Role.INFUSION_NURSE, Role.CONSULTANT}
    assert principal.specialities == {"hepatology"}
    assert (principal.name, principal.site, principal.service) == ("Ada", "north", None)


async def test_a_service_is_let_in_as_itself_without_roles(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    token = identity.issue_service_token(Service.MANUFACTURING, now=clock.now())

    principal = await authenticator.authenticate(token)

    assert principal.service is Service.MANUFACTURING
    assert principal.subject == "service:manufacturing"
    assert principal.roles == frozenset()


Change = Callable[[dict[str, Any], int], dict[str, Any]]

BAD_CLAIMS: dict[str, tuple[Change, str]] = {
    "expired": (lambda c, now: {**c, "exp": now - 6}, "expired-token"),
    "not yet valid": (lambda c, now: {**c, "nbf": now + 6}, "invalid-claim"),
    "issued in the future": (lambda c, now: {**c, "iat": now + 6}, "invalid-claim"),
    "no expiry": (lambda c, now: {k: v for k, v in c.items() if k != "exp"}, "missing-claim"),
    "expiry that is no number": (lambda c, now: {**c, "exp": "never"}, "invalid-claim"),
    "infinite expiry": (lambda c, now: {**c, "exp": float("inf")}, "invalid-claim"),
    "other audience": (lambda c, now: {**c, "aud": "elsewhere"}, "invalid-claim"),
    "no audience": (lambda c, now: {k: v for k, v in c.items() if k != "aud"}, "missing-claim"),
    "both audiences": (lambda c, now: {**c, "aud": ["tandem", "tandem-services"]}, "two-audiences"),
    "other issuer": (lambda c, now: {**c, "iss": "https://evil.example"}, "wrong-issuer"),
    "issuer with a final slash": (lambda c, now: {**c, "iss": c["iss"] + "/"}, "wrong-issuer"),
    "no subject": (lambda c, now: {k: v for k, v in c.items() if k != "sub"}, "missing-claim"),
    "subject of 201 characters": (lambda c, now: {**c, "sub": "x" * 201}, "malformed-sub"),
    "a person named like a service": (
        lambda c, now: {**c, "sub": "service:intake"},
        "service-as-person",
    ),
    "a person with a service's role": (
        lambda c, now: {**c, "roles": ["service:intake"]},
        "service-as-person",
    ),
    "roles that are no list": (lambda c, now: {**c, "roles": "coordinator"}, "malformed-roles"),
    "a service token with a person's role": (
        lambda c, now: {**c, "aud": "tandem-services", "roles": ["service:intake", "ops"]},
        "no-single-service",
    ),
    "a service token for two services": (
        lambda c, now: {
            **c,
            "aud": "tandem-services",
            "roles": ["service:intake", "service:console"],
        },
        "no-single-service",
    ),
    "a service token of no service": (
        lambda c, now: {**c, "aud": "tandem-services", "roles": ["service:unknown"]},
        "no-single-service",
    ),
}


@pytest.mark.parametrize("case", BAD_CLAIMS)
async def test_a_signed_token_with_bad_claims_is_refused(
    case: str, authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    change, code = BAD_CLAIMS[case]
    claims = change(good_claims(identity, clock), int(clock.now().timestamp()))

    assert await refusal(authenticator, signed(identity, claims)) == code


BAD_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "no key id": ({"kid": None}, "no-key-id"),
    "key id of 201 characters": ({"kid": "k" * 201}, "no-key-id"),
    "jku": ({"jku": "https://evil.example/jwks"}, "refused-header"),
    "x5u": ({"x5u": "https://evil.example/cert"}, "refused-header"),
    "jwk": ({"jwk": {"kty": "EC"}}, "refused-header"),
    "x5c": ({"x5c": ["x"]}, "refused-header"),
    "crit": ({"crit": ["exp"]}, "refused-header"),
    "other type": ({"typ": "logout+jwt"}, "wrong-type"),
    "none": ({"alg": "none"}, "wrong-algorithm"),
    "None in another case": ({"alg": "nOnE"}, "wrong-algorithm"),
    "HS256": ({"alg": "HS256"}, "wrong-algorithm"),
    "RS256 where ES256 is pinned": ({"alg": "RS256"}, "wrong-algorithm"),
    "ES384": ({"alg": "ES384"}, "wrong-algorithm"),
    "no algorithm": ({"alg": None}, "wrong-algorithm"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
async def test_a_bad_header_is_refused_without_an_outbound_request(
    case: str,
    authenticator: TokenAuthenticator,
    identity: DevIdentity,
    clock: StandingClock,
    http: FunctionHttp,
) -> None:
    change, code = BAD_HEADERS[case]
    header = {"alg": "ES256", "kid": identity.key.kid, **change}
    header = {name: value for name, value in header.items() if value is not None}

    token = unsigned(header, good_claims(identity, clock))

    assert await refusal(authenticator, token) == code
    assert http.calls == []


async def test_a_public_key_used_as_hmac_secret_signs_nothing(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    header = {"alg": "HS256", "kid": identity.key.kid}
    signed_part = unsigned(header, good_claims(identity, clock), "").removesuffix(".")
    secret = identity.key.as_pem(private=False)
    mac = hmac.digest(secret, signed_part.encode(), "sha256")
    token = f"{signed_part}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    assert await refusal(authenticator, token) == "wrong-algorithm"


async def test_another_key_under_the_issuers_key_id_signs_nothing(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    other = ECKey.generate_key("P-256", parameters={"kid": str(identity.key.kid)})
    header = {"alg": "ES256", "kid": identity.key.kid}
    token = jwt.encode(header, good_claims(identity, clock), other, ["ES256"])

    assert await refusal(authenticator, token) == "bad-signature"


async def test_a_changed_claim_breaks_the_signature(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    token = identity.issue_token("u-1", ["auditor"], now=clock.now())
    head, _, signature = token.split(".")
    better = unsigned({}, {**good_claims(identity, clock), "roles": ["medical_director"]})

    forged = f"{head}.{better.split('.')[1]}.{signature}"

    assert await refusal(authenticator, forged) == "bad-signature"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("x" * 1_000_000, "too-long"),
        ("", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d", "malformed"),
        ("a..c", "malformed"),
        ("!!.!!.!!", "malformed"),
        ("W10.W10.x", "malformed"),
        ("bnVsbA.bnVsbA.x", "malformed"),
        ("[" * 3000 + "." + "W" * 3000 + ".x", "malformed"),
    ],
)
async def test_what_is_no_token_is_refused_without_an_outbound_request(
    token: str, code: str, authenticator: TokenAuthenticator, http: FunctionHttp
) -> None:
    assert await refusal(authenticator, token) == code
    assert http.calls == []


async def test_a_deeply_nested_header_is_refused(authenticator: TokenAuthenticator) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3_000).decode().rstrip("=")

    assert await refusal(authenticator, f"{deep}.{deep}.x") == "malformed"


async def test_clocks_may_differ_by_five_seconds(
    authenticator: TokenAuthenticator, identity: DevIdentity, clock: StandingClock
) -> None:
    late = identity.issue_token("u-1", ["ops"], now=clock.now() + timedelta(seconds=4))

    assert (await authenticator.authenticate(late)).subject == "u-1"


async def test_an_issuer_pinned_to_rs256_takes_its_rsa_keys_alone(
    identity: DevIdentity, clock: StandingClock
) -> None:
    rsa = RSAKey.generate_key(2048, parameters={"kid": "rsa-1"})
    with warnings.catch_warnings(action="ignore"):
        weak = RSAKey.generate_key(1024, parameters={"kid": "rsa-weak"})
    documents = {
        "keys": [rsa.as_dict(private=False), weak.as_dict(private=False), *identity.jwks()["keys"]]  # type: ignore[misc]
    }

    async def answer(*_: object) -> Any:
        return HttpAnswer(200, json.dumps(documents).encode())

    issuer = Issuer(identity.issuer, "https://sign-in.example/jwks", "a", "b", algorithm="RS256")
    authenticator = TokenAuthenticator([issuer], http=FunctionHttp(answer), clock=clock)
    claims = {**good_claims(identity, clock), "aud": "a"}
    token = jwt.encode({"alg": "RS256", "kid": "rsa-1"}, claims, rsa, ["RS256"])
    weakly = jwt.encode({"alg": "RS256", "kid": "rsa-weak"}, claims, weak, ["RS256"])

    assert (await authenticator.authenticate(token)).subject == "u-1"
    assert await refusal(authenticator, weakly) == "unknown-key"
    assert await refusal(authenticator, signed(identity, claims)) == "wrong-algorithm"


@pytest.mark.parametrize("url", ["http://sign-in.example/jwks", "file:///etc/passwd", "ftp://x/y"])
def test_keys_are_fetched_by_https_or_from_this_machine_only(url: str, tmp_path: Path) -> None:
    issuer = Issuer("https://sign-in.example", url, "a", "b")

    with pytest.raises(ValueError, match="https"):
        TokenAuthenticator([issuer], http=FunctionHttp(), clock=StandingClock())


@pytest.mark.parametrize(
    ("url", "taken"),
    [("http://identity:8085/jwks", True), ("file:///etc/passwd", False), ("http:///jwks", False)],
)
def test_the_demo_may_fetch_keys_from_a_container_beside_it(url: str, taken: bool) -> None:
    issuer = Issuer("http://127.0.0.1:8085", url, "a", "b", plain_http=True)

    with nullcontext() if taken else pytest.raises(ValueError, match="https"):
        TokenAuthenticator([issuer], http=FunctionHttp(), clock=StandingClock())


def test_persons_and_services_need_audiences_of_their_own() -> None:
    issuer = Issuer("https://sign-in.example", "https://sign-in.example/jwks", "a", "a")

    with pytest.raises(ValueError, match="audiences"):
        TokenAuthenticator([issuer], http=FunctionHttp(), clock=StandingClock())
