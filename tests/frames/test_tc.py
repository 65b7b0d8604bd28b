"""TC transfer frames: published octets, a slow twin made of bit strings, control commands, a recording."""

from __future__ import annotations

import binascii
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from bitstring import Bits
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.tc import SegmentSequenceFlags, SetVr, TcTransferFrame, Unlock, decode_control_command
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.segmentation import MapDemultiplexer, ServiceDataUnit, packets_of
from ccsds.testing import load_vectors
from ccsds.testing.strategies import control_commands, tc_transfer_frames

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
FRAME: dict[str, Any] = {"spacecraft_id": 3, "virtual_channel_id": 1, "transfer_frame_data_unit": bytes(20)}
BOTH: dict[str, Any] = {"segment_header_present": False, "frame_error_control_present": False}
CASES = load_vectors("232.0-B-4/tc_transfer_frame.toml")


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.4.3", "frame error control decoding")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2", "primary header")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.2.2", "segment header")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.4", "frame error control field")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    if not case["fecf_valid"]:
        with pytest.raises(IntegrityError):
            TcTransferFrame.decode(octets, **case["managed"])
    frame = TcTransferFrame.decode(octets, **case["managed"], check=case["fecf_valid"])
    assert {name: getattr(frame, name) for name in case["fields"]} == case["fields"]
    assert frame.encode() == octets
    assert frame.is_intact == case["fecf_valid"]
    meanings = {"Unlock": Unlock(), "Set V(R) to 10": SetVr(receiver_frame_sequence_number=10)}
    assert frame.control_command == (meanings[case["meaning"]] if "meaning" in case else None)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.3", "control commands Unlock and Set V(R)")
def test_control_commands_make_the_published_frames() -> None:
    made = [
        TcTransferFrame.control(command, spacecraft_id=3, virtual_channel_id=0, frame_error_control_present=True)
        for command in (Unlock(), SetVr(receiver_frame_sequence_number=10))
    ]
    published = [case["octets"] for case in CASES if "meaning" in case]
    assert [frame.encode().hex() for frame in made] == published
    assert [frame.frame_type for frame in made] == ["BC", "BC"]


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.4", "reserved spare")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.5", "spacecraft identifier")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.6", "virtual channel identifier")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.8", "frame sequence number")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.4.2", "frame error control encoding")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.3.1", "frames of type AD, BD and BC")
@given(tc_transfer_frames())
def test_the_slow_twin_makes_the_same_octets(frame: TcTransferFrame) -> None:
    parts = [
        f"0b00{frame.bypass_flag}{frame.control_command_flag}",
        f"uint:2={frame.reserved_spare}",
        f"uint:10={frame.spacecraft_id}",
        f"uint:6={frame.virtual_channel_id}",
        f"uint:10={len(frame) - 1}",
        f"uint:8={frame.frame_sequence_number}",
    ]
    if frame.map_id is not None:
        parts += [f"uint:2={frame.sequence_flags}", f"uint:6={frame.map_id}"]
    octets = sum((Bits(part) for part in parts), Bits()).tobytes() + frame.transfer_frame_data_unit
    if frame.frame_error_control_present:
        octets += binascii.crc_hqx(octets, 0xFFFF).to_bytes(2, "big")
        assert frame.fecf == int.from_bytes(octets[-2:], "big")
    assert frame.encode() == octets


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.3.2", "Unlock")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.3.3", "Set V(R)")
@given(control_commands())
def test_a_control_command_is_told_by_its_octets(command: Unlock | SetVr) -> None:
    assert decode_control_command(command.encode()) == command


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.3", "control commands of other values refused")
@given(st.binary(max_size=5))
def test_any_octets_are_a_control_command_or_raise(octets: bytes) -> None:
    known = octets == b"\0" or (len(octets) == 3 and octets.startswith(b"\x82\0"))
    if known:
        assert decode_control_command(octets).encode() == octets
    else:
        with pytest.raises(DecodeError, match="control command"):
            decode_control_command(octets)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.7", "frame length, frames of 6 to 1024 octets")
