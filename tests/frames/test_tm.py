"""TM transfer frames: published octets, the other implementation, managed parameters, only idle data."""

from __future__ import annotations

import binascii
from typing import Any

import pytest
import spacepackets.ccsds.tm_frame as other
from hypothesis import given

from ccsds.errors import EncodeError, FieldError, IntegrityError
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.operational_control_field import Clcw
from ccsds.frames.tm import NO_PACKET_START, ONLY_IDLE_DATA, TmTransferFrame
from ccsds.testing import load_vectors
from ccsds.testing.strategies import tm_transfer_frames

FRAME: dict[str, Any] = {
    "spacecraft_id": 3,
    "virtual_channel_id": 1,
    "first_header_pointer": 0,
    "transfer_frame_data_field": bytes(20),
}


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2", "primary header, from published octets")
@pytest.mark.parametrize("case", load_vectors("132.0-B-3/tm_transfer_frame.toml"), ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    frame = TmTransferFrame.decode(octets, **case["managed"])
    assert {name: getattr(frame, name) for name in case["fields"]} == case["fields"]
    assert frame.encode() == octets
    assert len(frame) == case.get("length", len(octets))
    if "fecf" in case:
        assert frame.fecf == int(case["fecf"], 16)
    if "clcw" in case:
        word = frame.control_word
        assert {name: getattr(word, name) for name in case["clcw"]} == case["clcw"]


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.6", "frame error control field")
@given(tm_transfer_frames())
def test_the_error_control_field_is_the_crc_of_another_library(frame: TmTransferFrame) -> None:
    octets = frame.encode()
    if frame.frame_error_control_present:
        assert binascii.crc_hqx(octets[:-2], 0xFFFF) == frame.fecf == int.from_bytes(octets[-2:], "big")
    else:
        assert frame.fecf is None


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.2.3", "spacecraft identifier")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.3", "virtual channel identifier")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.4", "operational control field flag")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.5", "master channel frame count")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.6", "virtual channel frame count")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.2", "secondary header flag")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.3", "synchronization flag")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.4", "packet order flag")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.5", "segment length identifier")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.6", "first header pointer")
@given(tm_transfer_frames())
def test_the_other_implementation_reads_the_same(frame: TmTransferFrame) -> None:
    header = other.TmFramePrimaryHeader.unpack(frame.encode()[:6])
    status = header.frame_datafield_status
    assert (
        header.master_channel_id.transfer_frame_version,
        header.master_channel_id.spacecraft_id,
        header.vc_id,
        header.ocf_flag,
        header.master_ch_frame_count,
        header.vc_frame_count,
        status.secondary_header_flag,
        int(status.sync_flag),
        int(status.packet_order_flag),
        status.segment_len_id,
        status.first_header_pointer,
    ) == (
        0,
        frame.spacecraft_id,
        frame.virtual_channel_id,
        bool(frame.operational_control_field_flag),
        frame.master_channel_frame_count,
        frame.virtual_channel_frame_count,
        bool(frame.secondary_header_flag),
        frame.synchronization_flag,
        frame.packet_order_flag,
        frame.segment_length_id,
        frame.first_header_pointer,
    )


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.3", "secondary header: version number, length, data field")
def test_a_secondary_header_length_that_lies_needs_the_managed_one() -> None:
    honest = TmTransferFrame(**FRAME, secondary_header_data_field=b"abcdefg")
    octets = bytearray(honest.encode())
    octets[6] = 3  # four octets, it says
    assert TmTransferFrame.decode(octets, frame_error_control_present=False).secondary_header_data_field == b"abc"
    frame = TmTransferFrame.decode(octets, frame_error_control_present=False, secondary_header_octets=8)
    assert frame.secondary_header_data_field == b"abcdefg"
    assert (frame.stated_secondary_header_length, frame.secondary_header_length) == (3, 3)
    assert frame.encode() == octets
    assert TmTransferFrame.decode(octets, **frame.managed_parameters) == frame


