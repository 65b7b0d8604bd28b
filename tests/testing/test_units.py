"""What holds for every unit: round trip, totality, dirty buffers, refusals, copies."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding.cltu_unit import Cltu
from ccsds.errors import DecodeError, EncodeError, IntegrityError, TruncatedError
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import BitstreamProtocolDataUnit, MultiplexingProtocolDataUnit
from ccsds.frames.operational_control_field import Clcw, Type2Report, decode_operational_control_field
from ccsds.frames.tc import SetVr, TcTransferFrame, Unlock
from ccsds.frames.tm import TmTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import UslpTransferFrameDataField
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.ip_over_ccsds import InternetProtocolExtension
from ccsds.packets.pus import PacketErrorControl, PusTelecommand, PusTelemetry
from ccsds.packets.space_packet import SpacePacket
from ccsds.packets.time_codes import CdsTime, CucTime
from ccsds.packets.time_codes_calendar import AsciiTime, CcsTime
from ccsds.testing import strategies

UNITS: list[tuple[type[Any], st.SearchStrategy[Any]]] = [
    (SpacePacket, strategies.space_packets()),
    (EncapsulationPacket, strategies.encapsulation_packets()),
    (TmTransferFrame, strategies.tm_transfer_frames()),
    (AosTransferFrame, strategies.aos_transfer_frames()),
    (MultiplexingProtocolDataUnit, strategies.multiplexing_protocol_data_units()),
    (BitstreamProtocolDataUnit, strategies.bitstream_protocol_data_units()),
    (Clcw, strategies.clcws()),
    (Type2Report, strategies.type_2_reports()),
    (TcTransferFrame, strategies.tc_transfer_frames()),
    (Unlock, st.builds(Unlock)),
    (SetVr, st.builds(SetVr, receiver_frame_sequence_number=st.integers(0, 255))),
    (UslpTransferFrame, strategies.uslp_transfer_frames()),
    (UslpTransferFrameDataField, strategies.uslp_transfer_frame_data_fields()),
    (CucTime, strategies.cuc_times()),
    (CdsTime, strategies.cds_times()),
    (CcsTime, strategies.ccs_times()),
    (AsciiTime, strategies.ascii_times()),
    (PusTelecommand, strategies.pus_telecommands()),
    (PusTelemetry, strategies.pus_telemetry()),
    (InternetProtocolExtension, strategies.internet_protocol_extensions()),
    (Cltu, strategies.cltus()),
]
FRAMES = (TmTransferFrame, AosTransferFrame, TcTransferFrame, UslpTransferFrame)
ZONES: dict[type[Any], Any] = {  # they take all that there is; how many octets of theirs are still too few
    MultiplexingProtocolDataUnit: lambda unit: 2,
    BitstreamProtocolDataUnit: lambda unit: 2,
    UslpTransferFrameDataField: lambda unit: len(unit) - len(unit.transfer_frame_data_zone),
    AsciiTime: lambda unit: 16 if unit.day_of_year else 18,
    InternetProtocolExtension: lambda unit: len(unit.extension_header),
}
LENGTHS = {  # of units that do not tell their own length
    TmTransferFrame: "transfer_frame_octets",
    AosTransferFrame: "transfer_frame_octets",
    UslpTransferFrame: "truncated_transfer_frame_octets",
}
BUFFERS: list[Any] = [bytes, bytearray, memoryview, lambda octets: memoryview(bytearray(octets))]
unit_types = pytest.mark.parametrize("index", range(len(UNITS)), ids=[cls.__name__ for cls, _ in UNITS])


def managed(unit: Any) -> dict[str, Any]:
    return dict(getattr(unit, "managed_parameters", {}))


def managed_and_length(unit: Any, octets: int) -> dict[str, Any]:
    length = LENGTHS.get(type(unit))
    return managed(unit) | ({length: octets} if length else {})


@st.composite
def any_managed(draw: st.DrawFn, cls: type[Any]) -> dict[str, Any]:
    if cls is TmTransferFrame:
        return {
            "frame_error_control_present": draw(st.booleans()),
            "secondary_header_octets": draw(st.none() | st.integers(0, 70)),
            "check": draw(st.booleans()),
        }
    if cls is AosTransferFrame:
        return {
            "frame_error_control_present": draw(st.booleans()),
            "frame_header_error_control_present": draw(st.booleans()),
            "operational_control_field_present": draw(st.booleans()),
            "insert_zone_octets": draw(st.integers(0, 9)),
            "issue": draw(st.integers(1, 5)),
            "check": draw(st.booleans()),
        }
    if cls is TcTransferFrame:
        return {
            "segment_header_present": draw(st.booleans()),
            "frame_error_control_present": draw(st.booleans()),
            "check": draw(st.booleans()),
        }
    if cls is UslpTransferFrame:
        return {
            "frame_error_control_present": draw(st.booleans()),
            "frame_error_control_octets": draw(st.sampled_from([2, 4])),
            "insert_zone_octets": draw(st.integers(0, 9)),
            "check": draw(st.booleans()),
        }
    if cls in (PusTelecommand, PusTelemetry):
        time = {"time_octets": draw(st.integers(0, 9))} if cls is PusTelemetry else {}
        return time | {
            "packet_error_control": draw(st.sampled_from(PacketErrorControl)),
            "spare_octets": draw(st.integers(0, 4)),
            "check": draw(st.booleans()),
        }
    if cls is Cltu:
        return {"randomized": draw(st.booleans())}
    return {"issue": draw(st.integers(1, 5))} if cls is MultiplexingProtocolDataUnit else {}


@unit_types
@given(data=st.data())
def test_decode_inverts_encode(index: int, data: st.DataObject) -> None:
    cls, strategy = UNITS[index]
    unit = data.draw(strategy)
    octets = unit.encode()
    assert len(octets) == len(unit)
    for buffer in BUFFERS:
        assert cls.decode(buffer(octets), **managed(unit)) == unit
    assert hash(cls.decode(octets, **managed(unit))) == hash(unit)
    assert pickle.loads(pickle.dumps(unit)) == unit
    assert unit.replace() == unit


@unit_types
@given(data=st.data(), rest=st.binary(max_size=16))
def test_decode_from_leaves_the_rest_and_encode_into_fills_a_dirty_buffer(
    index: int, data: st.DataObject, rest: bytes
) -> None:
    cls, strategy = UNITS[index]
    unit = data.draw(strategy)
    size = len(unit)
    out = bytearray(b"\xa5" * size + rest)
    assert unit.encode_into(memoryview(out)) == size
    assert bytes(out[:size]) == unit.encode()
    assert bytes(out[size:]) == rest
    keywords = managed_and_length(unit, size)
    found, left = cls.decode_from(bytes(out[:size] if cls in ZONES else out), **keywords)
    assert (found, bytes(left)) == (unit, b"" if cls in ZONES else rest)
    with pytest.raises(EncodeError, match="do not fit"):
        unit.encode_into(bytearray(size - 1))


@unit_types
@given(data=st.data())
def test_any_octets_decode_or_raise_decode_error_and_what_decodes_encodes_back(index: int, data: st.DataObject) -> None:
    cls, strategy = UNITS[index]
    unit = data.draw(strategy)
    octets = bytearray(data.draw(st.one_of(st.binary(max_size=80), st.just(unit.encode()))))
    for _ in range(data.draw(st.integers(0, 3)) if octets else 0):
        octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(0, 255))
    keywords = data.draw(any_managed(cls) | st.just(managed(unit)))
    with contextlib.suppress(DecodeError):
        found = cls.decode(bytes(octets), **keywords)
        assert found.encode() == octets
        assert len(found) == len(octets)


@unit_types
@given(data=st.data())
def test_what_is_cut_short_is_refused(index: int, data: st.DataObject) -> None:
    cls, strategy = UNITS[index]
    unit = data.draw(strategy)
    octets = unit.encode()
    keep = data.draw(st.integers(0, len(octets) - 1))
    keywords = managed_and_length(unit, len(octets))
    if cls in ZONES:
        keep = min(keep, ZONES[cls](unit))
    with pytest.raises(TruncatedError) as caught:
        cls.decode_from(octets[:keep], **keywords)
    assert 0 <= caught.value.octet_offset <= len(octets)
    assert "§" in caught.value.clause


@unit_types
@given(data=st.data())
def test_shorthand_reads_and_is_refused_by_the_constructor(index: int, data: st.DataObject) -> None:
    cls, strategy = UNITS[index]
    unit = data.draw(strategy)
    for short, long in cls.ALIASES.items():
        expected = getattr(unit, long)
        if short == "fecf":
            expected = unit.frame_error_control_field
        assert getattr(unit, short) == expected
        with pytest.raises(TypeError, match=f"write {long}="):
            cls(**{short: expected})


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.6", "frame error control decoding")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.6", "frame error control decoding")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.4.3", "frame error control decoding")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.6", "frame error control decoding")
@pytest.mark.parametrize("cls", FRAMES)
@given(data=st.data())
def test_damage_under_error_control_is_refused_or_kept(cls: type[Any], data: st.DataObject) -> None:
    strategy = dict(UNITS)[cls].filter(lambda frame: frame.frame_error_control_present)
    unit = data.draw(strategy)
    octets = bytearray(unit.encode())
    at = data.draw(st.integers(4 if cls is TcTransferFrame else 8, len(octets) - 1))  # behind length fields
    octets[at] ^= data.draw(st.integers(1, 255))  # up to 8 bits in a row: always detected
    keywords = managed(unit)
    with pytest.raises(IntegrityError):
        cls.decode(bytes(octets), **keywords)
    kept = cls.decode(bytes(octets), **keywords, check=False)
    assert not kept.is_intact
    assert kept.encode() == octets
    assert unit.is_intact


@given(field=strategies.operational_control_fields())
def test_the_first_bit_tells_the_two_control_fields_apart(field: bytes) -> None:
    unit = decode_operational_control_field(field)
    assert isinstance(unit, Type2Report if field[0] & 0x80 else Clcw)
    assert unit.control_word_type == field[0] >> 7
    assert unit.encode() == field
