"""USLP transfer frames: published octets, the other implementation, truncated frames, data fields."""

from __future__ import annotations

import binascii
import itertools
from typing import Any

import pytest
import spacepackets.uslp.frame as other
import spacepackets.uslp.header as other_header
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, ProtocolError, TruncatedError
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.operational_control_field import Clcw
from ccsds.frames.tc import SegmentSequenceFlags
from ccsds.frames.uslp import PRIMARY_HEADERS, UslpTransferFrame
from ccsds.frames.uslp_data_field import (
    POINTER_ALL_ONES,
    USLP_PROTOCOL_IDS,
    ConstructionRule,
    UslpTransferFrameDataField,
)
from ccsds.procedures.packet_extraction import ExtractionParameters, PacketExtractor
from ccsds.testing import load_vectors
from ccsds.testing.strategies import space_packets, uslp_transfer_frame_data_fields, uslp_transfer_frames

CASES = load_vectors("732.1-B-3/uslp_transfer_frame.toml")
FRAME: dict[str, Any] = {"spacecraft_id": 3, "virtual_channel_id": 1, "transfer_frame_data_field": b"\xe0data"}
FIELD: dict[str, Any] = {
    "construction_rule": ConstructionRule.NO_SEGMENTATION,
    "uslp_protocol_id": 0,
    "transfer_frame_data_zone": b"data",
}


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2", "primary header, from published octets")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4", "transfer frame data field header")
@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "frame"], ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    frame = UslpTransferFrame.decode(octets, **case["managed"])
    assert {name: getattr(frame, name) for name in case["fields"]} == case["fields"]
    assert {name: getattr(frame.data_field, name) for name in case["data_field"]} == case["data_field"]
    assert frame.encode() == octets
    assert len(frame) == len(octets)
    if frame.frame_error_control_present:
        size = frame.frame_error_control_octets
        assert frame.fecf == int.from_bytes(octets[-size:], "big")


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.6", "frame error control field of 32 bits of older issues, as an option")
def test_the_32_bit_field_does_not_pass_for_the_other_one() -> None:
    for case in CASES:
        if case["kind"] == "frame" and case["managed"]["frame_error_control_present"]:
            right = case["managed"].get("frame_error_control_octets", 2)
            with pytest.raises(IntegrityError):
                UslpTransferFrame.decode(
                    bytes.fromhex(case["octets"]), **case["managed"] | {"frame_error_control_octets": 6 - right}
                )


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.2.3", "spacecraft identifier of 16 bits")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.3", "source-or-destination identifier")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.4", "virtual channel identifier")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.5", "MAP identifier")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.8.1", "bypass/sequence control flag")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.8.2", "protocol control command flag")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.10", "operational control field flag")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.2", "TFDZ construction rules 000 to 111")
@given(uslp_transfer_frames())
def test_the_other_implementation_reads_the_same(frame: UslpTransferFrame) -> None:
    octets, field = frame.encode(), frame.data_field
    if frame.is_truncated:
        header = other_header.TruncatedPrimaryHeader.unpack(octets)
    else:
        header = other_header.PrimaryHeader.unpack(octets)
        assert (
            header.frame_len,
            int(header.bypass_seq_ctrl_flag),
            int(header.prot_ctrl_cmd_flag),
            header.op_ctrl_flag,
            header.vcf_count_len,
            header.vcf_count or 0,
        ) == (
            frame.frame_length,
            frame.bypass_sequence_control_flag,
            frame.protocol_control_command_flag,
            bool(frame.operational_control_field_flag),
            frame.virtual_channel_frame_count_length,
            frame.virtual_channel_frame_count,
        )
    assert (header.scid, int(header.src_dest), header.vcid, header.map_id) == (
        frame.spacecraft_id,
        frame.source_or_destination_id,
        frame.virtual_channel_id,
        frame.map_id,
    )
    theirs = other.TransferFrameDataField.unpack(
        frame.transfer_frame_data_field, frame.is_truncated, len(frame.transfer_frame_data_field), None
    )
    assert (int(theirs.tfdz_contr_rules), theirs.uslp_ident, theirs.fhp_or_lvop, theirs.tfdz) == (
        field.construction_rule,
        field.uslp_protocol_id,
        field.first_header_or_last_valid_octet_pointer,
        field.transfer_frame_data_zone,
    )


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.3", "insert zone")
@given(uslp_transfer_frames().filter(lambda frame: frame.frame_error_control_octets == 2))
def test_the_other_implementation_reads_whole_frames(frame: UslpTransferFrame) -> None:
    fixed = frame.data_field.is_of_fixed_length
    shared = {
        "has_insert_zone": bool(frame.insert_zone),
        "insert_zone_len": len(frame.insert_zone),
        "has_fecf": frame.frame_error_control_present,
    }
    octets = frame.encode()
    if fixed:
        kind, properties = other.FrameType.FIXED, other.FixedFrameProperties(fixed_len=len(octets), **shared)
    else:
        kind, properties = other.FrameType.VARIABLE, other.VarFrameProperties(truncated_frame_len=len(octets), **shared)
    theirs = other.TransferFrame.unpack(octets, kind, properties)
    assert bytes(theirs.insert_zone or b"") == frame.insert_zone
    assert theirs.op_ctrl_field == frame.operational_control_field
    assert theirs.tfdf.tfdz == frame.data_field.transfer_frame_data_zone


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.6", "frame error control field of 16 bits")
@given(uslp_transfer_frames())
def test_the_16_bit_field_is_the_crc_of_another_library(frame: UslpTransferFrame) -> None:
    octets = frame.encode()
    if frame.frame_error_control_present and frame.frame_error_control_octets == 2:
        assert binascii.crc_hqx(octets[:-2], 0xFFFF) == frame.fecf


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.3", "USLP protocol identifiers")
def test_protocol_ids_are_those_of_the_other_implementation() -> None:
    assert {row.value for row in USLP_PROTOCOL_IDS} == {int(value) for value in other.UslpProtocolIdentifier}
    assert UslpTransferFrameDataField(**FIELD | {"uslp_protocol_id": 9}).protocol_name is None
    assert UslpTransferFrameDataField(**FIELD).protocol_name == "SPACE_PACKETS_OR_ENCAPSULATION_PACKETS"


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.11", "VC frame count length of 0 to 7 octets")
def test_headers_have_a_count_of_0_to_7_octets() -> None:
    assert [header.octets for header in PRIMARY_HEADERS] == list(range(7, 15))
    for octets in range(8):
        most = (1 << 8 * octets) - 1
        frame = UslpTransferFrame(**FRAME, virtual_channel_frame_count_length=octets, virtual_channel_frame_count=most)
        assert frame.encode()[7 : 7 + octets] == b"\xff" * octets
        with pytest.raises(EncodeError, match="count"):
            frame.replace(virtual_channel_frame_count=most + 1)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.6", "end of frame primary header flag")
