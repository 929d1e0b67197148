"""What a signature proves beside the request's own token, by a further token in the body.

A second person signs with a token of their own. A person who signs with two components signs in
again: the request's token is the first component, a token of that new sign-in the second.
"""

from datetime import datetime, timedelta
from typing import Final

from shared.auth.authenticator import Authenticator, NotAuthenticatedError
from shared.auth.principal import Principal
from shared.web.problems import Problem

CODE = "second-signature"
REAUTHENTICATION: Final = "reauthentication"
#: a sign-in older than this is not the one that was made for the signature
SIGNED_IN_WITHIN: Final = timedelta(minutes=5)
#: an issuer's clock may be ahead by this
CLOCKS_DIFFER: Final = timedelta(seconds=5)


async def second_person(authenticator: Authenticator, token: str) -> Principal:
    """Who signs second. Raises `Problem` 422 for no valid token, or a service's."""
    try:
        second = await authenticator.authenticate(token)
    except NotAuthenticatedError as error:
        raise Problem(422, CODE, "The second signature is no valid token.") from error
    if second.service is not None:
        raise Problem(422, CODE, "A person signs second, not a service.")
    return second


async def reauthenticated(
    authenticator: Authenticator, signer: Principal, *, first: str, second: str, now: datetime
) -> datetime:
    """When the signer signed in for this signature. `now` is machine time.

    Raises `Problem` 422: for the request's own token again, another person's, one whose issuer does
    not say when its bearer signed in, and one of an older sign-in.
    """
    try:
        found = await authenticator.authenticate(second)
    except NotAuthenticatedError as error:
        raise Problem(422, REAUTHENTICATION, "The second component is no valid token.") from error
    if first == second or found.subject != signer.subject or found.service is not None:
        raise Problem(422, REAUTHENTICATION, "Sign in again yourself to sign; send that token.")
    at = found.authenticated_at
    if at is None or not -CLOCKS_DIFFER <= now - at <= SIGNED_IN_WITHIN:
        raise Problem(422, REAUTHENTICATION, "That sign-in is not of the last minutes.")
    return at
