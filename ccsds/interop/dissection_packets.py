"""Dissection of packets, and of what travels inside them."""

from __future__ import annotations

from typing import Any, Final

from ccsds.errors import DecodeError
from ccsds.interop.dissection_walk import Meanings, UnitKind, Walk, flag, how_much
from ccsds.layout import Layout
from ccsds.packets import encapsulation_packet, ip_over_ccsds, pus, space_packet, time_codes, time_codes_calendar
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.ip_over_ccsds import INTERNET_PROTOCOL_EXTENSIONS, InternetProtocolExtension
from ccsds.packets.pus import PacketErrorControl, PusTelecommand, PusTelemetry
from ccsds.packets.space_packet import PacketType, SequenceFlags, SpacePacket
from ccsds.packets.time_codes import CdsTime, CucTime, decode_time_code
from ccsds.packets.time_codes_calendar import AsciiTime, CcsTime
from ccsds.procedures.packet_extraction import packet_length

__all__ = ["KINDS", "walk_packets"]

_PACKET_MEANINGS: Final[Meanings] = {
    "packet_version_number": lambda value: "space packet" if value == 0 else "no space packet",
    "packet_type": lambda value: PacketType(value).name.lower(),
    "secondary_header_flag": flag("secondary header", "no secondary header"),
    "application_process_id": lambda value: "idle packet" if value == space_packet.IDLE_APPLICATION_PROCESS_ID else "",
    "sequence_flags": lambda value: SequenceFlags(value).name.lower(),
    "packet_data_length": lambda value: f"{value + 1} octets of data",
}


def _walk_space_packet(walk: Walk, at: int = 0) -> None:
    layout = space_packet.PRIMARY_HEADER
    values = walk.header(layout, at, _PACKET_MEANINGS)
    begin = at + layout.octets
    end = begin + values.get("packet_data_length", 0) + 1
    clause = f"{layout.document} §4.1.4"
    walk.field(space_packet.UNIT, "packet_data_field", begin, end, how_much(walk, end), clause)


def _protocol(value: int) -> str:
    return (encapsulation_packet.ENCAPSULATION_PROTOCOL_IDS.name_of(value) or "not assigned").lower().replace("_", " ")


def _walk_encapsulation_packet(walk: Walk, at: int = 0) -> None:
    headers = encapsulation_packet.HEADERS
    choice = walk.octets[at] & 3 if at < len(walk.octets) else 0
    layout = headers[choice]
    meanings: Meanings = {
        "encapsulation_protocol_id": _protocol,
        "length_of_length": lambda value: f"{headers[value].octets} octets of header",
        "packet_length": lambda value: f"{value} octets, header included",
    }
    values = walk.header(layout, at, meanings)
    begin, end = at + layout.octets, at + values.get("packet_length", layout.octets)
    clause = f"{layout.document} §4.1.3"
    walk.field(encapsulation_packet.UNIT, "encapsulated_data_field", begin, end, how_much(walk, end), clause)


def walk_packets(walk: Walk, begin: int, end: int) -> None:
    """The packets that start in a zone, headers and all, where that was asked for."""
    while walk.managed.get("packets") and begin < end:
        try:
            length = packet_length(walk.octets[begin:end])
        except DecodeError as error:
            walk.notes.append(f"no packet at octet {begin}: {error.message}")
            return
        kind = _walk_encapsulation_packet if walk.octets[begin] >> 5 else _walk_space_packet
        inner = Walk(walk.octets[:end], walk.managed)
        kind(inner, begin)
        walk.fields += inner.fields
        if length is None or begin + length > end:
            walk.notes.append(f"the packet at octet {begin} goes on in the next frame")
            return
        begin += length


_TimeCodeClass = type[CucTime] | type[CdsTime] | type[CcsTime]
_PUS_MANAGED = ("packet_error_control", "spare_octets")


