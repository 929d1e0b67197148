"""Templates and assets: nothing inline, nothing from elsewhere, vendored files as they were."""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from services.console.pages.templates import load_assets

_FOLDER = Path(str(files("services.console")))
_ROW = re.compile(r"\| `(?P<file>[^`]+)` \|.*\| `(?P<sha256>[0-9a-f]{64})` \|")
_INLINE = re.compile(
    r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe\b|Markup\(",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"(?:src|href|action|hx-get|content)\s*=\s*[\"'](?:https?:)?//")


def faults(name: str, text: str) -> Iterator[str]:
    """What a template may not hold."""
    for pattern in (_INLINE, _ELSEWHERE):
        if found := pattern.search(text):
            yield f"{name}: {found[0]}"


def test_vendored_scripts_are_the_ones_that_were_checked() -> None:
    table = (_FOLDER / "static" / "VENDORED.md").read_text(encoding="utf-8")
    listed = {row["file"]: row["sha256"] for row in _ROW.finditer(table)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (_FOLDER / "static").glob("*.min.js")
    }

    assert listed == found
    assert listed.keys() == {"htmx-2.0.11.min.js"}


def test_templates_hold_nothing_inline_and_nothing_from_elsewhere() -> None:
    texts = {p.name: p.read_text(encoding="utf-8") for p in (_FOLDER / "templates").glob("*.html")}

    assert len(texts) > 10
    assert [fault for name, text in texts.items() for fault in faults(name, text)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "<script>alert(1)</script>",
        '<p style="color:red">',
        "<a onclick='x()'>",
        '<a href="javascript:x()">',
        "{{ row.code | safe }}",
        '<script src="https://cdn.example/x.js">',
        "<link href='//cdn.example/x.css'>",
    ],
)
def test_a_planted_fault_in_a_template_is_found(planted: str) -> None:
    assert list(faults("x.html", planted)) != []


def test_an_asset_has_an_address_that_names_its_content() -> None:
    for key, asset in load_assets().items():
        assert asset.address == f"/static/{key}"
        assert hashlib.sha256(asset.content).hexdigest()[:12] in key


def test_our_scripts_ask_nobody_else() -> None:
    for path in (_FOLDER / "static").glob("*.js"):
        if not path.name.endswith(".min.js"):
            assert "http" not in path.read_text(encoding="utf-8").replace("https?", "")
