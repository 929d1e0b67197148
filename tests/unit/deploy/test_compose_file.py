"""docker-compose.yml keeps what it promises: hardened, on loopback, healthy, set as natively."""

import copy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from services.console.demo.containers import SOCKETS
from services.console.programs import SERVICES, environment
from shared.runtime.compose import FILE
from shared.runtime.paths import CHECKOUT
from shared.runtime.settings import DEFAULT_PORT

#: end by themselves; what waits for them waits for their success
ENDING = frozenset({"secrets", "stores"})
#: the broker's addresses differ in a network of containers, and its data has a volume
OTHER_IN_CONTAINERS = frozenset(
    {"controller.quorum.voters", "listeners", "advertised.listeners",
     "listener.security.protocol.map", "log.dirs"}
)  # fmt: skip

Compose = dict[str, Any]


@pytest.fixture
def compose() -> Compose:
    return yaml.safe_load(FILE.read_text())


def faults(compose: Compose) -> Iterator[str]:
    """What is not as it should be, service by service."""
    for name, service in compose["services"].items():
        yield from (f"{name}: {fault}" for fault in faults_of(name, service))


def faults_of(name: str, service: Compose) -> Iterator[str]:
    user = str(service.get("user", "0"))
    if not user.partition(":")[0].isdecimal() or user.startswith("0"):
        yield f"user {user}"
    if service.get("read_only") is not True:
        yield "its root file system can be written"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service or service.get("privileged"):
        yield "capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    yield from (f"port {p}" for p in service.get("ports", []) if not p.startswith("127.0.0.1:"))
    if ":" not in service["image"].rpartition("/")[2].replace(":-", "", 1):
        yield "its image has no tag"
    if not healthy_by_check(service) and name not in ENDING:
        yield "no health check"
    if "/var/run/docker.sock" in str(service.get("volumes")):
        yield "holds the engine's socket"


def healthy_by_check(service: Compose) -> bool:
    check = service.get("healthcheck", {})
    return bool(check.get("test")) and not check.get("disable")


def test_every_container_is_hardened_and_on_loopback(compose: Compose) -> None:
    assert list(faults(compose)) == []
    assert {service.value for service in SERVICES} <= set(compose["services"])


def _root(intake: Compose) -> None:
    intake["user"] = "0:0"


def _nobody_named(intake: Compose) -> None:
    del intake["user"]


def _writable(intake: Compose) -> None:
    intake["read_only"] = False


def _capable(intake: Compose) -> None:
    intake["cap_add"] = ["NET_ADMIN"]


def _privileges(intake: Compose) -> None:
    intake["security_opt"] = []


def _published(intake: Compose) -> None:
    intake["ports"] = ["8081:8081"]


def _published_to_all(intake: Compose) -> None:
    intake["ports"] = ["0.0.0.0:8081:8081"]


def _untagged(intake: Compose) -> None:
    intake["image"] = "${TANDEM_IMAGE:-registry.example:5000/tandem}"


def _unchecked(intake: Compose) -> None:
    intake["healthcheck"] = {"disable": True}


def _engine(intake: Compose) -> None:
    intake["volumes"] = ["/var/run/docker.sock:/var/run/docker.sock"]


@pytest.mark.parametrize(
    "plant",
    [_root, _nobody_named, _writable, _capable, _privileges, _published, _published_to_all,
     _untagged, _unchecked, _engine],
    ids=lambda plant: plant.__name__,
)  # fmt: skip
def test_a_planted_weakness_is_found(compose: Compose, plant: Callable[[Compose], None]) -> None:
    planted = copy.deepcopy(compose)

    plant(planted["services"]["intake"])

    assert [fault for fault in faults(planted) if fault.startswith("intake:")] != []


def test_services_are_told_what_the_native_mode_tells_them(compose: Compose) -> None:
    ports = {f"TANDEM_PORT_{s.value.upper()}": DEFAULT_PORT[s] for s in SERVICES}
    ports |= {"TANDEM_PORT_IDENTITY": 8085, "TANDEM_PORT_MAIL": 8025}
    native = set(environment("kafka:9092", ports, CHECKOUT)) - {"TANDEM_VAR"}

    for service in SERVICES:
        declared = compose["services"][service.value]
        assert native - set(declared["environment"]) == set(), service
        place = declared["environment"]["TANDEM_SECRETS"]
        assert place.endswith(f"/{service.value}"), "each service reads its own secrets"
        assert declared["healthcheck"]["test"][-1] == str(DEFAULT_PORT[service])


def test_the_broker_is_set_as_the_native_one(compose: Compose) -> None:
    text = (CHECKOUT / "deploy" / "kafka" / "server.properties").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    native = dict(line.split("=", 1) for line in lines)
    told = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in compose["services"]["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }

    assert set(told) == set(native)
    assert {n: told[n] for n in native if n not in OTHER_IN_CONTAINERS} == {
        n: v for n, v in native.items() if n not in OTHER_IN_CONTAINERS
    }


def test_the_demo_asks_the_database_where_it_listens(compose: Compose) -> None:
    assert f"unix_socket_directories={SOCKETS}" in compose["services"]["postgres"]["command"]


def test_nothing_starts_before_what_it_needs_is_healthy(compose: Compose) -> None:
    services = compose["services"]

    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in ENDING else "service_healthy"
            assert how["condition"] == wanted, f"{name} after {needed}"
    assert "stores" in services["intake"]["depends_on"]


def test_optional_tools_start_only_when_asked_for(compose: Compose) -> None:
    profiled = {n for n, s in compose["services"].items() if s.get("profiles")}

    assert profiled == {"prometheus", "grafana", "kafbat"}


def test_other_peoples_tools_are_asked_by_what_any_busybox_has(compose: Compose) -> None:
    """Their images hold little, and a tool's own client has other words in other versions."""
    for name, service in compose["services"].items():
        if service.get("profiles"):
            assert service["healthcheck"]["test"][:4] == ["CMD", "wget", "-q", "--spider"], name


def compose_commands() -> list[tuple[str, ...]]:
    """The composes of this machine; without any, the file is parsed as YAML alone."""
    found = []
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is not None:
            answer = subprocess.run([*command, "version"], capture_output=True, check=False)
            found += [command] if answer.returncode == 0 else []
    return found


def test_every_compose_of_this_machine_takes_the_file(compose: Compose) -> None:
    for command in compose_commands():
        asked = [*command, "--file", str(FILE), "--profile", "observability", "--profile", "kafbat"]
        answer = subprocess.run(
            [*asked, "config", "--services"], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        assert set(answer.stdout.split()) == set(compose["services"])
