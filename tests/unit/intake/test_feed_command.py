"""`tandem feed read`: what a file of messages would bring, without a server."""

import json
from pathlib import Path

from typer.testing import CliRunner

from services.console.cli import new_app
from services.intake.entrypoints.feed_command import register

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "hl7v2"


def run(*arguments: str) -> tuple[int, str]:
    app = new_app()
    register(app)
    done = CliRunner().invoke(app, ["feed", "read", *arguments])
    return done.exit_code, done.stdout


def test_each_segment_is_told_with_its_place(tmp_path: Path) -> None:
    sent_before_today = tmp_path / "vxu.hl7"
    sent_before_today.write_bytes((SAMPLES / "vxu-v04.hl7").read_bytes().replace(b"2027", b"2025"))

    code, said = run(str(sent_before_today), "--json", "--feed", "iis")

    told = json.loads(said)
    assert code == 0
    assert told["control_id"] == "VXU-1"
    assert [one["segment"] for one in told["segments"]] == ["MSH[1]", "PID[1]", "ORC[1]", "RXA[1]"]


def test_a_file_without_a_message_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"nothing")

    assert run(str(empty))[0] == 3
    assert run(str(tmp_path / "absent.hl7"))[0] == 2
