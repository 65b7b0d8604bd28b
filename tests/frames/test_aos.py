"""AOS transfer frames: published octets, header error control against a slow twin, issues, M_PDU and B_PDU."""

from __future__ import annotations

import binascii
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import EncodeError, FieldError, IntegrityError
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import (
    NO_IDLE_DATA,
    NO_PACKET_START,
    ONLY_IDLE_BITS,
    ONLY_IDLE_DATA,
    BitstreamProtocolDataUnit,
    MultiplexingProtocolDataUnit,
)
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.testing import load_vectors
from ccsds.testing.strategies import aos_transfer_frames

FRAME: dict[str, Any] = {
    "spacecraft_id": 3,
    "virtual_channel_id": 1,
    "virtual_channel_frame_count": 7,
    "transfer_frame_data_field": bytes(20),
}
FIELD: list[int] = [1]  # powers of a, a^4 = a + 1
for _ in range(14):
    FIELD.append(FIELD[-1] << 1 ^ (0b10011 if FIELD[-1] & 8 else 0))


def times(a: int, b: int) -> int:
    return FIELD[(FIELD.index(a) + FIELD.index(b)) % 15] if a and b else 0


def syndromes(header: bytes, check: int) -> list[int]:
    """The code word as a polynomial, at the four roots of the generator."""
    text = header[:2].hex() + header[5:6].hex() + f"{check:04x}"
    values = []
    for power in (6, 7, 8, 9):
        value = 0
        for symbol in text:
            value = times(value, FIELD[power]) ^ int(symbol, 16)
        values.append(value)
    return values


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2", "primary header, from published octets")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.3", "virtual channel identifier")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.4", "virtual channel frame count")
@pytest.mark.parametrize("case", load_vectors("732.0-B-5/aos_transfer_frame.toml"), ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    if case.get("fhec_valid", True):
        frame = AosTransferFrame.decode(octets, **case["managed"])
    else:
        with pytest.raises(IntegrityError, match="header error control"):
            AosTransferFrame.decode(octets, **case["managed"])
        frame = AosTransferFrame.decode(octets, **case["managed"], check=False)
        assert not frame.is_intact
    assert {name: getattr(frame, name) for name in case["fields"]} == case["fields"]
    assert frame.encode() == octets
    if "fhec" in case:
        assert frame.frame_header_error_control == int(case["fhec"], 16)
    if "mpdu_fhp" in case:
        assert frame.multiplexing_protocol_data_unit.fhp == case["mpdu_fhp"]


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.6", "frame header error control, encoding")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.6", "frame error control field")
@given(aos_transfer_frames())
def test_both_check_fields_agree_with_others(frame: AosTransferFrame) -> None:
    octets = frame.encode()
    if frame.frame_error_control_present:
        assert binascii.crc_hqx(octets[:-2], 0xFFFF) == frame.fecf
    check = frame.frame_header_error_control
    assert (check is not None) == frame.frame_header_error_control_present
    if check is not None:
        assert syndromes(octets[:6], check) == [0, 0, 0, 0]


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.6", "frame header error control, correction of up to two symbols")
@given(frame=aos_transfer_frames(), data=st.data())
def test_up_to_two_nibbles_of_the_header_are_repaired(frame: AosTransferFrame, data: st.DataObject) -> None:
    frame = frame.replace(frame_header_error_control_present=True)
    octets = bytearray(frame.encode())
    covered = [(at, shift) for at, shift in itertools.product((0, 1, 5, 6, 7), (0, 4))]
    for at, shift in data.draw(st.lists(st.sampled_from(covered), min_size=1, max_size=2, unique=True)):
        octets[at] ^= data.draw(st.integers(1, 15)) << shift
    assert AosTransferFrame.decode(octets, **frame.managed_parameters, correct_header=True) == frame
    with pytest.raises(IntegrityError):
        AosTransferFrame.decode(octets, **frame.managed_parameters)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.2.3", "spacecraft identifier of 10 bits, and of 8 bits up to issue 4")
def test_issue_decides_how_the_spacecraft_id_is_read() -> None:
    (case,) = (c for c in load_vectors("732.0-B-5/aos_transfer_frame.toml") if c["id"] == "issue-5-ten-bit-scid")
    octets = bytes.fromhex(case["octets"])
    assert AosTransferFrame.decode(octets, frame_error_control_present=False).spacecraft_id == 801
    for issue in (1, 2, 3, 4):
        frame = AosTransferFrame.decode(octets, frame_error_control_present=False, issue=issue)
        assert (frame.spacecraft_id, frame.reserved_spare, frame.encode()) == (33, 3, octets)
    with pytest.raises(ValueError, match="1 to 5"):
        AosTransferFrame.decode(octets, frame_error_control_present=False, issue=6)
    with pytest.raises(EncodeError, match="0 to 255 in issue 4"):
        AosTransferFrame(**FRAME | {"spacecraft_id": 256}, issue=4)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.5.3", "VC frame count usage flag")
def test_the_count_has_28_bits_where_its_usage_flag_says_so() -> None:
    cycle = {"virtual_channel_frame_count_cycle": 9}
    assert AosTransferFrame(**FRAME, **cycle).extended_virtual_channel_frame_count == 7
    frame = AosTransferFrame(**FRAME, **cycle, virtual_channel_frame_count_usage_flag=1)
    assert frame.extended_virtual_channel_frame_count == (9 << 24) + 7


