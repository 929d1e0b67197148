"""Apache Kafka on this machine, in KRaft mode, from Maven's jars; and the one way to make topics.

Invariant: one broker that listens on loopback only and makes no topic by itself.
"""

import asyncio
import hashlib
import os
import shutil
import string
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.java import Java, find_java, find_maven
from shared.runtime.locks import lock_file, try_lock
from shared.runtime.paths import Paths
from shared.runtime.ports import LOOPBACK
from shared.runtime.programs import Program, Restart, Step, Steps
from shared.runtime.topics import broker_answers

NAME = "kafka"
# Downloading 45 MB through a slow line; a warm local Maven repository takes six seconds.
FETCH_WITHIN_SECONDS = 600.0
FORMAT_WITHIN_SECONDS = 60.0
READY_WITHIN_SECONDS = 60.0
# A controlled shutdown on a loaded machine; it takes half a second on an idle one.
STOP_WITHIN_SECONDS = 15.0
LOCK_PAUSE_SECONDS = 0.2
# Any 16 bytes in base64url. There is one broker and it is never joined to another.
CLUSTER_ID = "dGFuZGVtLW9uLW9uZS1ob3"
FORMATTED = ("meta.properties", "bootstrap.checkpoint")


@dataclass(frozen=True, slots=True)
class Kafka:
    """One Kafka: where its files lie and which ports it listens on."""

    paths: Paths
    broker_port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.broker_port}"

    @property
    def home(self) -> Path:
        """What this run writes."""
        return self.paths.var / "kafka"

    @property
    def libs(self) -> Path:
        """The jars; the name changes with the pom, so a new pom never meets old jars."""
        pom = (self.paths.deploy / "kafka" / "pom.xml").read_bytes()
        return self.paths.downloads / "kafka" / "libs" / hashlib.sha256(pom).hexdigest()[:16]

    def program(self) -> Program:
        """Kafka as a program for the runner.

        Raises `JavaMissing`, `MavenMissing`, `NotACheckout`.
        """
        java = find_java()
        if not self.libs.is_dir():
            find_maven()
        return Program(
            name=NAME,
            argv=self._argv(java, "kafka.Kafka", str(self.home / "server.properties")),
            awaited=f"Kafka answering at {self.bootstrap}",
            ready=self._is_ready,
            ready_within_seconds=READY_WITHIN_SECONDS,
            prepare=lambda steps: self._prepare(java, steps),
            stop_within_seconds=STOP_WITHIN_SECONDS,
            restart=Restart(attempts=3),
            ports=(self.broker_port, self.controller_port),
        )

    async def _is_ready(self) -> bool:
        return await broker_answers(self.bootstrap)

    async def _prepare(self, java: Java, steps: Steps) -> None:
        """Fetches the jars where they are missing, and gives the data directory its identity."""
        if not self.libs.is_dir():
            self.libs.parent.mkdir(parents=True, exist_ok=True)
            async with _exclusive(self.libs.parent / "lock"):
                await self._install(java, steps)
        data = self.home / "data"
        self._render(self.home / "server.properties", data)
        data.mkdir(parents=True, exist_ok=True)
        if not (data / FORMATTED[0]).exists():
            for name in reversed(FORMATTED):
                shutil.copyfile(self.libs / name, data / name)

    async def _install(self, java: Java, steps: Steps) -> None:
        """Makes the directory of jars in one rename, so that it is either absent or complete.

        It also holds the identity files of a freshly formatted data directory: making them takes
        a JVM of its own, and they are the same for each new Kafka.
        """
        if self.libs.is_dir():
            return
        fresh = self.libs.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        await steps.run_step(self._fetch_step(java, fresh))
        formatted = fresh / "formatted"
        self._render(fresh / "format.properties", formatted)
        await steps.run_step(self._format_step(java, fresh))
        for name in FORMATTED:
            (formatted / name).rename(fresh / name)
        shutil.rmtree(formatted)
        fresh.rename(self.libs)

    def _fetch_step(self, java: Java, into: Path) -> Step:
        maven = [str(find_maven()), "--quiet", "--batch-mode", "--strict-checksums"]
        pom = ["--file", str(self.paths.deploy / "kafka" / "pom.xml")]
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}"]
        return Step(
            name="maven",
            purpose="fetching Apache Kafka's jars (once)",
            argv=(*maven, *pom, *goal, "-DincludeScope=runtime"),
            within_seconds=FETCH_WITHIN_SECONDS,
            env={"JAVA_HOME": str(java.home)},
        )

    def _format_step(self, java: Java, libs: Path) -> Step:
        tool = self._java_argv(java, libs, "kafka.tools.StorageTool")
        arguments = ("format", "--cluster-id", CLUSTER_ID, "--config")
        return Step(
            name="kafka-format",
            purpose="making the identity of a fresh data directory (once)",
            argv=(*tool, *arguments, str(libs / "format.properties")),
            within_seconds=FORMAT_WITHIN_SECONDS,
        )

    def _render(self, file: Path, data: Path) -> None:
        template = (self.paths.deploy / "kafka" / "server.properties").read_text()
        file.parent.mkdir(parents=True, exist_ok=True)
        text = string.Template(template).substitute(
            broker_port=self.broker_port, controller_port=self.controller_port, data_dir=data
        )
        file.write_text(text)

    def _argv(self, java: Java, main_class: str, *arguments: str) -> tuple[str, ...]:
        return (*self._java_argv(java, self.libs, main_class), *arguments)

    def _java_argv(self, java: Java, libs: Path, main_class: str) -> tuple[str, ...]:
        deploy = self.paths.deploy / "kafka"
        return (
            str(java.launcher),
            *jvm_options(deploy / "jvm.options"),
            f"-Dlog4j2.configurationFile={deploy / 'log4j2.yaml'}",
            f"-Dkafka.logs.dir={self.home}",
            "-cp",
            f"{libs}/*",
            main_class,
        )


def jvm_options(file: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The flags in the file, then those of `TANDEM_KAFKA_JVM_OPTS`, of which the last wins."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    fixed = [line for line in lines if line and not line.startswith("#")]
    return fixed + environ.get("TANDEM_KAFKA_JVM_OPTS", "").split()


@asynccontextmanager
async def _exclusive(file: Path) -> AsyncIterator[None]:
    """Lets one process at a time fetch; the kernel frees the lock of one that was killed."""
    with lock_file(file) as lock:
        # A blocking flock could not be cancelled.
        while not try_lock(lock):  # noqa: ASYNC110
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        yield