def _walk_time_code(cls: _TimeCodeClass, walk: Walk) -> None:
    """P-field, where it is sent, and the T-field that it lays out."""
    agreed = walk.managed.get("p_field")
    p_field = walk.octets if agreed is None else bytes(agreed)
    at = 0 if agreed is not None else _walk_p_field(cls, walk)
    try:
        shape, _ = cls.shape_of(memoryview(p_field))
    except DecodeError as error:
        walk.notes.append(f"no T-field: {error.message}")
        return
    layouts: dict[Any, Any] = {
        CucTime: time_codes.cuc_t_field,
        CdsTime: time_codes.cds_t_field,
        CcsTime: time_codes_calendar.ccs_t_field,
    }
    decimal = {name: lambda value: f"{value:x}" for name in _DECIMAL_FIELDS} if cls is CcsTime else {}
    walk.header(layouts[cls](*shape[:2]), at, decimal)


_DECIMAL_FIELDS = ("year", "month", "day_of_month", "day_of_year", "hour", "minute", "second", "subseconds")


def _walk_p_field(cls: _TimeCodeClass, walk: Walk) -> int:
    """The P-field at the front; return where it ends."""
    layout: Layout = {CdsTime: time_codes.CDS_P_FIELD, CcsTime: time_codes_calendar.CCS_P_FIELD}.get(
        cls, time_codes.CUC_P_FIELD
    )
    meanings: Meanings = {
        "time_code_id": lambda value: _TIME_CODES.get(value, "no code that CCSDS defines"),
        "extension_flag": flag("another octet of P-field follows"),
        "agency_epoch_flag": flag("since an agency's epoch", "since 1958-01-01"),
        "day_of_year_flag": flag("day of the year", "month and day"),
        "submillisecond_code": lambda value: {0: "none", 1: "microseconds", 2: "picoseconds"}.get(value, "reserved"),
    }
    values = walk.header(layout, 0, meanings)
    if layout is time_codes.CUC_P_FIELD and values.get("extension_flag"):
        walk.header(time_codes.CUC_P_FIELD_EXTENSION, 1)
        return 2
    return 1


_TIME_CODES = {
    time_codes.CUC_LEVEL_1: "CUC since 1958-01-01 TAI",
    time_codes.CUC_LEVEL_2: "CUC since an agency's epoch",
    time_codes.CDS: "CDS",
    time_codes_calendar.CCS: "CCS",
}


def _walk_text(walk: Walk) -> None:
    walk.field(
        AsciiTime.NAME, "text", 0, len(walk.octets), ascii(walk.octets.decode("latin-1")), "CCSDS 301.0-B-4 §3.5"
    )


def _walk_pus(walk: Walk, layout: Layout, time_octets: int, unit: str, data_name: str) -> None:
    primary = space_packet.PRIMARY_HEADER
    values = walk.header(primary, 0, _PACKET_MEANINGS)
    whole = primary.octets + values.get("packet_data_length", 0) + 1
    names = {1: "acceptance", 2: "start", 4: "progress", 8: "completion"}
    walk.header(
        layout,
        primary.octets,
        {
            "pus_version_number": lambda value: "PUS-C" if value == pus.PUS_VERSION_NUMBER else "not PUS-C",
            "acknowledgement_flags": lambda value: ", ".join(names[bit] for bit in names if value & bit),
        },
    )
    control = walk.managed.get("packet_error_control", PacketErrorControl.CRC)
    begin = primary.octets + layout.octets
    end = whole - 2 * (control != PacketErrorControl.NONE)
    inside = Walk(walk.octets[: min(max(end, begin), len(walk.octets))], walk.managed)
    spare = begin + time_octets + walk.managed.get("spare_octets", 0)
    clause = layout.clause("pus_version_number")
    inside.field(unit, "time", begin, begin + time_octets, "", clause)
    inside.field(unit, "spare", begin + time_octets, spare, "", clause)
    inside.field(unit, data_name, spare, end, how_much(walk, whole), f"{layout.document} §7.4")
    walk.fields += inside.fields
    if control != PacketErrorControl.NONE and end >= begin:
        _walk_packet_error_control(walk, end, whole, PacketErrorControl(control), unit)


