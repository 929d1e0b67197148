"""Alert rules and dashboard speak of figures that some code counts."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from services.console.programs import SERVICES
from shared.messaging.figures import ConsumerFigures, RelayFigures
from shared.observability.figures import Figures
from shared.runtime.paths import CHECKOUT
from shared.runtime.settings import DEFAULT_PORT
from shared.web.messaging_figures import show_messaging

PLACE = CHECKOUT / "deploy" / "observability"
_NAME = re.compile(r"\btandem_\w+")
_SUFFIXES = ("_total", "_bucket", "_count", "_sum")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def questions() -> Iterator[tuple[str, str]]:
    """Every expression, with what asks it."""
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    board = json.loads((PLACE / "grafana" / "dashboards" / "tandem.json").read_text())
    for panel in board["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))


def declared(figures: Figures) -> set[str]:
    """The attributes that hold figures."""
    return {name for name in vars(figures) if not name.startswith("_") and name != "registry"}


def used(names: set[str]) -> set[str]:
    """Those that some code counts."""
    code = "".join(
        path.read_text()
        for folder in ("services", "shared")
        for path in (CHECKOUT / folder).rglob("*.py")
        if path.name != "figures.py"
    )
    return {name for name in names if re.search(rf"figures\.{name}\b", code)}


def counted() -> set[str]:
    """The names of the figures that a process shows and that some code counts."""
    figures = Figures()
    ours = {vars(figures)[name].describe()[0].name for name in used(declared(figures))}
    before = {family.name for family in figures.registry.collect()}
    show_messaging(figures, relay=RelayFigures(), consumers={"x": ConsumerFigures()})
    return ours | {family.name for family in figures.registry.collect()} - before


def unknown(expression: str, known: set[str]) -> list[str]:
    """Figures in the expression that are not among the known."""
    return [name for name in _NAME.findall(expression) if not _known(name, known)]


def _known(name: str, known: set[str]) -> bool:
    bare = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), name)
    return name in known or bare in known


def test_every_figure_asked_for_is_counted_somewhere() -> None:
    known = counted()

    assert {who: unknown(expr, known) for who, expr in questions() if unknown(expr, known)} == {}
    assert len(list(questions())) > 25


def test_every_figure_that_is_declared_is_counted() -> None:
    names = declared(Figures())

    assert names - used(names) == set()
    assert used({*names, "planted"}) == names


@pytest.mark.parametrize("planted", ["tandem_no_such_figure > 0", "rate(tandem_nothing_total[1m])"])
def test_a_planted_figure_is_found(planted: str) -> None:
    assert unknown(planted, counted()) != []


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["action"], rule["alert"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_every_service_is_read() -> None:
    (job,) = yaml.safe_load((PLACE / "prometheus.yml").read_text())["scrape_configs"]
    read = {(c["labels"]["service"], *c["targets"]) for c in job["static_configs"]}

    assert read == {(s.value, f"{s.value}:{DEFAULT_PORT[s]}") for s in SERVICES}


def test_the_dashboard_asks_the_provisioned_source() -> None:
    place = PLACE / "grafana" / "provisioning"
    (source,) = yaml.safe_load((place / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    board = json.loads((PLACE / "grafana" / "dashboards" / "tandem.json").read_text())

    asked = {panel["datasource"]["uid"] for panel in board["panels"] if "datasource" in panel}

    assert asked == {source["uid"]}


def test_prometheus_takes_the_rules_where_its_tool_is_present() -> None:
    tool = shutil.which("promtool")
    if tool is not None:
        answer = subprocess.run(
            [tool, "check", "rules", str(PLACE / "alerts.yml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