@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "4.1.4.1.6", "Only Idle Data frames on virtual channel 63, with the LFSR sequence"
)
def test_virtual_channel_63_carries_nothing() -> None:
    frame = AosTransferFrame.only_idle_data(
        spacecraft_id=3, virtual_channel_frame_count=1, data_octets=20, fill=OnlyIdleDataFill(), replay_flag=1
    )
    assert frame.is_only_idle_data and frame.vcid == 63 and frame.replay_flag == 1
    assert frame.transfer_frame_data_field.startswith(b"\xff\xff\xff\xff\x6d")
    assert not AosTransferFrame(**FRAME).is_only_idle_data


@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "4.1.4.2.2", "M_PDU first header pointer, of 16 bits, and of 11 bits up to issue 4"
)
@pytest.mark.parametrize(
    ("octets", "issue", "spare", "pointer", "idle", "without_start"),
    [
        ("07fe00", 4, 0, 2046, True, False),
        ("07ff00", 4, 0, 2047, False, True),
        ("ffff00", 4, 31, 2047, False, True),
        ("fffe00", 1, 31, 2046, True, False),
        ("fffe00", 5, 0, ONLY_IDLE_DATA, True, False),
        ("ffff00", 5, 0, NO_PACKET_START, False, True),
        ("07fe00", 5, 0, 2046, False, False),
        ("07ff00", 5, 0, 2047, False, False),
    ],
)
def test_issue_decides_how_wide_the_first_header_pointer_is(
    octets: str, issue: int, spare: int, pointer: int, idle: bool, without_start: bool
) -> None:
    unit = MultiplexingProtocolDataUnit.decode(bytes.fromhex(octets), issue=issue)
    assert (unit.reserved_spare, unit.fhp) == (spare, pointer)
    assert (unit.is_only_idle_data, unit.is_without_packet_start) == (idle, without_start)
    assert unit.encode() == bytes.fromhex(octets)
    frame = AosTransferFrame(**FRAME | {"transfer_frame_data_field": bytes.fromhex(octets)}, issue=issue)
    assert frame.multiplexing_protocol_data_unit == unit


@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "4.1.4.2.2", "M_PDU first header pointer, of 16 bits, and of 11 bits up to issue 4"
)
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.2.2", "M_PDU first header pointer: no packet starts, only idle data")
@pytest.mark.parametrize("case", load_vectors("732.0-B-5/m_pdu.toml"), ids=lambda case: case["id"])
def test_published_pointers(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"]) + b"zone"
    unit = MultiplexingProtocolDataUnit.decode(octets, issue=case["issue"])
    assert unit.fhp == case["first_header_pointer"]
    assert unit.is_without_packet_start == (case["meaning"] == "no packet starts")
    assert unit.is_only_idle_data == (case["meaning"] == "only idle data")
    assert unit.encode() == octets


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.2", "M_PDU")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.3", "B_PDU")
def test_what_a_data_field_holds() -> None:
    unit = MultiplexingProtocolDataUnit(first_header_pointer=2, packet_zone=b"abc")
    frame = AosTransferFrame(**FRAME | {"transfer_frame_data_field": unit.encode()})
    assert frame.transfer_frame_data_field == bytes.fromhex("0002616263")
    assert frame.multiplexing_protocol_data_unit == unit
    bits = BitstreamProtocolDataUnit(bitstream_data_pointer=4, bitstream_data_zone=b"\xf8\x00")
    frame = AosTransferFrame(**FRAME | {"transfer_frame_data_field": bits.encode()})
    assert frame.transfer_frame_data_field == bytes.fromhex("0004f800")
    assert frame.bitstream_protocol_data_unit.user_bits == 5


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.3.3", "bitstream data pointer")
@pytest.mark.parametrize(("pointer", "bits"), [(0, 1), (15, 16), (16, 16), (NO_IDLE_DATA, 16), (ONLY_IDLE_BITS, 0)])
def test_bits_of_user_data(pointer: int, bits: int) -> None:
    octets = pointer.to_bytes(2, "big") + b"\xff\xff"
    assert BitstreamProtocolDataUnit.decode(octets).user_bits == bits


@pytest.mark.parametrize(
    "fields",
    [
        {"transfer_frame_data_field": b""},
        {"virtual_channel_id": 64},
        {"virtual_channel_frame_count": 1 << 24},
        {"spacecraft_id": 1024},
        {"spacecraft_id": -1},
        {"transfer_frame_version_number": 0},
        {"insert_zone": bytearray(2)},
        {"operational_control_field": b"12345"},
        {"reserved_spare": 1},
        {"issue": 0},
        {"received_frame_error_control_field": 1},
        {"received_frame_header_error_control": 1},
    ],
)
def test_frames_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        AosTransferFrame(**FRAME | fields)
    with pytest.raises(EncodeError):
        MultiplexingProtocolDataUnit(first_header_pointer=3, packet_zone=b"abc")
    with pytest.raises(EncodeError):
        MultiplexingProtocolDataUnit(first_header_pointer=2047, packet_zone=b"abc")
    with pytest.raises(EncodeError):
        MultiplexingProtocolDataUnit(first_header_pointer=0xFFFF, packet_zone=b"abc", issue=4)
    with pytest.raises(EncodeError):
        MultiplexingProtocolDataUnit(first_header_pointer=0, packet_zone=b"abc", reserved_spare=1)
    with pytest.raises(EncodeError):
        MultiplexingProtocolDataUnit(first_header_pointer=0, packet_zone=b"abc", issue=6)
    with pytest.raises(EncodeError):
        BitstreamProtocolDataUnit(bitstream_data_pointer=8, bitstream_data_zone=b"a")


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.2.2", "transfer frame version number 1; others refused")
def test_another_version_is_refused() -> None:
    octets = bytearray(AosTransferFrame(**FRAME).encode())
    octets[0] ^= 0x40
    with pytest.raises(FieldError, match="version number 0"):
        AosTransferFrame.decode(octets, frame_error_control_present=False)
