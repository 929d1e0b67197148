"""What the demo has shown: its beats with their checks and seconds, and the figures at the end."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class BeatReport:
    """One beat. `checks` maps what was checked to whether it held; `error` ended the beat."""

    name: str
    seconds: float = 0.0
    checks: dict[str, bool] = field(default_factory=dict)
    error: str | None = None

    @property
    def held(self) -> bool:
        """Whether the beat came to its end and everything checked in it held."""
        return self.error is None and all(self.checks.values())


@dataclass(slots=True)
class Report:
    """The whole demo. `start_seconds` is the time to the printed addresses."""

    start_seconds: float = 0.0
    warm: bool = False
    beats: list[BeatReport] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    finished: bool = False

    @property
    def held(self) -> bool:
        """Whether the story was played to its end and every check in it held."""
        return self.finished and all(beat.held for beat in self.beats)

    def write(self, path: Path) -> None:
        """Replaces the file at once."""
        document = {**asdict(self), "held": self.held}
        fresh = path.with_suffix(".new")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
        fresh.replace(path)