@pytest.mark.conforms("CCSDS 732.1-B-3", "annex D", "truncated frames")
def test_the_flag_of_a_truncated_frame_is_read_before_what_follows_it() -> None:
    octets = bytes.fromhex("c00ab025e5112233")
    for managed in ({}, {"insert_zone_octets": 4}, {"frame_error_control_octets": 4}):
        frame = UslpTransferFrame.decode(octets, frame_error_control_present=True, **managed)
        assert frame.is_truncated and frame.encode() == octets and frame.frame_length is None
        assert frame.data_field.transfer_frame_data_zone == bytes.fromhex("112233")
    frame, rest = UslpTransferFrame.decode_from(
        octets + b"\x55", frame_error_control_present=True, truncated_transfer_frame_octets=8
    )
    assert (frame.encode(), bytes(rest)) == (octets, b"\x55")
    with pytest.raises(FieldError, match="no length of truncated frames"):
        UslpTransferFrame.decode_from(octets, frame_error_control_present=True)
    with pytest.raises(TruncatedError, match="leaves no data after 4"):
        UslpTransferFrame.decode(octets[:4], frame_error_control_present=False)
    with pytest.raises(FieldError, match="rule 000 is not for truncated frames"):
        _ = UslpTransferFrame.decode(octets[:4] + b"\x05\0\0\0", frame_error_control_present=False).data_field


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.7", "frame length that contradicts the octets refused")
@given(uslp_transfer_frames(), st.integers(0, 65535))
def test_a_length_field_that_lies_is_refused(frame: UslpTransferFrame, length: int) -> None:
    octets = bytearray(frame.encode())
    if frame.is_truncated or length + 1 == len(octets):
        return
    octets[4:6] = length.to_bytes(2, "big")
    with pytest.raises(DecodeError):
        UslpTransferFrame.decode(octets, **frame.managed_parameters)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.1.6", "Only Idle Data frames on virtual channel 63")
