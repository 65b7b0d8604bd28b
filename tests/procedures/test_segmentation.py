"""Blocking and segmentation: there and back, every disorder accounted for, a slow twin for any order of segments."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError, EncodeError, ProtocolError
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame, Unlock
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import POINTER_ALL_ONES, ConstructionRule, UslpTransferFrameDataField
from ccsds.procedures.packet_extraction import ExtractedPacket
from ccsds.procedures.segmentation import (
    DiscardReason,
    MapDemultiplexer,
    MapEvent,
    OctetStreamPortion,
    Reassembler,
    SegmentDiscarded,
    ServiceDataUnit,
    UslpMapDemultiplexer,
    block_packets,
    packets_of,
    segment,
)
from ccsds.testing.strategies import packets, space_packets, uslp_transfer_frames

FIRST, CONTINUING = SegmentSequenceFlags.FIRST, SegmentSequenceFlags.CONTINUING
LAST, UNSEGMENTED = SegmentSequenceFlags.LAST, SegmentSequenceFlags.UNSEGMENTED


def frame(map_id: int, flags: SegmentSequenceFlags, octets: bytes) -> TcTransferFrame:
    made = TcTransferFrame(
        spacecraft_id=1, virtual_channel_id=2, transfer_frame_data_unit=octets, map_id=map_id, sequence_flags=flags
    )
    return TcTransferFrame.decode(made.encode(), segment_header_present=True, frame_error_control_present=False)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3.1", "segmentation of packets and access data units")
@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_what_is_segmented_comes_back(octets: bytes, maximum: int) -> None:
    portions = segment(octets, maximum)
    assert all(1 <= len(portion) <= maximum for _, portion in portions)
    assert len(portions) == -(-len(octets) // maximum)
    reassembler = Reassembler()
    events = [event for flags, portion in portions for event in reassembler.handle_segment(flags, portion)]
    assert events == [ServiceDataUnit(octets, len(portions))]
    assert not reassembler.finish()


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.2.2.3", "MAP identifier")
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(min_size=1, max_size=60)), max_size=6), st.data())
def test_maps_do_not_disturb_each_other(units: list[tuple[int, bytes]], data: st.DataObject) -> None:
    queues: dict[int, list[TcTransferFrame]] = {}
    for map_id, octets in units:
        queues.setdefault(map_id, []).extend(frame(map_id, *portion) for portion in segment(octets, 16))
    maps, events = MapDemultiplexer(), []
    while any(queues.values()):
        map_id = data.draw(st.sampled_from(sorted(key for key, queue in queues.items() if queue)))
        events += maps.handle_frame(queues[map_id].pop(0))
    for map_id in queues:
        found = [event.octets for number, event in events if number == map_id]
        assert found == [octets for number, octets in units if number == map_id]
    assert not maps.finish()


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3.1", "blocking of packets")
@given(st.lists(packets(maximum_data_octets=20), max_size=20), st.integers(40, 100))
def test_what_is_blocked_comes_back(units: list[object], maximum: int) -> None:
    encoded = [unit.encode() for unit in units]  # type: ignore[attr-defined]
    blocks = block_packets(encoded, maximum)
    assert all(1 <= len(block) <= maximum for block in blocks)
    found = [packets_of(block) for block in blocks]
    assert [packet for block, _ in found for packet in block] == encoded
    assert not any(rest for _, rest in found)
    for before, after in itertools.pairwise(found):
        assert sum(map(len, before[0])) + len(after[0][0]) > maximum  # no block is begun while there is room


@given(st.binary(max_size=60))
def test_any_block_is_packets_and_a_rest(octets: bytes) -> None:
    found, rest = packets_of(octets)
    assert b"".join(found) + rest == octets


def slow_twin(segments: list[tuple[SegmentSequenceFlags, bytes, bool]]) -> tuple[list[bytes], int]:
    """Units by a pattern over the letters of the sequence: a first, any number of continuing ones, a last, no gap."""
    units, index, used = [], 0, 0
    while index < len(segments):
        flags, octets, _ = segments[index]
        if flags == UNSEGMENTED:
            units.append(octets)
            used += len(octets)
        elif flags == FIRST:
            end = index + 1
            while end < len(segments) and segments[end][0] == CONTINUING and not segments[end][2]:
                end += 1
            if end < len(segments) and segments[end][0] == LAST and not segments[end][2]:
                units.append(b"".join(part for _, part, _ in segments[index : end + 1]))
                used += len(units[-1])
                index = end
        index += 1
    return units, sum(len(octets) for _, octets, _ in segments) - used


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4.1", "reassembly; incomplete units discarded and counted by reason")
@given(st.lists(st.tuples(st.sampled_from(SegmentSequenceFlags), st.binary(max_size=4), st.booleans()), max_size=12))
def test_any_order_of_segments_is_accounted_for(segments: list[tuple[SegmentSequenceFlags, bytes, bool]]) -> None:
    reassembler = Reassembler()
    events = [
        event for flags, octets, gap in segments for event in reassembler.handle_segment(flags, octets, gap_before=gap)
    ]
    events += reassembler.finish()
    units = [event.octets for event in events if isinstance(event, ServiceDataUnit)]
    lost = [event for event in events if isinstance(event, SegmentDiscarded)]
    assert (units, sum(len(event.octets) for event in lost)) == slow_twin(segments)
    counters = reassembler.counters
    assert (counters.segments, counters.units) == (len(segments), len(units))
    assert counters.unit_octets == sum(map(len, units))
    assert counters.discarded_octets == sum(len(event.octets) for event in lost)
    for reason in DiscardReason:
        counted = getattr(counters, f"discarded_{reason.name.lower()}")
        assert counted == sum(event.reason == reason for event in lost)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.2.2.2", "sequence flags: first, continuing, last, unsegmented")
def test_each_disorder_has_its_event() -> None:
    reassembler = Reassembler(maximum_octets=4)
    assert reassembler.handle_segment(LAST, b"x") == [SegmentDiscarded(DiscardReason.NO_FIRST, b"x")]
    assert reassembler.handle_segment(FIRST, b"ab") == []
    assert reassembler.handle_segment(FIRST, b"cd") == [SegmentDiscarded(DiscardReason.NO_LAST, b"ab")]
    assert reassembler.handle_segment(CONTINUING, b"efg") == [SegmentDiscarded(DiscardReason.OVERSIZE, b"cdefg")]
    assert reassembler.handle_segment(FIRST, b"h") == []
    assert reassembler.handle_segment(LAST, b"i", gap_before=True) == [
        SegmentDiscarded(DiscardReason.GAP, b"h"),
        SegmentDiscarded(DiscardReason.NO_FIRST, b"i"),
    ]
    assert reassembler.handle_segment(FIRST, b"j") == []
    assert reassembler.finish() == [SegmentDiscarded(DiscardReason.END, b"j")]


def test_a_gap_spoils_what_is_in_progress_on_every_map() -> None:
    maps = MapDemultiplexer()
    assert not maps.handle_frame(frame(1, FIRST, b"a")) and not maps.handle_frame(frame(2, FIRST, b"b"))
    events = maps.handle_frame(frame(3, UNSEGMENTED, b"c"), gap_before=True)
    assert events == [
        MapEvent(1, SegmentDiscarded(DiscardReason.GAP, b"a")),
        MapEvent(2, SegmentDiscarded(DiscardReason.GAP, b"b")),
        MapEvent(3, ServiceDataUnit(b"c", 1)),
    ]


def test_frames_without_segment_header_and_with_control_commands() -> None:
    maps = MapDemultiplexer()
    data = TcTransferFrame(spacecraft_id=1, virtual_channel_id=2, transfer_frame_data_unit=b"abc")
    assert maps.handle_frame(data) == [MapEvent(None, ServiceDataUnit(b"abc", 1))]
    control = TcTransferFrame.control(Unlock(), spacecraft_id=1, virtual_channel_id=2)
    assert maps.handle_frame(control) == []


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.4", "last valid octet pointer (rules 001 and 010)")
@given(st.binary(min_size=1, max_size=100), st.integers(1, 20))
def test_access_units_in_uslp_frames_of_fixed_length_come_back(octets: bytes, zone_octets: int) -> None:
    reassembler, events = Reassembler(), []
    for at in range(0, len(octets), zone_octets):
        piece = octets[at : at + zone_octets]
        is_last = at + zone_octets >= len(octets)
        field = UslpTransferFrameDataField(
            construction_rule=ConstructionRule.CONTINUING_ACCESS_UNIT if at else ConstructionRule.START_OF_ACCESS_UNIT,
            uslp_protocol_id=5,
            transfer_frame_data_zone=piece.ljust(zone_octets, b"\x55"),
            first_header_or_last_valid_octet_pointer=len(piece) - 1 if is_last else POINTER_ALL_ONES,
        )
        events += reassembler.handle_data_field(UslpTransferFrameDataField.decode(field.encode()))
    assert events == [ServiceDataUnit(octets, -(-len(octets) // zone_octets))]


def test_what_a_caller_gets_wrong() -> None:
    stream = UslpTransferFrameDataField(
        construction_rule=ConstructionRule.OCTET_STREAM, uslp_protocol_id=4, transfer_frame_data_zone=b"x"
    )
    with pytest.raises(ProtocolError):
        Reassembler().handle_data_field(stream)
    with pytest.raises(EncodeError, match="at least one octet"):
        segment(b"", 4)
    with pytest.raises(EncodeError, match="does not fit"):
        block_packets([bytes(5)], 4)
    for wrong in (lambda: segment(b"x", 0), lambda: block_packets([], 0), lambda: Reassembler(0)):
        with pytest.raises(ConfigurationError, match="maximum_octets"):
            wrong()


def uslp(map_id: int, rule: int, zone: bytes, pointer: int | None = None, **fields: int) -> UslpTransferFrame:
    field = UslpTransferFrameDataField(
        construction_rule=ConstructionRule(rule),
        uslp_protocol_id=5,
        transfer_frame_data_zone=zone,
        first_header_or_last_valid_octet_pointer=pointer,
    )
    made = UslpTransferFrame(
        spacecraft_id=1, virtual_channel_id=2, map_id=map_id, transfer_frame_data_field=field.encode(), **fields
    )
    return UslpTransferFrame.decode(made.encode(), frame_error_control_present=False)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3.2", "MAP packet extraction and MAP access reassembly, per MAP")
def test_uslp_maps_carry_what_their_frames_say() -> None:
    maps = UslpMapDemultiplexer()
    packet = bytes.fromhex("0801c0000001cafe")
    assert not maps.handle_frame(uslp(1, 0b000, packet[:5], 0)) and not maps.handle_frame(uslp(2, 0b100, b"ab"))
    assert maps.handle_frame(uslp(3, 0b011, b"stream")) == [MapEvent(3, OctetStreamPortion(b"stream", False))]
    assert maps.handle_frame(uslp(1, 0b000, packet[5:], POINTER_ALL_ONES)) == [
        MapEvent(1, ExtractedPacket(packet, True, 0, False, False))
    ]
    assert maps.handle_frame(uslp(2, 0b110, b"cd")) == [MapEvent(2, ServiceDataUnit(b"abcd", 2))]
    idle = UslpTransferFrame.only_idle_data(spacecraft_id=1, data_field_octets=9, fill=OnlyIdleDataFill())
    assert maps.handle_frame(idle) == []
    assert maps.handle_frame(uslp(2, 0b111, b"command", protocol_control_command_flag=1)) == []
    assert not maps.handle_frame(uslp(1, 0b000, packet[:5], 0)) and not maps.handle_frame(uslp(2, 0b100, b"ef"))
    assert maps.handle_frame(uslp(3, 0b011, b"late"), gap_before=True) == [
        MapEvent(2, SegmentDiscarded(DiscardReason.GAP, b"ef")),
        MapEvent(3, OctetStreamPortion(b"late", True)),
    ]
    assert maps.handle_frame(uslp(1, 0b000, packet[5:] + packet, 3)) == [
        MapEvent(1, ExtractedPacket(packet, True, 3, True, False))
    ]
    assert not maps.handle_frame(uslp(2, 0b100, b"gh"))
    assert maps.finish() == [MapEvent(2, SegmentDiscarded(DiscardReason.END, b"gh"))]
    assert maps.maps[1].extractor.counters.dropped_gap == 1


@given(st.lists(st.tuples(uslp_transfer_frames(maximum_zone_octets=12), st.booleans()), max_size=10))
def test_no_uslp_frames_raise(frames: list[tuple[UslpTransferFrame, bool]]) -> None:
    maps = UslpMapDemultiplexer(maximum_octets=20)
    events = [event for made, gap in frames for event in maps.handle_frame(made, gap_before=gap)]
    segments = sum(one.reassembler.counters.segments for one in maps.maps.values())
    zones = sum(one.extractor.counters.zones for one in maps.maps.values())
    streams = sum(isinstance(event, OctetStreamPortion) for _, event in events)
    silent = sum(
        made.is_only_idle_data or bool(made.protocol_control_command_flag) or made.data_field.is_only_idle_data
        for made, _ in frames
    )
    assert segments + zones + streams + silent == len(frames)
    maps.finish()
    broken = UslpTransferFrame(spacecraft_id=1, virtual_channel_id=2, transfer_frame_data_field=b"\0")
    assert maps.handle_frame(broken) == [] and maps.invalid_data_fields == 1


@given(st.lists(space_packets(maximum_data_octets=20, allow_idle=False), min_size=1, max_size=6), st.integers(1, 30))
def test_packets_over_uslp_frames_of_either_kind(units: list[object], maximum: int) -> None:
    encoded = [unit.encode() for unit in units]  # type: ignore[attr-defined]
    rules = {FIRST: 0b100, CONTINUING: 0b101, LAST: 0b110, UNSEGMENTED: 0b111}
    maps, found = UslpMapDemultiplexer(), []
    for octets in encoded:
        for flags, portion in segment(octets, maximum):
            found += [event for _, event in maps.handle_frame(uslp(1, rules[flags], portion))]
    assert [event.octets for event in found] == encoded
