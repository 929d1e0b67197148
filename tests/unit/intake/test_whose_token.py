"""A FHIR server of another organisation is never shown a token of this installation."""

from dataclasses import replace
from pathlib import Path

from services.intake import bootstrap
from services.intake.adapters.fhir_server import HttpFhirServer
from services.intake.application.run_errands import Errands
from shared.testing.doubles import FunctionHttp
from tests.architecture.apps import _around


def test_fetching_goes_past_the_client_that_adds_the_services_own_token(tmp_path: Path) -> None:
    own_token = FunctionHttp()
    around = replace(_around(bootstrap.PROGRAM, tmp_path), service_http=own_token)

    parts, _ = bootstrap.assembled(around)
    (errands,) = [timer.run for timer in parts.timers if timer.name == "errands"]

    assert isinstance(errands, Errands)
    server = errands.fetching.server
    assert isinstance(server, HttpFhirServer)
    assert server.http is around.world.http
    assert server.http is not own_token
