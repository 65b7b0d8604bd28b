"""Dissection of transfer frames, of what they carry, and of control fields."""

from __future__ import annotations

from typing import Any, Final

from ccsds.frames import aos, aos_data_field, tc, tm, uslp, uslp_data_field
from ccsds.frames import operational_control_field as control
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import BitstreamProtocolDataUnit, MultiplexingProtocolDataUnit
from ccsds.frames.error_control import CRC_16, CRC_32, CyclicCode, frame_error_control, header_error_control
from ccsds.frames.operational_control_field import Clcw, Type2Report
from ccsds.frames.tc import SegmentSequenceFlags, SetVr, TcTransferFrame, Unlock
from ccsds.frames.tm import TmTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import USLP_PROTOCOL_IDS, ConstructionRule, UslpTransferFrameDataField
from ccsds.interop.dissection_packets import walk_packets
from ccsds.interop.dissection_walk import UnitKind, Walk, flag, pointer_meaning

__all__ = ["KINDS"]


def _walk_control_field(walk: Walk, at: int = 0) -> None:
    if at < len(walk.octets) and walk.octets[at] & 0x80:
        meaning = "type 2, reserved by CCSDS" if walk.octets[at] & 0x40 else "type 2, project-specific"
        walk.field("type-2 report", "report", at, at + control.OCTETS, meaning, "CCSDS 132.0-B-3 §4.1.5")
        return
    walk.header(
        control.CLCW,
        at,
        {
            "control_word_type": flag("type-2 report", "CLCW"),
            "cop_in_effect": lambda value: {0: "no COP", 1: "COP-1"}.get(value, "reserved"),
            "no_rf_available_flag": flag("no RF available", "RF available"),
            "no_bit_lock_flag": flag("no bit lock", "bit lock"),
            "lockout_flag": flag("lockout", "no lockout"),
            "wait_flag": flag("wait", "no wait"),
            "retransmit_flag": flag("retransmit", "no retransmission"),
            "report_value": lambda value: f"next frame expected: {value}",
        },
    )


def _walk_error_control(walk: Walk, at: int, unit: str, clause: str, code: CyclicCode = CRC_16) -> None:
    computed = frame_error_control(walk.octets[:at], code)
    end = at + code.octets
    right = end == len(walk.octets) and computed == int.from_bytes(walk.octets[at:], "big")
    meaning = "valid" if right else f"WRONG, {computed:#0{2 + 2 * code.octets}x} expected"
    walk.field(unit, "frame_error_control_field", at, end, meaning, clause, number=True)


def _has_error_control(walk: Walk, least: int = 9, code: CyclicCode = CRC_16) -> bool:
    """Whether a frame ends in an error control field; found out where nobody said it, for `least` octets and more."""
    present = walk.managed.get("frame_error_control_present")
    if present is None:
        present = len(walk.octets) >= least and frame_error_control(walk.octets, code) == 0
        found = (
            "verifies, so the frame ends in one" if present else "does not verify, so the frame is taken to have none"
        )
        walk.notes.append(f"frame error control field guessed: the remainder {found}")
    return bool(present)


def _walk_tm(walk: Walk) -> None:
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
            "operational_control_field_flag": flag("operational control field", "no operational control field"),
            "secondary_header_flag": flag("secondary header", "no secondary header"),
            "synchronization_flag": flag("VCA data, the pointer says nothing", "packets"),
            "first_header_pointer": (lambda value: "") if synchronous else pointer_meaning(11),
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
        walk_packets(walk, begin + pointer, end)
    if values.get("operational_control_field_flag") and end >= begin:
        _walk_control_field(walk, end)
    if begin <= check_at < size:
        _walk_error_control(walk, check_at, tm.UNIT, f"{tm.DOCUMENT} §4.1.6")


