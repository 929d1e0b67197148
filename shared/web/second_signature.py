"""A second person's signature inside a first person's request: a token of their own."""

from shared.auth.authenticator import Authenticator, NotAuthenticatedError
from shared.auth.principal import Principal
from shared.web.problems import Problem

CODE = "second-signature"


async def second_person(authenticator: Authenticator, token: str) -> Principal:
    """Who signs second. Raises `Problem` 422 for no valid token, or a service's."""
    try:
        second = await authenticator.authenticate(token)
    except NotAuthenticatedError as error:
        raise Problem(422, CODE, "The second signature is no valid token.") from error
    if second.service is not None:
        raise Problem(422, CODE, "A person signs second, not a service.")
    return second
