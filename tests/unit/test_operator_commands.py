"""The commands that speak to a running system: what they send, print and end with.

The services are a real HTTP server here that answers what a test put down; that the services really
answer so is tested with all of them running (tests/system/test_operator_walk.py).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.console import cli
from services.console.operator import (
    enter_command,
    event_commands,
    record_commands,
    recover_command,
    replay_command,
    shadow_command,
    shadow_day_command,
    what_if_command,
)
from shared.runtime.exits import Exit
from tests.made_up_rulebook import made_up

OPERATOR_COMMANDS = (
    record_commands, event_commands, recover_command, replay_command, shadow_command,
    shadow_day_command,
    what_if_command, enter_command,
)  # fmt: skip
CASE = "01890000-0000-7000-8000-000000000000"
METRICS = (
    "# TYPE tandem_lag_events gauge\n"
    'tandem_lag_events{consumer="intake",topic="t",partition="3"} 7\n'
    "# TYPE tandem_outbox_rows gauge\ntandem_outbox_rows 2\n"
    "# TYPE process_open_fds gauge\nprocess_open_fds 12\n"
)
IMPORTED = {
    "case_id": CASE, "opened": True, "facts": {"recorded": 3, "unchanged": 1},
    "resources": {"used": 3, "ignored": 5, "rejected": 1},
    "report": [
        {"entry": 4, "resource": "Observation", "outcome": "rejected", "reason": "no-unit",
         "message": "without a unit", "pointer": "/entry/4", "statements": [], "warnings": []}
    ],
}  # fmt: skip
GATE = {"may_start": False, "verdict": "hold", "hold_ids": ["h-1"]}
DECISION = {
    "decision": "NO_GO_HOLD",
    "findings": [
        {"rule": "STER-001", "effect": "hold", "message": "steroid", "clears_at": "2027-03-12"}
    ],
    "blockers": [
        {"message": "the course of dexamethasone", "rules": ["STER-001", "WO-STEROID"],
         "clears_at": "2027-03-12"}
    ],
}  # fmt: skip
SAID = {"plan": "go", "findings": [], "due": []}
SUPPOSED = {
    "before": {"infusion": "GO", "collection": "NO_GO_HOLD"},
    "after": {"infusion": {"decision": "NO_GO_HOLD"}, "collection": {"decision": "NO_GO_HOLD"}},
    "timelines": {"infusion": []},
    "changes": {
        "collection": [],
        "infusion": [
            {"from": "2027-03-10T10:00:00+03:00", "to": "2027-03-12T00:00:00+03:00",
             "before": {**SAID, "start": "go"},
             "after": {**SAID, "start": "hold", "findings": ["STER-001"]}}
        ],
    },
}  # fmt: skip
PARKED = {
    "items": [
        {"case_id": CASE, "reason": "malformed", "parked_at": "2027-03-12T00:00:00Z",
         "records": 3, "safety_records": 1, "first_id": 9}
    ]
}  # fmt: skip
REPORT = {
    "case_id": CASE, "dry_run": True, "unparked": False,
    "records": [{"record_id": 9, "outcome": "still-unreadable", "detail": "no JSON"}],
}  # fmt: skip


@dataclass
class Services:
    """What is answered by "METHOD /path", and what was asked for."""

    url: str
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def run(self, *arguments: str) -> Result:
        app = cli.new_app()
        for module in OPERATOR_COMMANDS:
            module.register(app)
        return CliRunner().invoke(app, list(arguments))

    def bodies(self) -> list[Any]:
        return [json.loads(sent) for _, _, sent in self.asked if sent]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Services]:
    found = Services("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = f"{self.command} {self.path.partition('?')[0]}"
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.asked.append((f"{self.command} {self.path}", headers, sent))
            status, body = found.answers.get(asked, (404, {"title": "None.", "code": "not-found"}))
            is_text = isinstance(body, str)
            content = body.encode() if is_text else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "text/plain" if is_text else "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("TANDEM_VAR", str(tmp_path))
    monkeypatch.setenv("TANDEM_TOKEN", "first")
    monkeypatch.setenv("TANDEM_SECOND_TOKEN", "second")
    for name in ("INTAKE", "MANUFACTURING", "INFUSION_SCHEDULING", "NOTIFICATION", "CONSOLE"):
        monkeypatch.setenv(f"TANDEM_URL_{name}", found.url)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_import_reports_per_bundle_and_ends_with_3_when_one_is_refused(
    services: Services, tmp_path: Path
) -> None:
    bundle = tmp_path / "patient.json"
    bundle.write_bytes(b"{}")
    services.answers["POST /fhir/Bundle"] = (201, IMPORTED)

    done = services.run("import", str(bundle), "--json")
    shown = services.run("import", str(bundle))
    part = services.run("import", str(tmp_path / "none.json"), str(bundle), "--json")

    assert (done.exit_code, lines(done)) == (Exit.DONE, [{"bundle": "patient.json", **IMPORTED}])
    assert "3 used, 5 ignored, 1 rejected" in shown.stdout
    assert "/entry/4 Observation: without a unit (no-unit)" in shown.stdout
    assert part.exit_code == Exit.INPUT_REFUSED
    assert [line["bundle"] for line in lines(part)] == ["none.json", "patient.json"]
    (_, headers, sent), *_ = services.asked
    assert (headers["authorization"], sent) == ("Bearer first", b"{}")
    assert headers["idempotency-key"]


def test_a_refused_bundle_names_the_place_of_each_problem(
    services: Services, tmp_path: Path
) -> None:
    (tmp_path / "b.json").write_bytes(b"{}")
    errors = [{"pointer": "#/entry/3", "code": "x", "detail": "no code"}]
    problem = {"title": "Refused.", "code": "bundle-refused", "errors": errors}
    services.answers["POST /fhir/Bundle"] = (422, problem)

    result = services.run("import", str(tmp_path / "b.json"), "--json")

    assert result.exit_code == Exit.INPUT_REFUSED
    assert "#/entry/3: no code" in result.stderr
    assert lines(result)[0]["problem"]["code"] == "bundle-refused"


def test_why_shows_every_finding_and_the_open_holds(services: Services) -> None:
    services.answers[f"GET /cases/{CASE}/decisions/infusion"] = (200, DECISION)
    services.answers[f"GET /cases/{CASE}/clearance"] = (200, {"gates": {"infusion": GATE}})

    shown = services.run("why", CASE, "--gate", "infusion")
    done = services.run("why", CASE, "--as-of", "2027-03-01T00:00:00Z", "--json")

    assert shown.exit_code == done.exit_code == Exit.DONE
    for text in (
        "NO_GO_HOLD", "may start now: False", "h-1", "2027-03-12",
        "the course of dexamethasone", "[STER-001, WO-STEROID]",
    ):  # fmt: skip
        assert text in shown.stdout
    assert lines(done) == [{"case_id": CASE, **DECISION, "clearance": GATE}]
    assert "as_of=2027-03-01T00%3A00%3A00Z" in services.asked[2][0]


def test_what_if_sends_dates_as_written_and_shows_what_would_change(
    services: Services, tmp_path: Path
) -> None:
    extra = tmp_path / "extra.yaml"
    extra.write_text(
        "assume_other_evidence_current: true\n"
        "expected: {decision: GO}\n"
        "facts:\n- {kind: performance, ecog: 1, effective: 2027-03-10}\n",
        "utf-8",
    )
    services.answers[f"POST /cases/{CASE}/what-if"] = (200, SUPPOSED)

    shown = services.run(
        "what-if", CASE, "--facts", str(extra), "--gate", "infusion", "--gate", "collection",
        "--to", "2027-04-01T00:00:00Z",
    )  # fmt: skip
    done = services.run("what-if", CASE, "--facts", str(extra), "--json")

    assert shown.exit_code == done.exit_code == Exit.DONE, shown.stderr
    for text in ("GO -> NO_GO_HOLD", "collection: no change", "STER-001", "2027-03-12T00:00:00"):
        assert text in shown.stdout
    assert lines(done) == [{"case_id": CASE, **SUPPOSED}]
    stated = {
        "facts": [{"kind": "performance", "ecog": 1, "effective": "2027-03-10"}],
        "assume_other_evidence_current": True,
    }
    asked = {"gates": ["infusion", "collection"], "until": "2027-04-01T00:00:00Z"}
    assert services.bodies() == [{**stated, **asked}, stated]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("facts: [", "neither sound YAML nor JSON"),
        ("nothing: here", "no list of facts"),
        (None, "cannot be read"),
    ],
)
def test_what_if_refuses_a_file_without_facts_and_asks_nobody(
    services: Services, tmp_path: Path, text: str | None, said: str
) -> None:
    extra = tmp_path / "extra.yaml"
    if text is not None:
        extra.write_text(text, "utf-8")

    result = services.run("what-if", CASE, "--facts", str(extra), "--json")

    assert result.exit_code == Exit.INPUT_REFUSED
    assert said in result.stderr
    assert services.asked == []


ENTERED = {
    "entry_id": "e-1", "form": "steroid-course", "version": 1, "withdrawn": False,
    "facts": [{"fact_id": "f-1", "kind": "medication"}],
    "shown": {"prednisone_mg_per_day": 53.3}, "assumed": ["first", "route"],
    "provenance": {"by": "u-1", "at": "2027-03-10T07:00:00Z", "source": "entered"},
    "gates_changed": [{"gate": "infusion", "start": "hold", "until": "2027-03-17T21:00:00Z"}],
    "clearance": {"epoch": 0, "version": 1}, "links": {"correct": "/x", "withdraw": "/y"},
}  # fmt: skip


def test_enter_sends_the_form_as_written_and_shows_what_follows(services: Services) -> None:
    services.answers[f"POST /cases/{CASE}/entries"] = (201, ENTERED)

    shown = services.run(
        "enter", CASE, "steroid-course", "drug=dexamethasone", "mg_per_day=8", "last=2027-03-12"
    )
    listed = services.run("enter", CASE, "chemotherapy-plan", "days=[1,8]", "nothing_after=true")
    done = services.run("enter", CASE, "chemotherapy-cycle", "to_day=null", "--json")

    assert [r.exit_code for r in (shown, listed, done)] == [Exit.DONE] * 3, shown.stderr
    for text in ("medication f-1", "prednisone_mg_per_day: 53.3", "assumed: first, route",
                 "hold     until 2027-03-17", "by u-1", "correct: PUT /x"):  # fmt: skip
        assert text in shown.stdout
    assert lines(done) == [{"case_id": CASE, **ENTERED}]
    assert services.bodies() == [
        {"form": "steroid-course", "drug": "dexamethasone", "mg_per_day": "8",
         "last": "2027-03-12"},
        {"form": "chemotherapy-plan", "days": [1, 8], "nothing_after": True},
        {"form": "chemotherapy-cycle", "to_day": None},
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["drug", "=x", "days=[1,"])
def test_enter_refuses_what_is_no_field_and_asks_nobody(services: Services, field: str) -> None:
    result = services.run("enter", CASE, "steroid-course", field)

    assert result.exit_code == Exit.BAD_USAGE
    assert services.asked == []


def test_case_shows_gates_holds_facts_and_what_is_due(services: Services) -> None:
    case = {
        "case_id": CASE, "alias": "AAAA-BBBB", "status": "open", "mode": "demo",
        "gates": {"infusion": {"start": "hold", "until": None, "timeline_version": 1}},
        "open_holds": [{"hold_id": "h-1", "kind": "rule", "rule": "R", "state": "EFFECTIVE"}],
        "facts": [{"kind": "lab"}, {"kind": "lab"}],
    }  # fmt: skip
    services.answers[f"GET /cases/{CASE}"] = (200, case)
    due = [{"item": "cbc", "owner": "coordinator", "not_before": None, "not_after": "2027-03-12"}]
    services.answers[f"GET /cases/{CASE}/due"] = (200, {"due": due})

    shown = services.run("case", CASE)
    unknown = services.run("case", CASE.replace("7000", "7001"), "--json")
    malformed = services.run("case", "not-an-id")

    assert shown.exit_code == Exit.DONE, shown.stderr
    for text in ("AAAA-BBBB", "infusion", "h-1", "2 lab", "due: cbc by coordinator"):
        assert text in shown.stdout
    assert (unknown.exit_code, malformed.exit_code) == (Exit.INPUT_REFUSED, Exit.BAD_USAGE)


def test_lag_lists_what_waits_and_nothing_else(services: Services) -> None:
    services.answers["GET /metrics"] = (200, METRICS)

    result = services.run("events", "lag", "--service", "intake", "--json")

    assert result.exit_code == Exit.DONE
    assert lines(result) == [
        {"service": "intake", "figure": "events", "value": 7.0, "consumer": "intake",
         "topic": "t", "partition": "3"},
        {"service": "intake", "figure": "unsent", "value": 2.0},
    ]  # fmt: skip


def test_parked_lists_cases_and_redrive_ends_with_1_when_one_still_waits(
    services: Services,
) -> None:
    services.answers["GET /ops/parked"] = (200, PARKED)
    services.answers[f"POST /ops/parked/{CASE}/redrive"] = (200, REPORT)
    about = ("--service", "notification")

    listed = services.run("events", "parked", *about, "--json")
    dry = services.run("events", "redrive", *about, "--reason", "fixed", "--dry-run")
    services.answers[f"POST /ops/parked/{CASE}/redrive"] = (200, {**REPORT, "unparked": True})
    done = services.run("events", "redrive", *about, "--reason", "fixed", "--case", CASE)

    assert lines(listed) == [{"service": "notification", **PARKED["items"][0]}]
    assert (listed.exit_code, dry.exit_code, done.exit_code) == (0, Exit.FAILED, Exit.DONE)
    assert "still-unreadable" in dry.stdout
    assert services.bodies() == [
        {"reason": "fixed", "dry_run": True}, {"reason": "fixed", "dry_run": False},
    ]  # fmt: skip
    assert services.run("events", "redrive", *about).exit_code == Exit.BAD_USAGE


def test_recover_sends_nothing_without_the_confirmation(services: Services) -> None:
    services.answers["POST /ops/recover"] = (200, {"epoch": 3, "cases": 2, "permits_voided": 1})

    refused = services.run("recover", "--reason", "restored")
    asked = list(services.asked)
    done = services.run("recover", "--reason", "restored", "--old-primary-is-stopped", "--json")

    assert (refused.exit_code, asked) == (Exit.BAD_USAGE, [])
    assert (done.exit_code, lines(done)[0]["epoch"]) == (Exit.DONE, 3)
    assert services.bodies() == [
        {"reason": "restored", "old_primary_is_stopped": True, "second_signer_token": "second",
         "epoch_min": 0}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, Exit.FAILED), (409, Exit.FAILED), (422, Exit.INPUT_REFUSED), (503, Exit.UNREACHABLE)],
)
def test_what_is_refused_is_told_and_ends_with_its_code(
    services: Services, status: int, code: Exit
) -> None:
    services.answers["GET /ops/parked"] = (status, {"title": "No.", "code": "why-not"})

    result = services.run("events", "parked", "--service", "intake")

    assert result.exit_code == code
    assert "No. (why-not)" in result.stderr


def test_a_service_that_is_not_there_is_4(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_URL_INTAKE", "http://127.0.0.1:1")

    for command in (("case", CASE), ("events", "lag", "--service", "intake")):
        result = services.run(*command)
        assert result.exit_code == Exit.UNREACHABLE
        assert "intake does not answer" in result.stderr


def test_without_a_token_and_without_a_demo_it_says_what_to_set(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_TOKEN")

    result = services.run("case", CASE)

    assert result.exit_code == Exit.BAD_USAGE
    assert "TANDEM_TOKEN" in result.stderr


def replay_page(equal: int, *unequal: dict[str, Any], last: str | None = None) -> dict[str, Any]:
    counts = {"equal": equal, "different": len(unequal), "rulebook-missing": 0}
    total = equal + len(unequal)
    return {"decisions": total, "counts": counts, "unequal": list(unequal), "next": last}


def test_replay_ends_with_0_only_if_every_decision_is_equal(services: Services) -> None:
    changed = {
        "decision_id": "d-1", "case_id": CASE, "gate": "infusion", "at": "2027-03-10T07:00:00Z",
        "protocol_version": "1.0.0", "outcome": "different", "stored": "{}", "now": "[]",
    }  # fmt: skip

    services.answers["GET /replay"] = (200, replay_page(3))
    equal = services.run("replay", "--case", CASE, "--as-of", "2027-03-10T12:00Z")
    services.answers["GET /replay"] = (200, replay_page(2, changed))
    found = services.run("replay")
    as_json = services.run("replay", "--json")

    assert (equal.exit_code, found.exit_code) == (Exit.DONE, Exit.FAILED)
    assert "3 of 3 decisions equal to the byte: 100.0 %" in equal.stdout
    assert f"case_id={CASE}&as_of=2027-03-10T12%3A00Z" in services.asked[0][0]
    assert "2 of 3 decisions equal to the byte: 66.7 %" in found.stdout
    assert f"different: infusion of case {CASE}" in found.stdout
    assert lines(as_json) == [{"decisions": 3, "equal": 2, "unequal": [changed]}]


def test_replay_of_no_such_case_is_refused(services: Services) -> None:
    assert services.run("replay", "--case", CASE).exit_code == Exit.INPUT_REFUSED


def shadow_page(*changed: dict[str, Any], last: str | None = None) -> dict[str, Any]:
    protocol = {"id": "cik-onc-coordination", "version": "1.1.0"}
    return {"protocol": protocol, "decisions": 4, "changed": list(changed), "next": last}


def test_shadow_says_which_decisions_would_have_been_others(
    services: Services, tmp_path: Path
) -> None:
    (tmp_path / "coordination.yaml").write_text("words", "utf-8")
    shift = {
        "decision_id": "d-1", "case_id": CASE, "gate": "infusion", "at": "2027-03-10T07:00:00Z",
        "protocol_version": "1.0.0",
        "from": {"decision": "NO_GO_REVIEW", "blocking": ["ELIG-003", "LAB-PLT"]},
        "to": {"decision": "NO_GO_HOLD", "blocking": ["LAB-PLT", "WO-CHEMO"]},
    }  # fmt: skip
    services.answers["POST /protocol/shadow"] = (200, shadow_page(shift))

    shown = services.run("protocol", "shadow", "--rulebook", str(tmp_path), "--case", CASE)
    as_json = services.run("protocol", "shadow", "--rulebook", "1.0.0", "--json")

    assert shown.exit_code == as_json.exit_code == Exit.DONE
    for text in (
        f"infusion of case {CASE}", "NO_GO_REVIEW by 1.0.0, NO_GO_HOLD by 1.1.0",
        "no longer blocked by ELIG-003", "now also blocked by WO-CHEMO",
        "1 of 4 past decisions would have been others",
    ):  # fmt: skip
        assert text in shown.stdout
    assert services.bodies()[0]["coordination"] == "words"
    assert services.bodies()[0]["codes"]
    assert services.bodies()[1] == {"version": "1.0.0"}
    assert f"case_id={CASE}" in services.asked[0][0]
    assert lines(as_json)[0]["changed"] == [shift]


def test_shadow_without_its_file_and_with_a_broken_one_are_refused(
    services: Services, tmp_path: Path
) -> None:
    errors = [{"pointer": "coordination.yaml:7", "code": "refused", "detail": "no rule"}]
    problem = {"title": "Refused.", "code": "rulebook-refused", "errors": errors}
    services.answers["POST /protocol/shadow"] = (422, problem)
    (tmp_path / "b.yaml").write_text("words", "utf-8")

    lacking = services.run("protocol", "shadow", "--rulebook", str(tmp_path / "none.yaml"))
    broken = services.run("protocol", "shadow", "--rulebook", str(tmp_path / "b.yaml"))

    assert (lacking.exit_code, broken.exit_code) == (Exit.INPUT_REFUSED, Exit.INPUT_REFUSED)
    assert "none.yaml cannot be read" in lacking.stderr
    assert "coordination.yaml:7: no rule" in broken.stderr


def test_protocol_show_lists_versions_and_signatures(services: Services) -> None:
    signature = {
        "meaning": "approved-for-use", "since": "2027-06-01T00:00:00Z", "signer": "u-1",
        "signer_name": "Dr Aydin", "signed_at": "2027-05-01T09:00:00Z", "reason": "read",
    }  # fmt: skip
    page = {"items": [{"id": "cik-onc-coordination", "version": "1.0.0", "status": "in-force",
                       "digest": "d1", "signatures": [signature]}]}  # fmt: skip
    services.answers["GET /protocol/versions"] = (200, page)

    shown = services.run("protocol", "show")

    assert shown.exit_code == Exit.DONE
    assert "cik-onc-coordination 1.0.0  in-force  d1" in shown.stdout
    assert "approved-for-use from 2027-06-01T00:00:00Z by Dr Aydin (u-1)" in shown.stdout
    assert lines(services.run("protocol", "show", "--json")) == [page]


def test_protocol_diff_needs_no_server(services: Services, tmp_path: Path) -> None:
    (tmp_path / "coordination.yaml").write_text(made_up(), "utf-8")

    shown = services.run("protocol", "diff", "packaged", str(tmp_path))
    lacking = services.run("protocol", "diff", "packaged", str(tmp_path / "none"))

    assert shown.exit_code == Exit.DONE
    assert "WO-CHEMO: days before infusion 3 → 5." in shown.stdout
    assert "17 changes" in shown.stdout
    assert lacking.exit_code == Exit.INPUT_REFUSED
    assert services.asked == []


def test_a_draft_is_proposed_signed_and_retired(services: Services, tmp_path: Path) -> None:
    (tmp_path / "coordination.yaml").write_text("words", "utf-8")
    made = {"digest": "d1", "id": "cik-onc-coordination", "version": "1.1.0"}
    receipt = {"signature_id": "s1", "meaning": "approved-for-use", "since": "2027-06-01T00:00Z"}
    services.answers["POST /protocol/versions"] = (201, made)
    services.answers["POST /protocol/versions/d1/signature"] = (201, receipt)
    services.answers["POST /protocol/versions/d1/retirement"] = (201, receipt)

    proposed = services.run("protocol", "propose", str(tmp_path))
    signed = services.run("protocol", "sign", "d1", "--reason", "read and approved")
    retired = services.run(
        "protocol", "retire", "d1", "--reason", "ended", "--since", "2027-06-01T00:00+03:00"
    )

    assert [r.exit_code for r in (proposed, signed, retired)] == [Exit.DONE] * 3
    assert "1.1.0 is on record: d1" in proposed.stdout
    assert "approved-for-use from 2027-06-01T00:00Z" in signed.stdout
    texts, first, second = services.bodies()
    assert texts["coordination"] == "words"
    assert first["since"] is None
    assert first["reason"] == "read and approved"
    assert first["reauthentication_token"]
    assert second["since"] == "2027-06-01T00:00+03:00"


def test_outside_the_demo_a_signature_asks_for_a_second_sign_in(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_TOKEN", "first")
    monkeypatch.delenv("TANDEM_SECOND_TOKEN", raising=False)

    refused = services.run("protocol", "sign", "d1", "--reason", "read and approved")

    assert refused.exit_code == Exit.BAD_USAGE
    assert "TANDEM_SECOND_TOKEN" in refused.stderr
    assert services.asked == []


def test_shadow_daily_lists_what_would_have_been_held_and_the_holds(services: Services) -> None:
    day = {
        "mode": "shadow", "date": "2027-03-10", "asked": 3, "would_be_granted": 1,
        "would_be_refused": 2, "is_cut": False,
        "would_have_held": [
            {
                "case_id": CASE, "gate": "infusion", "subject_id": "s-1", "code": "decision",
                "rule": "STER-001", "times": 2, "first_at": "2027-03-10T07:00:00Z",
                "last_at": "2027-03-10T08:30:00Z",
            }
        ],
        "holds": [
            {
                "hold_id": "h-1", "case_id": CASE, "kind": "rule", "rule": "INF-002",
                "gates": ["infusion"], "recorded_at": "2027-03-10T06:00:00Z", "released_at": None,
            }
        ],
    }  # fmt: skip
    services.answers["GET /shadow/daily"] = (200, day)

    shown = services.run("shadow", "daily", "--date", "2027-03-10")
    as_json = services.run("shadow", "daily", "--json")

    assert shown.exit_code == as_json.exit_code == Exit.DONE
    assert "3 presses, 1 would have been granted, 2 refused" in shown.stdout
    (line,) = [text.split() for text in shown.stdout.splitlines() if "STER-001" in text]
    assert line == [
        CASE, "infusion", "s-1", "decision", "STER-001", "2",
        "2027-03-10", "07:00", "2027-03-10", "08:30",
    ]  # fmt: skip
    assert f"rule INF-002 on case {CASE} (infusion) at 2027-03-10 06:00" in shown.stdout
    assert "date=2027-03-10" in services.asked[0][0]
    assert lines(as_json)[0] == day


def test_shadow_daily_outside_shadow_mode_is_refused_in_words(services: Services) -> None:
    title = "This installation runs in live mode; it has no list."
    problem = {"title": title, "code": "not-shadow-mode"}
    services.answers["GET /shadow/daily"] = (409, problem)

    refused = services.run("shadow", "daily")
    malformed = services.run("shadow", "daily", "--date", "yesterday")

    assert (refused.exit_code, malformed.exit_code) == (Exit.FAILED, Exit.BAD_USAGE)
    assert title in refused.stderr
