"""The page on real bundles says what the reader does with them today."""

from pathlib import Path
from typing import Any

import pytest
from fhir_builders import DATA, SHARED, read_file

from services.intake.adapters.fhir import BundleReading
from tools.fhir_table.__main__ import main
from tools.fhir_table.page import PAGE, RECEIVED_AT, files, row

ROOT = Path(__file__).resolve().parents[3]
OWN = files(DATA)


def committed() -> list[str]:
    return (ROOT / PAGE).read_text(encoding="utf-8").splitlines()


def reading(name: str) -> BundleReading:
    return read_file(OWN[name].relative_to(DATA).as_posix())


@pytest.mark.parametrize("name", sorted(OWN))
def test_the_row_of_each_bundle_of_the_repository_is_current(name: str) -> None:
    assert row(name, reading(name)) in committed()


def test_a_row_that_tells_something_else_is_noticed() -> None:
    (jenny,) = [name for name in OWN if name.endswith("assembled/cancer-patient-jenny-m")]
    other = row("cancer-patient-jenny-m", reading("mcode/Bundle-mcode-patient-bundle-jenny-m"))

    assert other.split("|")[1] == row(jenny, reading(jenny)).split("|")[1]
    assert other not in committed()


def test_each_bundle_has_its_own_row() -> None:
    assert len(OWN) == 33
    assert RECEIVED_AT.date().isoformat() == "2026-11-23"


def test_without_the_reference_folder_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed()

    assert main([]) == main([str(tmp_path / "absent")]) == 2
    assert "usage" in capsys.readouterr().err
    assert committed() == before


@pytest.mark.realdata
def test_the_page_is_what_the_reader_does_with_all_reference_bundles(
    capsys: pytest.CaptureFixture[Any],
) -> None:
    assert main([str(SHARED), "--check"]) == 0, capsys.readouterr().out
