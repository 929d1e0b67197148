"""The servers of INFRA=testcontainers are set as those of the native mode."""

from shared.runtime.paths import CHECKOUT
from shared.testing.containers import kafka_environment, postgres_arguments

DEPLOY = CHECKOUT / "deploy"


def test_every_setting_of_the_native_broker_reaches_the_container() -> None:
    told = kafka_environment(29999)

    text = (DEPLOY / "kafka" / "server.properties").read_text()
    names = {line.partition("=")[0] for line in text.splitlines() if line and line[0] != "#"}
    assert {f"KAFKA_{name.replace('.', '_').upper()}" for name in names} <= set(told)
    assert told["KAFKA_LOG_RETENTION_MS"] == "-1"
    assert told["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:29999"
    assert not [value for value in told.values() if "${" in value]


def test_every_setting_of_the_native_database_reaches_the_container() -> None:
    told = postgres_arguments()

    lines = (DEPLOY / "postgres" / "postgresql.conf").read_text().splitlines()
    names = [line.partition(" = ")[0] for line in lines if line and line[0] != "#"]
    places = {"listen_addresses", "unix_socket_directories"}
    assert [word.partition("=")[0] for word in told[2::2]] == [n for n in names if n not in places]
    assert "max_connections=300" in told
    assert "fsync=on" in told
    assert "datestyle=iso, ymd" in told
