"""Times as the pages show them: always with their zone, in the clinic's or in UTC."""

from datetime import UTC, date, datetime, tzinfo
from typing import Final, Literal

from markupsafe import Markup

Choice = Literal["clinic", "utc"]
ZONE_COOKIE: Final = "tandem_zone"


class Times:
    """Writes times in one zone. `now` is the clinic's clock, `machine_now` this machine's."""

    def __init__(self, zone: tzinfo, choice: Choice, now: datetime, machine_now: datetime) -> None:
        self.choice = choice
        self.zone: tzinfo = zone if choice == "clinic" else UTC
        self.now = now
        self.machine_now = machine_now

    @property
    def simulated(self) -> bool:
        """Whether the clinic's clock was moved away from this machine's."""
        return abs((self.now - self.machine_now).total_seconds()) > 1

    def minute(self, instant: datetime) -> Markup:
        """Day, minute and offset."""
        return self._time(instant, "%Y-%m-%d %H:%M")

    def second(self, instant: datetime) -> Markup:
        """Day, millisecond and offset."""
        local = instant.astimezone(self.zone)
        return self._time(instant, f"%Y-%m-%d %H:%M:%S.{local.microsecond // 1000:03}")

    def _time(self, instant: datetime, form: str) -> Markup:
        local = instant.astimezone(self.zone)
        return Markup('<time datetime="{}">{} <span class="zone">{}</span></time>').format(
            instant.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            local.strftime(form),
            zone_name(local),
        )

    def day(self, day: date | str) -> str:
        """A clinic-local day, which has no zone of its own."""
        return str(day)

    def waiting(self, since: datetime) -> str:
        """How long something has waited by the clinic's clock."""
        seconds = max(0.0, (self.now - since).total_seconds())
        return _waiting_words(seconds)

    def is_past(self, instant: datetime) -> bool:
        """Whether the instant has passed by the clinic's clock."""
        return instant <= self.now


def zone_name(local: datetime) -> str:
    """The offset of a local time, `UTC+03:00`; `UTC` for none."""
    offset = local.strftime("%z")
    return "UTC" if offset in {"", "+0000"} else f"UTC{offset[:3]}:{offset[3:5]}"


def _waiting_words(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days >= 1:
        return f"{days} d {hours % 24} h"
    if hours >= 1:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
