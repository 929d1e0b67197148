"""An issuer with a key of its own, and an authenticator that trusts it."""

from pathlib import Path

import pytest

from shared.auth.tokens import TokenAuthenticator
from shared.runtime.dev_tokens import DevIdentity
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.sign_in import JwksServer, SignIn


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def sign_in(tmp_path: Path, clock: StandingClock) -> SignIn:
    return SignIn(tmp_path, clock)


@pytest.fixture
def identity(sign_in: SignIn) -> DevIdentity:
    return sign_in.identity


@pytest.fixture
def jwks(sign_in: SignIn) -> JwksServer:
    return sign_in.jwks


@pytest.fixture
def http(sign_in: SignIn) -> FunctionHttp:
    return sign_in.http


@pytest.fixture
def authenticator(sign_in: SignIn) -> TokenAuthenticator:
    return sign_in.authenticator