@pytest.mark.conforms("CCSDS 732.1-B-3", "annex H", "Only Idle Data sequence of the LFSR")
def test_only_idle_data_frames_go_on_where_the_last_one_ended() -> None:
    fill = OnlyIdleDataFill()
    frames = [
        UslpTransferFrame.only_idle_data(spacecraft_id=3, data_field_octets=octets, fill=fill, insert_zone=b"12")
        for octets in (10, 16)
    ]
    zones = [frame.data_field.valid_octets for frame in frames]
    (case,) = (case for case in CASES if case["kind"] == "fill")
    assert b"".join(zones).hex() == case["first_20_octets"]
    for frame in frames:
        assert frame.is_only_idle_data and frame.data_field.is_only_idle_data and frame.map_id == 0
        assert frame.data_field.construction_rule == ConstructionRule.START_OF_ACCESS_UNIT
    with pytest.raises(EncodeError, match="4 or more"):
        UslpTransferFrame.only_idle_data(spacecraft_id=3, data_field_octets=3, fill=fill)


@pytest.mark.conforms("CCSDS 732.1-B-3", "annex D", "truncated frames without insert zone, OCF, FECF and counts")
@pytest.mark.parametrize(
    "fields",
    [
        {"transfer_frame_version_number": 1},
        {"spacecraft_id": 65536},
        {"virtual_channel_id": 64},
        {"map_id": 16},
        {"virtual_channel_frame_count_length": 8},
        {"virtual_channel_frame_count": 1},
        {"transfer_frame_data_field": b""},
        {"transfer_frame_data_field": bytes(65530)},
        {"operational_control_field": b"123"},
        {"frame_error_control_octets": 3},
        {"received_frame_error_control_field": 1},
        {"received_frame_error_control_field": 65536, "frame_error_control_present": True},
        {"end_of_frame_primary_header_flag": 1, "insert_zone": b"1"},
        {"end_of_frame_primary_header_flag": 1, "operational_control_field": bytes(4)},
        {"end_of_frame_primary_header_flag": 1, "frame_error_control_present": True},
        {"end_of_frame_primary_header_flag": 1, "bypass_sequence_control_flag": 1},
        {"end_of_frame_primary_header_flag": 1, "virtual_channel_frame_count": 1},
    ],
)
def test_frames_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        UslpTransferFrame(**FRAME | fields)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.7", "frame length, up to 65536 octets")
def test_the_longest_frame() -> None:
    frame = UslpTransferFrame(**FRAME | {"transfer_frame_data_field": b"\xe0" + bytes(65528)})
    assert len(frame) == 65536 and frame.frame_length == 65535
    assert UslpTransferFrame.decode(frame.encode(), frame_error_control_present=False) == frame


def test_managed_parameters_that_cannot_be() -> None:
    octets = UslpTransferFrame(**FRAME).encode()
    with pytest.raises(ValueError, match="2 or 4, not 3"):
        UslpTransferFrame.decode(octets, frame_error_control_present=True, frame_error_control_octets=3)
    with pytest.raises(ValueError, match="insert_zone_octets is -1"):
        UslpTransferFrame.decode(octets, frame_error_control_present=True, insert_zone_octets=-1)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.2.2", "transfer frame version number 1100; others refused")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.6", "frame error control field of 16 bits")
def test_another_version_is_refused_and_damage_comes_first() -> None:
    octets = bytearray(UslpTransferFrame(**FRAME, frame_error_control_present=True).encode())
    octets[0] ^= 0x40
    with pytest.raises(FieldError, match="version number 8"):
        UslpTransferFrame.decode(octets, frame_error_control_present=False)
    with pytest.raises(IntegrityError):
        UslpTransferFrame.decode(octets, frame_error_control_present=True)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.5", "operational control field")