def _walk_packet_error_control(walk: Walk, at: int, whole: int, control: PacketErrorControl, unit: str) -> None:
    expected = pus.compute_packet_error_control(control, walk.octets[:at])
    right = whole <= len(walk.octets) and int.from_bytes(walk.octets[at:whole], "big") == expected
    meaning = "valid" if right else f"WRONG, {expected:#06x} expected"
    walk.field(unit, "packet_error_control_field", at, whole, meaning, f"{pus.DOCUMENT} §B", number=True)


def _settle_telemetry(octets: bytes, managed: dict[str, Any]) -> list[str]:
    """The time's length by its P-field, where nobody gave one."""
    if managed.get("time_octets") is not None:
        return []
    at = space_packet.PRIMARY_HEADER.octets + pus.TELEMETRY_SECONDARY_HEADER.octets
    try:
        time, _ = decode_time_code(octets[at:])
    except DecodeError:
        managed["time_octets"] = 0
        return ["taken to have no time: nobody said how long it is, and no P-field tells"]
    managed["time_octets"] = len(time)
    return [f"length of the time guessed by its P-field: {len(time)} octets, {time.NAME}"]


def _walk_extension(walk: Walk) -> None:
    layout, at = ip_over_ccsds.EXTENSION_OCTET, 0
    while (
        walk.header(layout, at, {"last_octet_flag": flag("the last one", "another octet follows")}).get(
            "last_octet_flag"
        )
        == 0
    ):
        at += 1
    at = min(at + 1, len(walk.octets))
    name = INTERNET_PROTOCOL_EXTENSIONS.name_of(walk.octets[0]) if at == 1 else None
    meaning = (name or "not assigned").lower().replace("_", " ")
    walk.field(
        ip_over_ccsds.UNIT, "protocol_data_unit", at, len(walk.octets), meaning, f"{ip_over_ccsds.DOCUMENT} §2.4"
    )


KINDS: Final = (
    UnitKind("space-packet", SpacePacket, "Space Packet, CCSDS 133.0-B-2", _walk_space_packet),
    UnitKind(
        "encapsulation-packet",
        EncapsulationPacket,
        "Encapsulation Packet, CCSDS 133.1-B-3",
        _walk_encapsulation_packet,
    ),
    UnitKind(
        "pus-telecommand",
        PusTelecommand,
        "PUS-C telecommand packet, ECSS-E-ST-70-41C",
        lambda walk: _walk_pus(walk, pus.TELECOMMAND_SECONDARY_HEADER, 0, PusTelecommand.NAME, "application_data"),
        _PUS_MANAGED,
    ),
    UnitKind(
        "pus-telemetry",
        PusTelemetry,
        "PUS-C telemetry packet, ECSS-E-ST-70-41C",
        lambda walk: _walk_pus(
            walk,
            pus.TELEMETRY_SECONDARY_HEADER,
            walk.managed.get("time_octets", 0),
            PusTelemetry.NAME,
            "source_data",
        ),
        (*_PUS_MANAGED, "time_octets"),
        _settle_telemetry,
    ),
    UnitKind("ip-over-ccsds", InternetProtocolExtension, "IPE header and datagram, CCSDS 702.1-B-1", _walk_extension),
    UnitKind(
        "cuc-time", CucTime, "CUC time code, CCSDS 301.0-B-4", lambda walk: _walk_time_code(CucTime, walk), ("p_field",)
    ),
    UnitKind(
        "cds-time", CdsTime, "CDS time code, CCSDS 301.0-B-4", lambda walk: _walk_time_code(CdsTime, walk), ("p_field",)
    ),
    UnitKind(
        "ccs-time", CcsTime, "CCS time code, CCSDS 301.0-B-4", lambda walk: _walk_time_code(CcsTime, walk), ("p_field",)
    ),
    UnitKind("ascii-time", AsciiTime, "ASCII time codes A and B, CCSDS 301.0-B-4", _walk_text),
)