@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "4.1.4.6.2, annex D", "Only Idle Data in the data field, with the LFSR sequence"
)
def test_only_idle_data_frames_go_on_where_the_last_one_ended() -> None:
    fill = OnlyIdleDataFill()
    frames = [
        TmTransferFrame.only_idle_data(
            spacecraft_id=3, virtual_channel_id=7, data_octets=octets, fill=fill, master_channel_frame_count=4
        )
        for octets in (10, 54)
    ]
    (case,) = (case for case in load_vectors("132.0-B-3/only_idle_data.toml") if case["kind"] == "fill")
    joined = b"".join(frame.transfer_frame_data_field for frame in frames)
    assert joined.hex() == case["first_64_octets"]
    assert joined[:20].hex() == case["first_20_octets"]
    assert all(frame.is_only_idle_data for frame in frames)
    wrong = [case for case in load_vectors("132.0-B-3/only_idle_data.toml") if case["kind"] == "wrong"]
    assert wrong and all(joined[:5].hex() != case["first_5_octets"] for case in wrong)


@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "4.1.4.6.2, annex D", "Only Idle Data in the data field, with the LFSR sequence"
)
def test_the_fill_is_the_register_bit_by_bit() -> None:
    register, bits = (1 << 32) - 1, []
    for _ in range(8 * 3000):
        bits.append(register & 1)
        new = (register ^ register >> 10 ^ register >> 30 ^ register >> 31) & 1
        register = register >> 1 | new << 31
    octets = int("".join(map(str, bits)), 2).to_bytes(3000, "big")
    fill = OnlyIdleDataFill()
    assert b"".join(fill.take(size) for size in (0, 1, 31, 32, 33, 903, 2000)) == octets
    with pytest.raises(ValueError, match="-1"):
        fill.take(-1)


def test_a_pointer_is_none_where_data_are_synchronous() -> None:
    frame = TmTransferFrame(**FRAME | {"first_header_pointer": ONLY_IDLE_DATA}, synchronization_flag=1)
    assert not frame.is_only_idle_data


@pytest.mark.conforms(
    "CCSDS 132.0-B-3",
    "4.1.2.7",
    "segment length identifier 11 and packet order flag 0 where the synchronization flag is 0",
)
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.3", "secondary header: impossible lengths and versions refused")
@pytest.mark.parametrize(
    "fields",
    [
        {"first_header_pointer": 20},
        {"segment_length_id": 0},
        {"packet_order_flag": 1},
        {"transfer_frame_version_number": 1},
        {"spacecraft_id": 1024},
        {"virtual_channel_id": 8},
        {"transfer_frame_data_field": b"", "first_header_pointer": NO_PACKET_START},
        {"transfer_frame_data_field": bytes(2043)},
        {"secondary_header_data_field": b""},
        {"secondary_header_data_field": bytes(64)},
        {"secondary_header_version_number": 1},
        {"stated_secondary_header_length": 1},
        {"operational_control_field": b"123"},
        {"received_frame_error_control_field": 1},
        {"received_frame_error_control_field": 65536, "frame_error_control_present": True},
    ],
)
def test_frames_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        TmTransferFrame(**FRAME | fields)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.2.2", "transfer frame version number 0; others refused")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.6", "frame error control decoding")
def test_another_version_is_refused_and_damage_comes_first() -> None:
    octets = bytearray(TmTransferFrame(**FRAME, frame_error_control_present=True).encode())
    octets[0] ^= 0x40
    with pytest.raises(FieldError, match="version number 1"):
        TmTransferFrame.decode(octets, frame_error_control_present=False)
    with pytest.raises(IntegrityError):
        TmTransferFrame.decode(octets, frame_error_control_present=True)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.5", "operational control field: CLCW")
def test_the_control_word_reads_through() -> None:
    word = Clcw(virtual_channel_id=1, report_value=9)
    frame = TmTransferFrame(**FRAME, operational_control_field=word.encode())
    assert frame.control_word == word
    assert TmTransferFrame(**FRAME).control_word is None
