"""The commands on files: answers, JSON, exit codes, refusals with places."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from services.intake.entrypoints.commands import Exit, register

CASES = Path(__file__).parents[2] / "data" / "cases"


@dataclass
class Counts:
    used: int = 2
    ignored: int = 1
    rejected: int = 0


@dataclass
class Subject:
    reference: str = "Patient/p1"


@dataclass
class Reading:
    """A reading as the FHIR reader gives it."""

    statements: tuple[dict[str, Any], ...] = ()
    problems: tuple[Any, ...] = ()
    subject: Any = None
    counts: Any = None


@dataclass
class Refusal:
    code: str = "several-patients"
    message: str = "resources of two patients"
    pointer: str = "/entry/3"
    entries: tuple[int, ...] = (0, 3)
    subjects: tuple[str, ...] = ("Patient/a", "Patient/b")


def read(raw: bytes) -> Reading:
    """Read a stand-in bundle: JSON with statements, or the word refused."""
    if raw.startswith(b"refused"):
        return Reading(problems=(Refusal(),))
    return Reading(tuple(json.loads(raw)), (), Subject(), Counts())


app = typer.Typer()
register(app, read)
runner = CliRunner()


def run(*arguments: object) -> Any:
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.json"
    stated = [{"kind": "medication", "class": "cytotoxic_systemic", "last_dose": "2027-01-04"}]
    path.write_text(json.dumps(stated), "utf-8")
    return path


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_worked_case_checks(case: Path) -> None:
    result = run("assess", "--facts", case, "--check")

    assert result.exit_code == Exit.DONE, result.output


def test_check_names_the_difference_and_exits_1(tmp_path: Path) -> None:
    case = yaml.safe_load((CASES / "C01.yaml").read_text("utf-8"))
    case["expected"]["earliest"] = "2027-01-19"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(case), "utf-8")

    result = run("assess", "--facts", wrong, "--check")

    assert result.exit_code == Exit.DIFFERENT
    assert "earliest is 2027-01-18, expected 2027-01-19" in result.output


def test_assess_prints_one_object_a_bundle_in_the_agreed_shape(bundle: Path) -> None:
    result = run("assess", bundle, bundle, "--gate", "collection", "--at", "2027-01-15", "--json")

    lines = result.output.splitlines()
    assert result.exit_code == Exit.DONE
    assert len(lines) == 2
    shown = json.loads(lines[0])
    assert {
        "bundle",
        "subject",
        "gate",
        "at",
        "protocol",
        "decision",
        "verdict",
        "findings",
        "plan",
        "earliest",
        "undated",
        "next_go",
        "unknown",
        "due",
        "resources",
    } <= set(shown)
    assert shown["subject"] == "Patient/p1"
    assert shown["at"] == "2027-01-15T23:59:59+03:00"
    assert shown["protocol"]["status"] == "draft"
    assert shown["resources"] == {"used": 2, "ignored": 1, "rejected": 0}
    finding = next(f for f in shown["findings"] if f["rule"] == "WO-CHEMO")
    assert {
        "rule",
        "effect",
        "message",
        "facts",
        "value",
        "limit",
        "since",
        "clears_at",
        "source",
        "override",
        "by",
    } <= set(finding)
    assert finding["clears_at"] == "2027-01-18"


def test_all_gates_are_answered_at_once(bundle: Path) -> None:
    result = run("assess", bundle, "--all-gates", "--at", "2027-01-15", "--json")

    assert set(json.loads(result.output)["decisions"]) == {
        "eligibility",
        "collection",
        "manufacturing_start",
        "release",
        "dose_issue",
        "infusion",
    }


def test_a_no_go_exits_10_only_when_asked(bundle: Path) -> None:
    assert run("assess", bundle, "--at", "2027-01-15").exit_code == Exit.DONE
    assert run("assess", bundle, "--at", "2027-01-15", "--exit-code").exit_code == Exit.NO_GO
    go = run(
        "assess",
        "--facts",
        CASES / "C02.yaml",
        "--gate",
        "collection",
        "--at",
        "2027-01-18",
        "--exit-code",
    )
    assert go.exit_code == Exit.DONE


def test_the_text_says_draft_and_what_was_assumed() -> None:
    result = run(
        "assess", "--facts", CASES / "C01.yaml", "--gate", "collection", "--at", "2027-01-15"
    )

    assert "DRAFT" in result.output
    assert "assumed" in result.output
    assert "NO_GO_HOLD" in result.output
    assert "WO-CHEMO" in result.output


def test_as_of_answers_with_what_was_known() -> None:
    args = ("assess", "--facts", CASES / "C22.yaml", "--at", "2027-08-02T09:30", "--json")

    now = json.loads(run(*args).output)
    before = json.loads(run(*args, "--as-of", "2027-08-02T09:00").output)

    assert now["decision"] == "NO_GO_HOLD"
    assert before["decision"] == "GO"


def test_a_refused_bundle_exits_3_with_places_and_both_subjects(
    tmp_path: Path, bundle: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"refused")

    result = run("assess", bundle, bad, "--at", "2027-01-15", "--json")

    assert result.exit_code == Exit.INPUT_REFUSED
    shown = json.loads(result.stdout)
    assert shown["problems"][0]["subjects"] == ["Patient/a", "Patient/b"]
    assert shown["problems"][0]["entries"] == [0, 3]
    assert "/entry/3" in result.stderr


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("facts: [{kind: lab}]", "/facts/0"),
        ("facts: [", "line 2"),
        ("{}", "/facts"),
        (
            "facts: [{kind: lab, metric: anc, value: 1, effective: 2027-13-01}]",
            "/facts/0/effective",
        ),
    ],
)
def test_a_refused_facts_file_exits_3_with_the_place(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "facts.yaml"
    path.write_text(text, "utf-8")

    result = run("assess", "--facts", path, "--at", "2027-01-15")

    assert result.exit_code == Exit.INPUT_REFUSED
    assert where in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("assess",),
        ("assess", "--facts", CASES / "C01.yaml", "--at", "soon"),
        ("assess", "--facts", CASES / "C01.yaml", "--gate", "kitchen"),
        ("assess", "--check"),
    ],
)
def test_bad_usage_exits_2(arguments: tuple[object, ...]) -> None:
    assert run(*arguments).exit_code == Exit.BAD_USAGE


def test_a_missing_file_or_a_bad_rulebook_is_refused(tmp_path: Path) -> None:
    rulebook = tmp_path / "rules.yaml"
    rulebook.write_text("meta: {}", "utf-8")

    assert run("assess", "--facts", tmp_path / "none.yaml").exit_code == Exit.INPUT_REFUSED
    assert run("assess", tmp_path / "none.json").exit_code == Exit.INPUT_REFUSED
    refused = run("assess", "--facts", CASES / "C01.yaml", "--protocol", rulebook)
    assert refused.exit_code == Exit.INPUT_REFUSED
    assert "rules.yaml:1" in refused.stderr


def test_timeline_lists_intervals_with_two_verdicts() -> None:
    args = (
        "timeline",
        "--facts",
        CASES / "C03.yaml",
        "--gate",
        "infusion",
        "--from",
        "2027-02-01",
        "--to",
        "2027-03-01",
    )

    shown = json.loads(run(*args, "--json").output)

    assert shown["intervals"][0]["from"] == "2027-02-01T00:00:00+03:00"
    assert set(shown["intervals"][0]) == {"from", "to", "start", "plan", "findings", "due"}
    opened = [i for i in shown["intervals"] if i["start"] == "go"]
    assert [(i["from"], i["to"]) for i in opened] == [
        ("2027-02-05T00:00:00+03:00", "2027-02-18T00:00:00+03:00")
    ]
    assert "start go" in run(*args).output


def test_checklist_shows_the_ten_items(bundle: Path) -> None:
    shown = json.loads(run("checklist", bundle, "--at", "2027-01-15", "--json").output)

    assert len(shown["items"]) == 10
    assert "Diagnosis" in run("checklist", bundle, "--at", "2027-01-15").output


def test_help_has_an_example_and_the_exit_codes() -> None:
    for command in ("assess", "timeline", "checklist"):
        text = run(command, "--help").output
        assert "Example" in text
        assert "Exit codes" in text
