"""Small messages for tests of the HL7 v2 reader, with defaults that are valid and unremarkable."""

from datetime import UTC, datetime
from pathlib import Path

from services.intake.adapters.hl7v2 import read_message
from services.intake.application.incoming_messages import IncomingMessage, Profile, SegmentLine

DATA = Path(__file__).resolve().parents[2] / "data" / "hl7v2"
SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "fhir" / "hl7v2"
RECEIVED_AT = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
LAB = Profile("lab", processing=frozenset({"P", "T", "D"}))
PID = "PID|1||FEED-1^^^CLINIC^MR||Ornek^Ayse||19660502|F"
ORC = "ORC|RE|P-77^EHR|F-77^LIS"
OBR = "OBR|1|P-77^EHR|F-77^LIS|58410-2^CBC^LN|||20270310080000+0300"
ANC = "OBX|1|NM|751-8^Neutrophils^LN||0.4|10*3/uL|1.8-7.5|LL|||F"


def msh(kind: str = "ORU^R01^ORU_R01", sent: str = "20270310093000+0300", **more: str) -> str:
    control, version = more.get("control", "M-1"), more.get("version", "2.5")
    charset = more.get("charset", "")
    return f"MSH|^~\\&|LIS|LAB|TANDEM|CLINIC|{sent}||{kind}|{control}|P|{version}||||||{charset}"


def message(*segments: str, encoding: str = "utf-8") -> bytes:
    return ("\r".join(segments) + "\r").encode(encoding)


def oru(*results: str, panel: str = OBR, **header: str) -> bytes:
    return message(msh(**header), PID, ORC, panel, *results)


def read(raw: bytes, profile: Profile = LAB) -> IncomingMessage:
    return read_message(raw, profile, RECEIVED_AT)


def sample(name: str) -> IncomingMessage:
    return read((DATA / name).read_bytes())


def line(found: IncomingMessage, segment: str) -> SegmentLine:
    return next(one for one in found.report if one.segment == segment)


def outcome(found: IncomingMessage, segment: str) -> tuple[str, str, str]:
    one = line(found, segment)
    return one.outcome, one.reason, one.place