def test_the_control_word_reads_through() -> None:
    word = Clcw(virtual_channel_id=1, report_value=9)
    frame = UslpTransferFrame(**FRAME, operational_control_field=word.encode())
    assert frame.control_word == word
    assert UslpTransferFrame(**FRAME).control_word is None


@pytest.mark.conforms(
    "CCSDS 732.1-B-3", "4.1.4.2.4", "pointers that the rule does not have, or beyond the zone, refused"
)
@pytest.mark.parametrize(
    "fields",
    [
        {"construction_rule": 8},
        {"uslp_protocol_id": 32},
        {"transfer_frame_data_zone": b""},
        {"first_header_or_last_valid_octet_pointer": 0},
        {"construction_rule": ConstructionRule.PACKETS_SPANNING_FRAMES},
        {"construction_rule": ConstructionRule.START_OF_ACCESS_UNIT, "first_header_or_last_valid_octet_pointer": 4},
        {"construction_rule": ConstructionRule.START_OF_ACCESS_UNIT, "first_header_or_last_valid_octet_pointer": 65536},
    ],
)
def test_data_fields_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        UslpTransferFrameDataField(**FIELD | fields)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.2", "TFDZ construction rules 000 to 111")
@given(uslp_transfer_frame_data_fields())
def test_which_portion_of_a_unit_a_data_field_holds(field: UslpTransferFrameDataField) -> None:
    rule, pointer = field.construction_rule, field.first_header_or_last_valid_octet_pointer
    if rule in (ConstructionRule.PACKETS_SPANNING_FRAMES, ConstructionRule.OCTET_STREAM):
        with pytest.raises(ProtocolError, match="does not segment"):
            _ = field.portion
        return
    expected = {
        (1, True): SegmentSequenceFlags.FIRST,
        (1, False): SegmentSequenceFlags.UNSEGMENTED,
        (2, True): SegmentSequenceFlags.CONTINUING,
        (2, False): SegmentSequenceFlags.LAST,
        (4, False): SegmentSequenceFlags.FIRST,
        (5, False): SegmentSequenceFlags.CONTINUING,
        (6, False): SegmentSequenceFlags.LAST,
        (7, False): SegmentSequenceFlags.UNSEGMENTED,
    }
    goes_on = pointer == POINTER_ALL_ONES
    zone = field.transfer_frame_data_zone
    assert field.portion == (expected[rule, goes_on], zone if goes_on or pointer is None else zone[: pointer + 1])


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.4", "first header pointer (rule 000)")
@given(st.lists(space_packets(allow_idle=False), min_size=1, max_size=8), st.integers(1, 40))
def test_packets_that_span_frames_are_extracted(packets: list[Any], zone_octets: int) -> None:
    encoded = [packet.encode() for packet in packets]
    stream = b"".join(encoded)
    starts = [sum(map(len, encoded[:index])) for index in range(len(encoded))]
    extractor = PacketExtractor(ExtractionParameters(first_header_pointer_bits=16))
    found = []
    for at in range(0, len(stream), zone_octets):
        zone = stream[at : at + zone_octets]
        pointer = next((start - at for start in starts if 0 <= start - at < len(zone)), POINTER_ALL_ONES)
        field = UslpTransferFrameDataField(
            construction_rule=ConstructionRule.PACKETS_SPANNING_FRAMES,
            uslp_protocol_id=0,
            transfer_frame_data_zone=zone,
            first_header_or_last_valid_octet_pointer=pointer,
        )
        field = UslpTransferFrameDataField.decode(field.encode())
        assert field.first_header_pointer == pointer and field.last_valid_octet_pointer is None
        found += extractor.extract(field.transfer_frame_data_zone, pointer)
    assert [packet.octets for packet in found] == encoded
    assert not extractor.finish()


def test_a_data_field_without_a_zone_is_refused() -> None:
    for octets in (b"", b"\xe0", b"\0", b"\0\0\0"):
        with pytest.raises(TruncatedError):
            UslpTransferFrameDataField.decode(octets)
    assert all(ConstructionRule(rule) == rule for rule in range(8))
    assert len(list(itertools.chain(ConstructionRule))) == 8