@pytest.mark.parametrize("octets", [6, 7, 1023, 1024])
def test_lengths_up_to_1024(octets: int) -> None:
    frame = TcTransferFrame(**FRAME | {"transfer_frame_data_unit": bytes(octets - 5)})
    assert len(frame) == octets and frame.frame_length == octets - 1
    assert TcTransferFrame.decode(frame.encode(), **BOTH) == frame


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.2.2", "no segment header in a control command")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.2", "transfer frame version number 0; others refused")
@pytest.mark.parametrize(
    "fields",
    [
        {"transfer_frame_data_unit": b""},
        {"transfer_frame_data_unit": bytes(1020)},
        {"transfer_frame_data_unit": bytes(1018), "frame_error_control_present": True},
        {"transfer_frame_data_unit": bytearray(3)},
        {"transfer_frame_version_number": 1},
        {"spacecraft_id": 1024},
        {"virtual_channel_id": 64},
        {"frame_sequence_number": 256},
        {"control_command_flag": 1},
        {"map_id": 1},
        {"sequence_flags": SegmentSequenceFlags.FIRST},
        {"map_id": 64, "sequence_flags": SegmentSequenceFlags.FIRST},
        {"map_id": 1, "sequence_flags": 3, "control_command_flag": 1, "bypass_flag": 1},
        {"received_frame_error_control_field": 1},
        {"received_frame_error_control_field": 65536, "frame_error_control_present": True},
    ],
)
def test_frames_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        TcTransferFrame(**FRAME | fields)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.2", "transfer frame version number 0; others refused")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.3.2", "control command flag; type AC, which is reserved, refused")
@pytest.mark.parametrize(
    ("octets", "error", "match"),
    [
        ("0003000500", TruncatedError, "asks for 6 octets, 5 given"),
        ("00030004 00", TruncatedError, "5 of them are not data"),
        ("0003000500 00 ff", FieldError, "1 octets follow"),
        ("4003000500 00", FieldError, "version number 1"),
        ("1003000500 00", FieldError, "reserved"),
        ("000300", TruncatedError, "5 octets, 3 given"),
    ],
)
def test_octets_that_are_no_frame(octets: str, error: type[DecodeError], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        TcTransferFrame.decode(bytes.fromhex(octets), **BOTH)
    assert caught.value.clause.startswith("CCSDS 232.0-B-4 §4.1")


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4.5", "fill behind a frame is removed by its length")
def test_fill_behind_a_frame_is_left() -> None:
    octets = TcTransferFrame(**FRAME).encode() + b"\x55" * 4
    assert bytes(TcTransferFrame.decode_from(octets, **BOTH)[1]) == b"\x55" * 4


def test_the_recording_gives_its_truth() -> None:
    path = CAPTURES / "sim_tc_plain.hex"
    if not path.exists():
        pytest.skip("../shared/captures/sim_tc_plain.hex is absent")
    table = tomllib.loads((CAPTURES / "captures.toml").read_text(encoding="utf-8"))["file"]
    (truth,) = (row for row in table if row["file"] == path.name)
    maps, rows, packets = MapDemultiplexer(), [], []
    for line in path.read_text(encoding="ascii").split():
        octets = bytes.fromhex(line)
        frame = TcTransferFrame.decode(octets, segment_header_present=True, frame_error_control_present=False)
        assert frame.encode() == octets
        row = [len(octets), len(frame), frame.bypass_flag, frame.control_command_flag, frame.spacecraft_id]
        rows.append([*row, frame.virtual_channel_id, frame.frame_sequence_number, 0])
        for _, event in maps.handle_frame(frame):
            assert isinstance(event, ServiceDataUnit)
            found, rest = packets_of(event.octets)
            assert not rest
            packets += found
    assert rows == truth["frames"]
    assert (len(packets), sum(map(len, packets))) == (truth["packets"], truth["packet_octets"])
    assert hashlib.sha256(b"".join(packets)).hexdigest() == truth["sha256"]
    apids = [SpacePacket.decode(packet).apid for packet in packets]
    assert [[apid, apids.count(apid)] for apid in sorted(set(apids))] == [row[:2] for row in truth["apids"]]
    assert not maps.finish()


def test_the_frames_in_the_recorded_cltus() -> None:
    path = CAPTURES / "captures.toml"
    if not path.exists():
        pytest.skip("../shared/captures/captures.toml is absent")
    table = tomllib.loads(path.read_text(encoding="utf-8"))["file"]
    (truth,) = (row for row in table if row["file"] == "sim_tc_cltu.hex")
    frames = [
        TcTransferFrame.decode_from(
            bytes.fromhex(unit["derandomised"]), segment_header_present=True, frame_error_control_present=True
        )[0]
        for unit in truth["cltu"]
    ]
    assert [frame.frame_type for frame in frames] == ["BC", "AD", "BD"]
    assert frames[0].control_command == Unlock()
    assert [frame.spacecraft_id for frame in frames] == [123, 123, 123]
    assert all(frame.is_intact and frame.map_id in (None, 0) for frame in frames)