def _walk_aos(walk: Walk) -> None:
    managed, size = walk.managed, len(walk.octets)
    layout = aos.PRIMARY_HEADER_ISSUE_4 if managed.get("issue", 5) < 5 else aos.PRIMARY_HEADER
    end = check_at = size - 2 * _has_error_control(walk)
    values = walk.header(
        layout,
        0,
        {
            "transfer_frame_version_number": lambda value: "AOS" if value == aos.VERSION_NUMBER else "no AOS frame",
            "virtual_channel_id": lambda value: "only idle data" if value == 63 else "",
            "replay_flag": flag("replayed", "real time"),
            "spacecraft_id_most_significant": lambda value: f"spacecraft id {value << 8 | _lower_spacecraft_id(walk)}",
            "virtual_channel_frame_count_usage_flag": flag("the cycle extends the count", "the cycle says nothing"),
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
        _walk_error_control(walk, check_at, aos.UNIT, f"{aos.DOCUMENT} §4.1.6")


def _lower_spacecraft_id(walk: Walk) -> int:
    name = "spacecraft_id_least_significant"
    return next(field.value or 0 for field in walk.fields if field.name == name)


def _walk_data_unit(walk: Walk, kind: str, begin: int, end: int) -> None:
    """What an AOS data field holds: M_PDU, B_PDU, or octets that are nobody's business."""
    inside = Walk(walk.octets[: max(end, 0)], walk.managed)
    if kind == "m-pdu":
        early = walk.managed.get("issue", 5) < 5
        header = aos_data_field.M_PDU_HEADER_ISSUE_4 if early else aos_data_field.M_PDU_HEADER
        bits = header["first_header_pointer"].bits
        values = inside.header(header, begin, {"first_header_pointer": pointer_meaning(bits)})
        pointer = values.get("first_header_pointer", aos_data_field.NO_PACKET_START)
        begin += header.octets
        if not early and pointer in (tm.NO_PACKET_START, tm.ONLY_IDLE_DATA) and begin + pointer >= end:
            walk.notes.append(
                f"up to issue 4 of CCSDS 732.0-B, pointer {pointer} means: {pointer_meaning(11)(pointer)}"
            )
        inside.field("M_PDU", "packet_zone", begin, end, "", f"{aos.DOCUMENT} §4.1.4.2.3")
        if pointer < (1 << bits) - 2:
            walk_packets(inside, begin + pointer, end)
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
_CODES = {code.octets: code for code in (CRC_16, CRC_32)}
_TC_MANAGED = ("segment_header_present", "frame_error_control_present")
_USLP_MANAGED = ("frame_error_control_present", "frame_error_control_octets", "insert_zone_octets")


def _walk_control_command(walk: Walk, at: int = 0) -> None:
    layout = tc.UNLOCK if len(walk.octets) - at < tc.SET_V_R.octets else tc.SET_V_R
    walk.header(
        layout,
        at,
        {
            "unlock_command": lambda value: "Unlock" if value == tc.UNLOCK_COMMAND else "no control command",
            "set_v_r_command": lambda value: "Set V(R)" if value == tc.SET_V_R_COMMAND else "no control command",
        },
    )


def _settle_tc(octets: bytes, managed: dict[str, Any]) -> list[str]:
    if managed.get("segment_header_present") is not None:
        return []
    managed["segment_header_present"] = False
    is_control = bool(octets) and octets[0] & 0x10
    return [] if is_control else ["taken to have no segment header: nobody said whether it has one"]


def _walk_tc(walk: Walk) -> None:
    header = tc.PRIMARY_HEADER
    values = walk.header(
        header,
        0,
        {
            "transfer_frame_version_number": lambda value: "TC" if value == 0 else "no TC frame",
            "bypass_flag": flag("type B, expedited", "type A, sequence-controlled"),
            "control_command_flag": flag("type C, a control command", "type D, data"),
            "frame_length": lambda value: f"{value + 1} octets in the frame",
        },
    )
    whole = min(values.get("frame_length", len(walk.octets)) + 1, len(walk.octets))
    inside = Walk(walk.octets[:whole], walk.managed)
    begin, end = header.octets, whole - 2 * _has_error_control(inside, least=8)
    if walk.managed.get("segment_header_present") and not values.get("control_command_flag"):
        meanings = {"sequence_flags": lambda value: SegmentSequenceFlags(value).name.lower()}
        inside.header(tc.SEGMENT_HEADER, begin, meanings)
        begin += tc.SEGMENT_HEADER.octets
    inside.field(tc.UNIT, "transfer_frame_data_unit", begin, end, "", f"{tc.DOCUMENT} §4.1.3")
    if values.get("control_command_flag"):
        command = Walk(walk.octets[: max(end, 0)], walk.managed)
        _walk_control_command(command, begin)
        inside.fields += command.fields
    elif walk.managed.get("packets"):
        walk_packets(inside, begin, end)
    if begin <= end < whole:
        _walk_error_control(inside, end, tc.UNIT, f"{tc.DOCUMENT} §4.1.4")
    walk.fields += inside.fields
    walk.notes += inside.notes


def _walk_uslp(walk: Walk) -> None:
    managed = walk.managed
    truncated = len(walk.octets) > 3 and walk.octets[3] & 1
    count_octets = walk.octets[6] & 7 if len(walk.octets) > 6 else 0
    header = uslp.TRUNCATED_PRIMARY_HEADER if truncated else uslp.PRIMARY_HEADERS[count_octets]
    values = walk.header(
        header,
        0,
        {
            "transfer_frame_version_number": lambda value: "USLP" if value == uslp.VERSION_NUMBER else "no USLP frame",
            "source_or_destination_id": flag("the spacecraft is the destination", "the spacecraft is the source"),
            "virtual_channel_id": lambda value: "only idle data" if value == 63 else "",
            "end_of_frame_primary_header_flag": flag("truncated frame", "the header goes on"),
            "frame_length": lambda value: f"{value + 1} octets in the frame",
            "bypass_sequence_control_flag": flag("expedited", "sequence-controlled"),
            "protocol_control_command_flag": flag("protocol control", "user data"),
            "operational_control_field_flag": flag("operational control field", "no operational control field"),
            "virtual_channel_frame_count_length": lambda value: f"{value} octets of frame count",
        },
    )
    begin, end = header.octets, len(walk.octets)
    if truncated:
        _walk_uslp_data_field(walk, begin, end)
        return
    whole = min(values.get("frame_length", end) + 1, end)
    inside = Walk(walk.octets[:whole], managed)
    size = managed.get("frame_error_control_octets") or CRC_16.octets
    check_at = whole - size * _has_error_control(inside, least=11, code=_CODES.get(size, CRC_16))
    zone = begin + managed.get("insert_zone_octets", 0)
    inside.field(uslp.UNIT, "insert_zone", begin, min(zone, check_at), "", f"{uslp.DOCUMENT} §4.1.3")
    end = check_at - control.OCTETS * values.get("operational_control_field_flag", 0)
    _walk_uslp_data_field(inside, zone, end)
    if values.get("operational_control_field_flag") and end >= zone:
        _walk_control_field(inside, end)
    if begin <= check_at < whole:
        _walk_error_control(inside, check_at, uslp.UNIT, f"{uslp.DOCUMENT} §4.1.6", _CODES.get(size, CRC_16))
    walk.fields += inside.fields
    walk.notes += inside.notes


def _walk_uslp_data_field(walk: Walk, begin: int, end: int) -> None:
    """The data field, and inside it its header and the packets of its zone."""
    walk.field(uslp.UNIT, "transfer_frame_data_field", begin, end, "", f"{uslp.DOCUMENT} §4.1.4")
    if walk.managed.get("data_field") != "octets":
        inside = Walk(walk.octets[: max(end, 0)], walk.managed)
        _walk_uslp_zone(inside, begin)
        walk.fields += inside.fields
        walk.notes += inside.notes


def _walk_uslp_zone(walk: Walk, at: int = 0) -> None:
    rule = ConstructionRule(walk.octets[at] >> 5) if at < len(walk.octets) else ConstructionRule.NO_SEGMENTATION
    has_pointer = rule <= ConstructionRule.CONTINUING_ACCESS_UNIT
    layout = uslp_data_field.DATA_FIELD_HEADER_WITH_POINTER if has_pointer else uslp_data_field.DATA_FIELD_HEADER
    values = walk.header(
        layout,
        at,
        {
            "construction_rule": lambda value: ConstructionRule(value).name.lower().replace("_", " "),
            "uslp_protocol_id": _uslp_protocol,
            "first_header_or_last_valid_octet_pointer": lambda value: _uslp_pointer(rule, value),
        },
    )
    begin, end = at + layout.octets, len(walk.octets)
    walk.field(uslp_data_field.UNIT, "transfer_frame_data_zone", begin, end, "", f"{uslp.DOCUMENT} §4.1.4")
    pointer = values.get("first_header_or_last_valid_octet_pointer", 0)
    holds_packets = rule in (ConstructionRule.PACKETS_SPANNING_FRAMES, ConstructionRule.NO_SEGMENTATION)
    if holds_packets and values.get("uslp_protocol_id") == 0 and pointer != uslp_data_field.POINTER_ALL_ONES:
        walk_packets(walk, begin + pointer, end)


def _uslp_protocol(value: int) -> str:
    return (USLP_PROTOCOL_IDS.name_of(value) or "not assigned").lower().replace("_", " ")


def _uslp_pointer(rule: ConstructionRule, value: int) -> str:
    all_ones = value == uslp_data_field.POINTER_ALL_ONES
    if rule == ConstructionRule.PACKETS_SPANNING_FRAMES:
        return "no packet starts here" if all_ones else f"the first packet starts at octet {value} of the zone"
    return "the unit goes on" if all_ones else f"the last octet of the unit is octet {value} of the zone"


KINDS: Final = (
    UnitKind("tm-transfer-frame", TmTransferFrame, "TM Transfer Frame, CCSDS 132.0-B-3", _walk_tm, _TM_MANAGED),
    UnitKind("aos-transfer-frame", AosTransferFrame, "AOS Transfer Frame, CCSDS 732.0-B-5", _walk_aos, _AOS_MANAGED),
    UnitKind(
        "tc-transfer-frame", TcTransferFrame, "TC Transfer Frame, CCSDS 232.0-B-4", _walk_tc, _TC_MANAGED, _settle_tc
    ),
    UnitKind(
        "uslp-transfer-frame", UslpTransferFrame, "USLP Transfer Frame, CCSDS 732.1-B-3", _walk_uslp, _USLP_MANAGED
    ),
    UnitKind(
        "uslp-transfer-frame-data-field",
        UslpTransferFrameDataField,
        "USLP Transfer Frame Data Field, CCSDS 732.1-B-3",
        _walk_uslp_zone,
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
    UnitKind("type-2-report", Type2Report, "Operational Control Field of type 2, CCSDS 132.0-B-3", _walk_control_field),
    UnitKind("unlock", Unlock, "TC control command Unlock, CCSDS 232.0-B-4", _walk_control_command),
    UnitKind("set-v-r", SetVr, "TC control command Set V(R), CCSDS 232.0-B-4", _walk_control_command),
)
