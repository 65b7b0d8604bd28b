"""Dissection: every bit shown once, values as the codec has them, no octets that raise."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.frames.tc import SetVr, Unlock
from ccsds.interop.dissection import UNITS, Dissection, dissect, guess_unit
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing import load_vectors, strategies

DRAWN: dict[str, st.SearchStrategy[Any]] = {
    "space-packet": strategies.space_packets(),
    "encapsulation-packet": strategies.encapsulation_packets(),
    "tm-transfer-frame": strategies.tm_transfer_frames(),
    "aos-transfer-frame": strategies.aos_transfer_frames(),
    "m-pdu": strategies.multiplexing_protocol_data_units(),
    "b-pdu": strategies.bitstream_protocol_data_units(),
    "clcw": strategies.clcws(),
    "type-2-report": strategies.type_2_reports(),
    "tc-transfer-frame": strategies.tc_transfer_frames(),
    "unlock": st.builds(Unlock),
    "set-v-r": st.builds(SetVr, receiver_frame_sequence_number=st.integers(0, 255)),
    "uslp-transfer-frame": strategies.uslp_transfer_frames(),
    "uslp-transfer-frame-data-field": strategies.uslp_transfer_frame_data_fields(),
    "pus-telecommand": strategies.pus_telecommands(),
    "pus-telemetry": strategies.pus_telemetry(),
    "ip-over-ccsds": strategies.internet_protocol_extensions(),
    "cuc-time": strategies.cuc_times(),
    "cds-time": strategies.cds_times(),
    "ccs-time": strategies.ccs_times(),
    "ascii-time": strategies.ascii_times(),
    "cltu": strategies.cltus(),
}
MANAGED = st.fixed_dictionaries(
    {},
    optional={
        "frame_error_control_present": st.none() | st.booleans(),
        "frame_header_error_control_present": st.booleans(),
        "operational_control_field_present": st.booleans(),
        "insert_zone_octets": st.integers(0, 9),
        "secondary_header_octets": st.none() | st.integers(0, 70),
        "issue": st.integers(1, 5),
        "data_field": st.sampled_from(["m-pdu", "b-pdu", "octets"]),
        "packets": st.booleans(),
        "segment_header_present": st.none() | st.booleans(),
        "frame_error_control_octets": st.sampled_from([None, 2, 4]),
        "randomized": st.none() | st.booleans(),
        "packet_error_control": st.sampled_from([0, 1, 2]),
        "time_octets": st.none() | st.integers(0, 9),
        "spare_octets": st.integers(0, 3),
    },
)


def outermost(found: Dissection) -> list[tuple[int, int]]:
    """Where the fields lie that are not inside another one."""
    spans: list[tuple[int, int]] = []
    for field in found.fields:
        if not spans or field.bit_offset >= spans[-1][1]:
            spans.append((field.bit_offset, field.bit_offset + field.bits))
    return spans


def test_every_unit_has_a_strategy() -> None:
    assert set(DRAWN) == set(UNITS)


@pytest.mark.parametrize("name", UNITS)
@given(data=st.data())
def test_fields_cover_the_unit_and_hold_what_the_codec_holds(name: str, data: st.DataObject) -> None:
    unit = data.draw(DRAWN[name])
    octets = unit.encode()
    managed = getattr(unit, "managed_parameters", {})
    found = dissect(octets, name, data_field="octets", **managed)
    assert found.problems == ()
    spans = outermost(found)
    assert spans[0][0] == 0 and spans[-1][1] == 8 * len(octets)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    whole = f"{int.from_bytes(octets, 'big'):0{8 * len(octets)}b}"
    for field in found.fields:
        bits = whole[field.bit_offset : field.bit_offset + field.bits]
        if field.value is None:
            assert int(bits, 2) == int.from_bytes(field.octets, "big") and field.bits == 8 * len(field.octets)
        else:
            assert (field.value, field.bit_string) == (int(bits, 2), bits)
        assert "§" in field.clause
    seen = {field.name: field for field in reversed(found.fields)}  # a control field repeats names: the first counts
    for attribute in set(seen) & set(unit.__struct_fields__):
        value = getattr(unit, attribute)
        if name == "ccs-time" and attribute != "subsecond_octets":
            assert int(seen[attribute].meaning) == value  # decimal digits, not a binary number
            continue
        assert (seen[attribute].octets if isinstance(value, bytes) else seen[attribute].value) == value
    rebuilt = {
        n: bytes.fromhex(v) if isinstance(getattr(unit, n), bytes) else v for n, v in (found.values or {}).items()
    }
    assert type(unit)(**rebuilt) == unit
    json.dumps(found.as_json())


@given(data=st.data(), managed=MANAGED, name=st.none() | st.sampled_from(sorted(UNITS)))
def test_no_octets_raise(data: st.DataObject, managed: dict[str, Any], name: str | None) -> None:
    some = st.sampled_from(sorted(DRAWN)).flatmap(lambda unit: DRAWN[unit]).map(lambda unit: unit.encode())
    octets = bytearray(data.draw(st.binary(max_size=60) | some))
    for _ in range(data.draw(st.integers(0, 3)) if octets else 0):
        octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(0, 255))
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    found = dissect(cut, name, **managed)
    assert found.octets == cut
    assert all(field.bit_offset >= 0 and field.bit_offset + field.bits <= 8 * len(cut) for field in found.fields)
    if found.values is None:
        assert found.problems
    assert str(found).startswith(found.unit)
    json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("file", "kind", "name"),
    [
        ("133.1-B-3/encapsulation_packet.toml", "packet", "encapsulation-packet"),
        ("132.0-B-3/tm_transfer_frame.toml", "frame", "tm-transfer-frame"),
        ("732.0-B-5/aos_transfer_frame.toml", "frame", "aos-transfer-frame"),
        ("232.0-B-4/clcw.toml", "clcw", "clcw"),
        ("232.0-B-4/tc_transfer_frame.toml", "frame", "tc-transfer-frame"),
        ("732.1-B-3/uslp_transfer_frame.toml", "frame", "uslp-transfer-frame"),
        ("231.0-B-4/cltu.toml", "cltu", "cltu"),
    ],
)
def test_published_units_are_guessed(file: str, kind: str, name: str) -> None:
    for case in load_vectors(file):
        if case["kind"] == kind:
            assert guess_unit(bytes.fromhex(case.get("octets") or case[kind])) == name, case["id"]


@given(strategies.space_packets())
def test_space_packets_are_guessed(packet: SpacePacket) -> None:
    assert guess_unit(packet.encode()) == "space-packet"


def test_a_wrong_error_control_field_is_shown_with_the_right_one() -> None:
    octets = bytes.fromhex("6aea00010243deadbeef9e2d")
    found = dissect(octets, "aos-transfer-frame", frame_error_control_present=True)
    assert found.fields[-1].name == "frame_error_control_field"
    assert found.fields[-1].meaning == "WRONG, 0x9e2c expected"
    assert any("does not verify" in problem for problem in found.problems)
    assert found.values is not None and found.values["received_frame_error_control_field"] == 0x9E2D


def test_packets_inside_a_frame() -> None:
    inner = SpacePacket(application_process_id=5, packet_data_field=b"hi").encode()
    octets = bytes.fromhex("003e00001800") + inner + b"\xe0" + inner[:3]
    found = dissect(octets, "tm-transfer-frame", frame_error_control_present=False, packets=True)
    apids = [(field.bit_offset, field.value) for field in found.fields if field.name == "application_process_id"]
    assert apids == [(48 + 5, 5), (48 + 72 + 5, 5)]
    assert any("goes on in the next frame" in note for note in found.notes)
    assert [field.bit_offset for field in found.fields if field.name == "length_of_length"] == [48 + 64 + 6]


def test_what_a_caller_gets_wrong_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="nearest: space-packet"):
        dissect(b"", "space-pakcet")
    with pytest.raises(ValueError, match="nearest: insert_zone_octets"):
        dissect(b"", "clcw", insert_zone_octet=1)
    with pytest.raises(ValueError, match="packet_error_control is one of 0, 1, 2, not 7"):
        dissect(b"", "pus-telecommand", packet_error_control=7)
    with pytest.raises(ValueError, match="p_field 57"):
        dissect(bytes(8), "ccs-time", p_field=b"\x57")
    with pytest.raises(ValueError, match="issue"):
        dissect(b"", "clcw", issue=9)
    with pytest.raises(ValueError, match="data_field"):
        dissect(b"", "clcw", data_field="vca")
    with pytest.raises(ValueError, match="insert_zone_octets is -1"):
        dissect(b"", "clcw", insert_zone_octets=-1)


def meanings(text: str, unit: str, **managed: Any) -> dict[str, str]:
    return {field.name: field.meaning for field in dissect(bytes.fromhex(text), unit, **managed).fields}


def test_a_tc_frame_with_a_control_command() -> None:
    found = dissect(bytes.fromhex("300300090082000af36c55"), "tc-transfer-frame")
    shown = {field.name: field.meaning for field in found.fields}
    assert shown["set_v_r_command"] == "Set V(R)" and shown["frame_error_control_field"] == "valid"
    assert shown["octets_after_the_unit"] == "1 octets" and "segment" not in str(found.notes)
    assert found.problems and "1 octets follow the frame" in found.problems[0]


def test_a_tc_frame_with_segment_header_and_a_packet() -> None:
    inner = SpacePacket(application_process_id=5, packet_data_field=b"hi").encode().hex()
    text = f"0003000e00c2{inner}"
    assert "map_id" not in meanings(text, "tc-transfer-frame")
    shown = meanings(text, "tc-transfer-frame", segment_header_present=True, packets=True)
    assert shown["sequence_flags"] == "unsegmented" and "map_id" in shown and "application_process_id" in shown
    assert any("no segment header" in note for note in dissect(bytes.fromhex(text), "tc-transfer-frame").notes)


def test_uslp_frames_whole_and_truncated() -> None:
    text = "c04d2d4a0011020102000000deadbeef0e51"
    shown = meanings(text, "uslp-transfer-frame")
    assert shown["construction_rule"] == "packets spanning frames" and shown["frame_error_control_field"] == "valid"
    shown = meanings(text, "uslp-transfer-frame", frame_error_control_present=True, frame_error_control_octets=4)
    assert shown["frame_error_control_field"].startswith("WRONG")
    shown = meanings("c00ab025e5112233", "uslp-transfer-frame", insert_zone_octets=4)
    assert shown["end_of_frame_primary_header_flag"] == "truncated frame" and "insert_zone" not in shown


def test_times_and_pus_packets_say_what_they_mean() -> None:
    found = dissect(bytes.fromhex("0923c234000f20110200000000400102030405067281"), "pus-telemetry")
    assert any("7 octets, CDS time code" in note for note in found.notes)
    shown = {field.name: field.meaning for field in found.fields}
    assert shown["packet_error_control_field"] == "WRONG, 0x7280 expected" and "time" in shown
    assert meanings("1802c03400062f11010000ee63", "pus-telecommand")["acknowledgement_flags"].endswith("completion")
    assert meanings("52198801181720431234", "ccs-time")["year"] == "1988"
    assert meanings("1e4effa2200000", "cuc-time")["time_code_id"] == "CUC since 1958-01-01 TAI"
    assert meanings("e91721", "ip-over-ccsds") != meanings("21450000", "ip-over-ccsds")
    assert meanings("21450000", "ip-over-ccsds")["protocol_data_unit"] == "ipv4 datagram"
