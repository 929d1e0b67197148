"""Keys, secrets and tokens of the development identity provider, for the demo and for tests.

Everything secret is made at the first start and kept below `var/`; nothing is compiled in. The
product never trusts these keys unless its settings name this provider as the issuer, which demo
mode alone does.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.jwk import ECKey

from shared.contracts.vocabulary import Role, Service

ALGORITHM: Final = "ES256"
AUDIENCE: Final = "tandem"
SERVICE_AUDIENCE: Final = "tandem-services"
#: a demo or a test session
TOKEN_SECONDS: Final = 8 * 3600
SERVICE_TOKEN_SECONDS: Final = 3600
_FOLDER: Final = "identity"
_ISSUER: Final = "issuer"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A person who exists in the demo alone."""

    subject: str
    name: str
    roles: tuple[str, ...]


def _user(number: int, first: str, role: str) -> DemoUser:
    word = role.replace(":", "-").replace("_", "-")
    title = role.partition(":")[2] or role
    return DemoUser(f"demo-{word}-{number}", f"{first} ({title.replace('_', ' ')})", (role,))


#: two people for each role, since many steps need a second person
DEMO_USERS: Final = tuple(
    _user(number, first, role)
    for role, names in (
        (Role.COORDINATOR.value, ("Amal", "Bente")),
        (Role.TREATING_PHYSICIAN.value, ("Chidi", "Dana")),
        (Role.ONCOLOGIST.value, ("Eero", "Fatima")),
        (Role.MEDICAL_DIRECTOR.value, ("Goran", "Hana")),
        (Role.APHERESIS_PHYSICIAN.value, ("Ines", "Jun")),
        (f"{Role.CONSULTANT.value}:infectious_diseases", ("Kofi", "Leila")),
        (Role.LAB_TECH.value, ("Milan", "Noor")),
        (Role.QA_RELEASE.value, ("Oluf", "Priya")),
        (Role.INFUSION_NURSE.value, ("Quinn", "Rosa")),
        (Role.NURSE_LEAD.value, ("Sami", "Tove")),
        (Role.OPS.value, ("Uma", "Viktor")),
        (Role.AUDITOR.value, ("Wanjiru", "Xenia")),
    )
    for number, first in enumerate(names, start=1)
)


@dataclass(frozen=True, slots=True)
class DevIdentity:
    """The secrets of one installation's development provider. `issuer` is its base URL."""

    issuer: str
    key: ECKey
    client_secrets: Mapping[str, str]
    folder: Path

    @classmethod
    def prepare(cls, var: Path, issuer: str) -> "DevIdentity":
        """The secrets below `var`, made now where they are missing."""
        folder = var / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        key = _kept(folder / "signing-key.json", _fresh_key)
        clients = _kept(folder / "clients.json", _fresh_secrets)
        return cls(issuer.rstrip("/"), ECKey.import_key(dict(key)), clients, folder)

    def remember(self) -> None:
        """Notes the issuer's URL below `var`, so that `tandem token` finds it."""
        (self.folder / _ISSUER).write_text(self.issuer, encoding="utf-8")

    def jwks(self) -> dict[str, object]:
        """The public keys as a JWKS document."""
        public = self.key.as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": ALGORITHM}]}

    def secret_of(self, service: Service) -> str:
        """The client secret by which a service asks for its tokens (TANDEM_CLIENT_SECRET)."""
        return self.client_secrets[service.value]

    def issue_token(
        self,
        subject: str,
        roles: Sequence[str],
        *,
        now: datetime,
        name: str | None = None,
        site: str | None = None,
        audience: str = AUDIENCE,
        seconds: int = TOKEN_SECONDS,
        extra: Mapping[str, object] | None = None,
    ) -> str:
        """A signed token. `now` is machine time; `roles` as in the security design."""
        issued = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "iat": issued,
            "auth_time": issued,
            "nbf": issued,
            "exp": issued + seconds,
            "jti": secrets.token_hex(16),
            "name": name or subject,
            "roles": list(roles),
            **({"site": site} if site else {}),
            **(extra or {}),
        }
        kid = str(self.key.kid)
        return jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, self.key, [ALGORITHM])

    def issue_user_token(self, user: DemoUser, *, now: datetime) -> str:
        """The token of a demo user."""
        return self.issue_token(user.subject, user.roles, now=now, name=user.name)

    def issue_service_token(self, service: Service, *, now: datetime) -> str:
        """The token by which a service calls other services."""
        label = f"service:{service.value}"
        return self.issue_token(
            label, [label], now=now, audience=SERVICE_AUDIENCE, seconds=SERVICE_TOKEN_SECONDS
        )


def demo_user(role: str, number: int = 1) -> DemoUser:
    """The demo's nth person with a role (`consultant` alone means the first speciality).

    Raises KeyError for a role nobody has.
    """
    found = [u for u in DEMO_USERS if role in {*u.roles, u.roles[0].partition(":")[0]}]
    if not 0 < number <= len(found):
        raise KeyError(role)
    return found[number - 1]


def remembered_issuer(var: Path) -> str | None:
    """The URL of the provider that last ran with this `var`, None when none did."""
    try:
        return (var / _FOLDER / _ISSUER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _fresh_key() -> Mapping[str, str]:
    key = ECKey.generate_key("P-256", auto_kid=True)
    return {name: str(value) for name, value in key.as_dict(private=True).items()}


def _fresh_secrets() -> Mapping[str, str]:
    return {service.value: secrets.token_urlsafe(32) for service in Service}


def _kept(path: Path, make: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """The document in the file, which is made once, for its owner's eyes only."""
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dict(make()), file)
        with contextlib.suppress(FileExistsError):  # somebody else was first: theirs counts
            os.link(fresh, path)
        fresh.unlink()
    document = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): str(value) for name, value in document.items()}
