"""Any unit field by field: bit offset, bits, value, meaning, clause.  Never raises on damaged octets."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bitstring import Bits

from ccsds.errors import DecodeError
from ccsds.frames import aos, aos_data_field, tm
from ccsds.frames import operational_control_field as control
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import BitstreamProtocolDataUnit, MultiplexingProtocolDataUnit
from ccsds.frames.error_control import frame_error_control, header_error_control
from ccsds.frames.operational_control_field import Clcw, Type2Report
from ccsds.frames.tm import TmTransferFrame
from ccsds.layout import Layout, Octets
from ccsds.packets import encapsulation_packet, space_packet
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import PacketType, SequenceFlags, SpacePacket
from ccsds.procedures.packet_extraction import packet_length

__all__ = ["UNITS", "DissectedField", "Dissection", "UnitKind", "dissect", "guess_unit", "unit_kind"]

_Meanings = Mapping[str, Callable[[int], str]]
_SHOWN_OCTETS = 16


class DissectedField(NamedTuple):
    """One field where it lies.  `bit_string` is empty for fields of octets, `octets` is empty for numbers."""

    unit: str
    name: str
    bit_offset: int
    bits: int
    bit_string: str
    value: int | None
    octets: bytes
    meaning: str
    clause: str

    def shown_value(self) -> str:
        """Number, or octets in hex, cut off where they are many."""
        if self.value is not None:
            return str(self.value)
        shown = self.octets[:_SHOWN_OCTETS].hex()
        return shown if len(self.octets) <= _SHOWN_OCTETS else f"{shown}... ({len(self.octets)} octets)"


class Dissection(NamedTuple):
    """What octets hold, taken for a unit; what is wrong with them; what was guessed."""

    unit: str
    octets: bytes
    fields: tuple[DissectedField, ...]
    values: dict[str, Any] | None
    """the constructor arguments of the unit; None where the octets do not decode"""
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for json.dumps; octets as hex."""
        return {
            "format": "ccsds-dissect/1",
            "unit": self.unit,
            "octets": self.octets.hex(),
            "fields": [field._asdict() | {"octets": field.octets.hex()} for field in self.fields],
            "values": self.values,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = [("bit", "bits", "field", "value", "binary", "meaning", "clause")]
        for field in self.fields:
            rows.append(
                (
                    str(field.bit_offset),
                    str(field.bits),
                    field.name,
                    field.shown_value(),
                    field.bit_string,
                    field.meaning,
                    field.clause,
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [f"{self.unit}, {len(self.octets)} octets"]
        for row in rows:
            cells = [
                cell.rjust(width) if at < 2 else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


class _Walk:
    """Collects the fields of one unit, as far as there are octets for them."""

    def __init__(self, octets: bytes, managed: Mapping[str, Any]) -> None:
        self.octets = octets
        self.bits = Bits(octets)
        self.managed = managed
        self.fields: list[DissectedField] = []
        self.notes: list[str] = []

    def header(self, layout: Layout, at: int, meanings: _Meanings | None = None) -> dict[str, int]:
        """Add the fields of a header at octet `at` that are wholly there; return their values."""
        values: dict[str, int] = {}
        for field in layout:
            begin = 8 * at + layout.bit_offset(field.name)
            cut = self.bits[begin : begin + field.bits] if begin + field.bits <= len(self.bits) else None
            if cut is None:
                continue
            value = int(cut.uint)
            values[field.name] = value
            meaning = (meanings or {}).get(field.name)
            self.fields.append(
                DissectedField(
                    layout.name,
                    field.name,
                    begin,
                    field.bits,
                    str(cut.bin),
                    value,
                    b"",
                    meaning(value) if meaning else "",
                    layout.clause(field.name),
                )
            )
        if len(values) < len(layout.fields):
            self.notes.append(f"{layout.name} is cut off: {len(layout.fields) - len(values)} fields are not there")
        return values

    def field(
        self, unit: str, name: str, begin: int, end: int, meaning: str, clause: str, number: bool = False
    ) -> None:
        """Add the octets from `begin` to `end`, as far as they are there, as one field."""
        end = min(end, len(self.octets))
        if end <= begin:
            return
        octets = self.octets[begin:end]
        value = int.from_bytes(octets, "big") if number else None
        binary = str(self.bits[8 * begin : 8 * end].bin) if number else ""
        kept = b"" if number else octets
        self.fields.append(
            DissectedField(unit, name, 8 * begin, 8 * (end - begin), binary, value, kept, meaning, clause)
        )


class UnitKind(NamedTuple):
    """A unit that can be dissected and encoded by name."""

    name: str
    cls: type[Any]
    description: str
    walk: Callable[[_Walk], None]
    managed: tuple[str, ...] = ()
    """the managed parameters that its `decode` takes"""


def _flag(what: str, otherwise: str = "") -> Callable[[int], str]:
    return lambda value: what if value else otherwise


_PACKET_MEANINGS: Final[_Meanings] = {
    "packet_version_number": lambda value: "space packet" if value == 0 else "no space packet",
    "packet_type": lambda value: PacketType(value).name.lower(),
    "secondary_header_flag": _flag("secondary header", "no secondary header"),
    "application_process_id": lambda value: "idle packet" if value == space_packet.IDLE_APPLICATION_PROCESS_ID else "",
    "sequence_flags": lambda value: SequenceFlags(value).name.lower(),
    "packet_data_length": lambda value: f"{value + 1} octets of data",
}


def _pointer(bits: int) -> Callable[[int], str]:
    """Meaning of a first header pointer of so many bits."""
    most = (1 << bits) - 1
    special = {most: "no packet starts here", most - 1: "only idle data"}
    return lambda value: special.get(value, f"the first packet starts at octet {value} of the zone")


def _walk_space_packet(walk: _Walk, at: int = 0) -> None:
    layout = space_packet.PRIMARY_HEADER
    values = walk.header(layout, at, _PACKET_MEANINGS)
    begin = at + layout.octets
    end = begin + values.get("packet_data_length", 0) + 1
    clause = f"{layout.document} §4.1.4"
    walk.field(space_packet.UNIT, "packet_data_field", begin, end, _how_much(walk, end), clause)


def _protocol(value: int) -> str:
    return (encapsulation_packet.ENCAPSULATION_PROTOCOL_IDS.name_of(value) or "not assigned").lower().replace("_", " ")


def _walk_encapsulation_packet(walk: _Walk, at: int = 0) -> None:
    headers = encapsulation_packet.HEADERS
    choice = walk.octets[at] & 3 if at < len(walk.octets) else 0
    layout = headers[choice]
    meanings: _Meanings = {
        "encapsulation_protocol_id": _protocol,
        "length_of_length": lambda value: f"{headers[value].octets} octets of header",
        "packet_length": lambda value: f"{value} octets, header included",
    }
    values = walk.header(layout, at, meanings)
    begin, end = at + layout.octets, at + values.get("packet_length", layout.octets)
    clause = f"{layout.document} §4.1.3"
    walk.field(encapsulation_packet.UNIT, "encapsulated_data_field", begin, end, _how_much(walk, end), clause)


def _how_much(walk: _Walk, end: int) -> str:
    missing = end - len(walk.octets)
    return f"{missing} octets missing" if missing > 0 else ""


def _walk_control_field(walk: _Walk, at: int = 0) -> None:
    if at < len(walk.octets) and walk.octets[at] & 0x80:
        meaning = "type 2, reserved by CCSDS" if walk.octets[at] & 0x40 else "type 2, project-specific"
        walk.field("type-2 report", "report", at, at + control.OCTETS, meaning, "CCSDS 132.0-B-3 §4.1.5")
        return
    walk.header(
        control.CLCW,
        at,
        {
            "control_word_type": _flag("type-2 report", "CLCW"),
            "cop_in_effect": lambda value: {0: "no COP", 1: "COP-1"}.get(value, "reserved"),
            "no_rf_available_flag": _flag("no RF available", "RF available"),
            "no_bit_lock_flag": _flag("no bit lock", "bit lock"),
            "lockout_flag": _flag("lockout", "no lockout"),
            "wait_flag": _flag("wait", "no wait"),
            "retransmit_flag": _flag("retransmit", "no retransmission"),
            "report_value": lambda value: f"next frame expected: {value}",
        },
    )


def _walk_packets(walk: _Walk, begin: int, end: int) -> None:
    """The packets that start in a zone, headers and all, where that was asked for."""
    while walk.managed.get("packets") and begin < end:
        try:
            length = packet_length(walk.octets[begin:end])
        except DecodeError as error:
            walk.notes.append(f"no packet at octet {begin}: {error.message}")
            return
        kind = _walk_encapsulation_packet if walk.octets[begin] >> 5 else _walk_space_packet
        inner = _Walk(walk.octets[:end], walk.managed)
        kind(inner, begin)
        walk.fields += inner.fields
        if length is None or begin + length > end:
            walk.notes.append(f"the packet at octet {begin} goes on in the next frame")
            return
        begin += length


def _walk_error_control(walk: _Walk, at: int, unit: str, document: str) -> None:
    computed = frame_error_control(walk.octets[:at])
    right = at + 2 == len(walk.octets) and computed == int.from_bytes(walk.octets[at:], "big")
    meaning = "valid" if right else f"WRONG, {computed:#06x} expected"
    walk.field(unit, "frame_error_control_field", at, at + 2, meaning, f"{document} §4.1.6", number=True)


def _has_error_control(walk: _Walk) -> bool:
    present = walk.managed.get("frame_error_control_present")
    if present is None:
        present = len(walk.octets) > 8 and frame_error_control(walk.octets) == 0
        found = (
            "verifies, so the frame ends in one" if present else "does not verify, so the frame is taken to have none"
        )
        walk.notes.append(f"frame error control field guessed: the remainder {found}")
    return bool(present)


def _walk_tm(walk: _Walk) -> None:
    header = tm.PRIMARY_HEADER
    size = len(walk.octets)
    end = size - 2 * _has_error_control(walk)
    check_at = end
    synchronous = size > 4 and walk.octets[4] & 0x40
    values = walk.header(
        header,
        0,
        {
            "transfer_frame_version_number": lambda value: "TM" if value == 0 else "no TM frame",
            "operational_control_field_flag": _flag("operational control field", "no operational control field"),
            "secondary_header_flag": _flag("secondary header", "no secondary header"),
            "synchronization_flag": _flag("VCA data, the pointer says nothing", "packets"),
            "first_header_pointer": (lambda value: "") if synchronous else _pointer(11),
        },
    )
    begin = header.octets
    if values.get("secondary_header_flag"):
        second = walk.header(
            tm.SECONDARY_HEADER, begin, {"secondary_header_length": lambda value: f"{value + 1} octets"}
        )
        length = walk.managed.get("secondary_header_octets") or second.get("secondary_header_length", 0) + 1
        clause = f"{tm.DOCUMENT} §4.1.3.3"
        walk.field(tm.UNIT, "secondary_header_data_field", begin + 1, begin + length, "", clause)
        begin += length
    if values.get("operational_control_field_flag"):
        end -= control.OCTETS
    walk.field(tm.UNIT, "transfer_frame_data_field", begin, end, "", f"{tm.DOCUMENT} §4.1.4")
    pointer = values.get("first_header_pointer", tm.NO_PACKET_START)
    if not synchronous and pointer < tm.ONLY_IDLE_DATA:
        _walk_packets(walk, begin + pointer, end)
    if values.get("operational_control_field_flag") and end >= begin:
        _walk_control_field(walk, end)
    if begin <= check_at < size:
        _walk_error_control(walk, check_at, tm.UNIT, tm.DOCUMENT)


def _walk_aos(walk: _Walk) -> None:
    managed, size = walk.managed, len(walk.octets)
    layout = aos.PRIMARY_HEADER_ISSUE_4 if managed.get("issue", 5) < 5 else aos.PRIMARY_HEADER
    end = check_at = size - 2 * _has_error_control(walk)
    values = walk.header(
        layout,
        0,
        {
            "transfer_frame_version_number": lambda value: "AOS" if value == aos.VERSION_NUMBER else "no AOS frame",
            "virtual_channel_id": lambda value: "only idle data" if value == 63 else "",
            "replay_flag": _flag("replayed", "real time"),
            "spacecraft_id_most_significant": lambda value: f"spacecraft id {value << 8 | _lower_spacecraft_id(walk)}",
            "virtual_channel_frame_count_usage_flag": _flag("the cycle extends the count", "the cycle says nothing"),
        },
    )
    begin = layout.octets
    if managed.get("frame_header_error_control_present"):
        name, clause = "frame_header_error_control", f"{aos.DOCUMENT} §4.1.2.6"
        expected = header_error_control(walk.octets[:begin]) if size >= begin else -1
        found = int.from_bytes(walk.octets[begin : begin + 2], "big")
        meaning = "valid" if expected == found else f"WRONG, {expected:#06x} expected"
        walk.field(aos.UNIT, name, begin, begin + 2, meaning, clause, number=True)
        begin += 2
    zone = begin + managed.get("insert_zone_octets", 0)
    walk.field(aos.UNIT, "insert_zone", begin, zone, "", f"{aos.DOCUMENT} §4.1.3")
    if managed.get("operational_control_field_present"):
        end -= control.OCTETS
    walk.field(aos.UNIT, "transfer_frame_data_field", zone, end, "", f"{aos.DOCUMENT} §4.1.4")
    if values.get("virtual_channel_id") != aos.ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID:
        _walk_data_unit(walk, str(managed.get("data_field", "m-pdu")), zone, end)
    if managed.get("operational_control_field_present") and end >= zone:
        _walk_control_field(walk, end)
    if begin <= check_at < size:
        _walk_error_control(walk, check_at, aos.UNIT, aos.DOCUMENT)


def _lower_spacecraft_id(walk: _Walk) -> int:
    name = "spacecraft_id_least_significant"
    return next(field.value or 0 for field in walk.fields if field.name == name)


def _walk_data_unit(walk: _Walk, kind: str, begin: int, end: int) -> None:
    """What an AOS data field holds: M_PDU, B_PDU, or octets that are nobody's business."""
    inside = _Walk(walk.octets[: max(end, 0)], walk.managed)
    if kind == "m-pdu":
        early = walk.managed.get("issue", 5) < 5
        header = aos_data_field.M_PDU_HEADER_ISSUE_4 if early else aos_data_field.M_PDU_HEADER
        bits = header["first_header_pointer"].bits
        values = inside.header(header, begin, {"first_header_pointer": _pointer(bits)})
        pointer = values.get("first_header_pointer", aos_data_field.NO_PACKET_START)
        begin += header.octets
        if not early and pointer in (tm.NO_PACKET_START, tm.ONLY_IDLE_DATA) and begin + pointer >= end:
            walk.notes.append(f"up to issue 4 of CCSDS 732.0-B, pointer {pointer} means: {_pointer(11)(pointer)}")
        inside.field("M_PDU", "packet_zone", begin, end, "", f"{aos.DOCUMENT} §4.1.4.2.3")
        if pointer < (1 << bits) - 2:
            _walk_packets(inside, begin + pointer, end)
    elif kind == "b-pdu":
        inside.header(aos_data_field.B_PDU_HEADER, begin, {"bitstream_data_pointer": _bit_pointer})
        begin += aos_data_field.B_PDU_HEADER.octets
        inside.field("B_PDU", "bitstream_data_zone", begin, end, "", f"{aos.DOCUMENT} §4.1.4.3.4")
    walk.fields += inside.fields
    walk.notes += inside.notes


def _bit_pointer(value: int) -> str:
    if value == aos_data_field.NO_IDLE_DATA:
        return "all user data"
    return "no user data" if value == aos_data_field.ONLY_IDLE_BITS else f"user data up to bit {value}"


_TM_MANAGED = ("frame_error_control_present", "secondary_header_octets")
_AOS_MANAGED = (
    "frame_error_control_present",
    "frame_header_error_control_present",
    "operational_control_field_present",
    "insert_zone_octets",
    "issue",
)
UNITS: Final[Mapping[str, UnitKind]] = {
    kind.name: kind
    for kind in (
        UnitKind("space-packet", SpacePacket, "Space Packet, CCSDS 133.0-B-2", _walk_space_packet),
        UnitKind(
            "encapsulation-packet",
            EncapsulationPacket,
            "Encapsulation Packet, CCSDS 133.1-B-3",
            _walk_encapsulation_packet,
        ),
        UnitKind("tm-transfer-frame", TmTransferFrame, "TM Transfer Frame, CCSDS 132.0-B-3", _walk_tm, _TM_MANAGED),
        UnitKind(
            "aos-transfer-frame", AosTransferFrame, "AOS Transfer Frame, CCSDS 732.0-B-5", _walk_aos, _AOS_MANAGED
        ),
        UnitKind(
            "m-pdu",
            MultiplexingProtocolDataUnit,
            "Multiplexing Protocol Data Unit, CCSDS 732.0-B-5",
            lambda walk: _walk_data_unit(walk, "m-pdu", 0, len(walk.octets)),
            ("issue",),
        ),
        UnitKind(
            "b-pdu",
            BitstreamProtocolDataUnit,
            "Bitstream Protocol Data Unit, CCSDS 732.0-B-5",
            lambda walk: _walk_data_unit(walk, "b-pdu", 0, len(walk.octets)),
        ),
        UnitKind("clcw", Clcw, "Communications Link Control Word, CCSDS 232.0-B-4", _walk_control_field),
        UnitKind(
            "type-2-report", Type2Report, "Operational Control Field of type 2, CCSDS 132.0-B-3", _walk_control_field
        ),
    )
}


def unit_kind(name: str) -> UnitKind:
    """The unit of that name.  Raises ValueError with the nearest names."""
    kind = UNITS.get(name.lower().replace("_", "-"))
    if kind is None:
        near = difflib.get_close_matches(name.lower(), UNITS, n=3, cutoff=0.4)
        raise ValueError(f"no unit {name!r}; nearest: {', '.join(near or UNITS)}")
    return kind


def guess_unit(octets: Octets) -> str:
    """The unit that these octets most likely are, by length fields, version numbers and error control."""
    whole = bytes(octets)
    for name in ("space-packet", "encapsulation-packet"):
        if _decode(UNITS[name], whole, {})[0] is not None:
            return name
    if len(whole) == control.OCTETS:
        for name in ("clcw", "type-2-report"):
            if _decode(UNITS[name], whole, {})[0] is not None:
                return name
    version = whole[0] >> 6 if whole else 0
    if version == aos.VERSION_NUMBER:
        return "aos-transfer-frame"
    if version == 0 and len(whole) > 8:
        status = tm.PRIMARY_HEADER.unpack(whole)
        pointer = status["first_header_pointer"]
        orderly = status["segment_length_id"] == 3 and not status["packet_order_flag"]
        reachable = pointer >= tm.ONLY_IDLE_DATA or pointer < len(whole)
        if frame_error_control(whole) == 0 or (orderly and reachable):
            return "tm-transfer-frame"
    return "encapsulation-packet" if version == 3 else "space-packet"


def _decode(kind: UnitKind, octets: bytes, managed: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The unit, damaged if it must be, or None; and what is wrong with it."""
    keywords = {name: managed[name] for name in kind.managed if managed.get(name) is not None}
    problems: list[str] = []
    try:
        return kind.cls.decode(octets, **keywords), problems
    except DecodeError as error:
        problems.append(str(error))
    if "frame_error_control_present" not in kind.managed:
        return None, problems
    try:
        return kind.cls.decode(octets, **keywords, check=False), problems
    except DecodeError as error:
        if str(error) not in problems:
            problems.append(str(error))
        return None, problems


def dissect(octets: Octets, unit: str | None = None, **managed: Any) -> Dissection:
    """Take octets for a unit and show each field of it, as far as there are octets.

    Args:   unit: a name of UNITS; None guesses.
            managed: what `decode` of the unit takes, each with its default there.  Besides:
            frame_error_control_present None guesses; data_field "m-pdu", "b-pdu" or "octets" (AOS);
            packets True goes into the packets that start in a zone.
    Raises: ValueError: an unknown unit, or managed parameters that cannot be.  Octets never raise.
    """
    whole = bytes(octets)
    notes = []
    if unit is None:
        unit = guess_unit(whole)
        notes.append(f"unit guessed: {unit}")
    kind = unit_kind(unit)
    _check_managed(managed)
    walk = _Walk(whole, managed)
    kind.walk(walk)
    settled = dict(managed)
    if "frame_error_control_present" in kind.managed and settled.get("frame_error_control_present") is None:
        settled["frame_error_control_present"] = any(field.name == "frame_error_control_field" for field in walk.fields)
    decoded, problems = _decode(kind, whole, settled)
    covered = max((field.bit_offset + field.bits for field in walk.fields), default=0) // 8
    if covered < len(whole):
        walk.field(kind.name, "octets_after_the_unit", covered, len(whole), f"{len(whole) - covered} octets", "")
    fields = tuple(sorted(walk.fields, key=lambda field: (field.bit_offset, -field.bits)))
    return Dissection(kind.name, whole, fields, _values(decoded), tuple(problems), (*notes, *walk.notes))


def _check_managed(managed: Mapping[str, Any]) -> None:
    known = {*_TM_MANAGED, *_AOS_MANAGED, "data_field", "packets"}
    for name, value in managed.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
            raise ValueError(f"no managed parameter {name!r}; nearest: {', '.join(near or sorted(known))}")
        if name.endswith("_octets") and value is not None and value < 0:
            raise ValueError(f"{name} is {value}, not 0 or more")
    if managed.get("issue", 5) not in (1, 2, 3, 4, 5):
        raise ValueError(f"issue of CCSDS 732.0-B is 1 to 5, not {managed['issue']}")
    if managed.get("data_field", "m-pdu") not in ("m-pdu", "b-pdu", "octets"):
        raise ValueError(f"data_field is m-pdu, b-pdu or octets, not {managed['data_field']!r}")


def _values(unit: Any) -> dict[str, Any] | None:
    if unit is None:
        return None
    values = {name: getattr(unit, name) for name in unit.__struct_fields__}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
