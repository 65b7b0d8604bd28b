"""Packet extraction: what was sent comes out, each kind of damage costs what the rule says, nothing raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError
from ccsds.frames.tm import NO_PACKET_START, ONLY_IDLE_DATA
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.packet_extraction import ExtractedPacket, ExtractionParameters, PacketExtractor
from ccsds.testing.strategies import packets

A, B = (SpacePacket(application_process_id=n, packet_data_field=bytes([n]) * 4).encode() for n in (1, 2))  # 10 octets
INCOMPLETE = ExtractionParameters(deliver_incomplete_packets=True)


def cut(units: list[bytes], size: int) -> tuple[list[tuple[bytes, int]], list[tuple[int, int]]]:
    """Zones of `size` octets with their pointers, filled up with idle packets; where each packet begins and ends."""
    stream, places = b"", []
    for unit in units:
        places.append((len(stream), len(stream) + len(unit)))
        stream += unit
    stream += b"\xe0" * (-len(stream) % size)
    starts = [begin for begin, _ in places] + list(range(places[-1][1], len(stream)))
    zones = []
    for at in range(0, len(stream), size):
        inside = [start - at for start in starts if at <= start < at + size]
        zones.append((stream[at : at + size], inside[0] if inside else NO_PACKET_START))
    return zones, places


def run(
    zones: list[tuple[Any, ...]], parameters: ExtractionParameters | None = None
) -> tuple[list[ExtractedPacket], Any]:
    extractor = PacketExtractor(parameters)
    found = [packet for zone in zones for packet in extractor.extract(*zone[:2], **dict(zone[2:]))]
    return found + extractor.finish(), extractor.counters


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "packet extraction: packets over frames, losses of frames")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.6", "first header pointer")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: packets over frames, losses of frames")
@given(
    units=st.lists(packets().map(lambda p: p.encode()), min_size=1, max_size=12),
    size=st.integers(1, 90),
    data=st.data(),
)
def test_exactly_the_packets_that_lie_in_received_frames_come_out(
    units: list[bytes], size: int, data: st.DataObject
) -> None:
    zones, places = cut(units, size)
    lost = set(data.draw(st.lists(st.integers(0, len(zones) - 1), max_size=3)))
    extractor = PacketExtractor()
    found: list[ExtractedPacket] = []
    received: list[int] = []
    gap = False
    for index, (zone, pointer) in enumerate(zones):
        if index in lost:
            gap = bool(received)
            continue
        found += extractor.extract(zone, pointer, gap_before=gap)
        received.append(index)
        gap = False
    whole = [
        (unit, begin // size)
        for unit, (begin, end) in zip(units, places, strict=True)
        if not lost & set(range(begin // size, (end - 1) // size + 1))
    ]
    padding = [packet for packet in found if packet.octets == b"\xe0"]
    assert [(p.octets, received[p.frame_index]) for p in found if p not in padding] == [
        w for w in whole if w[0] != b"\xe0"
    ]
    assert all(packet.is_complete for packet in found)
    counters = extractor.counters
    assert (counters.zones, counters.unknown_packet_versions, counters.pointers_invalid) == (len(received), 0, 0)
    assert counters.packets + counters.idle_packets == len(found)
    assert counters.packet_octets + counters.idle_octets == sum(len(packet.octets) for packet in found)
    assert (counters.pointer_mismatches, counters.dropped_mismatch) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=40) | packets().map(lambda packet: packet.encode()),
            st.integers(0, 45) | st.sampled_from([NO_PACKET_START, ONLY_IDLE_DATA]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.sampled_from([None, 1, 20]),
)
def test_any_zones_are_accounted_for_and_incomplete_delivery_changes_nothing_else(
    zones: list[tuple[bytes, int, bool, bool]], maximum: int | None
) -> None:
    calls = [(zone, pointer, ("only_idle", idle), ("gap_before", gap)) for zone, pointer, idle, gap in zones]
    plain, counters = run(calls, ExtractionParameters(maximum_packet_octets=maximum))
    more, same = run(calls, ExtractionParameters(maximum_packet_octets=maximum, deliver_incomplete_packets=True))
    assert counters == same
    assert [packet for packet in more if packet.is_complete] == plain
    dropped = counters.dropped_gap + counters.dropped_mismatch + counters.dropped_pointer_invalid + counters.dropped_end
    assert len(more) - len(plain) == dropped
    for packet in plain:
        unit = (EncapsulationPacket if packet.octets[0] >> 5 else SpacePacket).decode(packet.octets)
        assert unit.encode() == packet.octets and unit.is_idle == packet.is_idle


def test_an_idle_packet_cut_off_at_the_end_of_a_frame() -> None:
    found, counters = run([(A + SpacePacket.idle(30).encode()[:10], 0), (B, 0)])
    assert [packet.octets for packet in found] == [A, B]
    assert (counters.dropped_mismatch, counters.pointer_mismatches) == (1, 1)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "packet extraction: first header pointer against packet length")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: first header pointer against packet length")
def test_a_pointer_that_contradicts_the_length() -> None:
    found, counters = run([(A[:6], 0), (A[6:] + b"x" + B, 5)], INCOMPLETE)
    assert [(packet.octets, packet.is_complete) for packet in found] == [(A, False), (B, True)]
    assert counters.pointer_mismatches == 1


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: packets over frames, losses of frames")
def test_a_header_cut_by_the_end_of_a_frame() -> None:
    for at in range(1, 10):
        found, counters = run([(A[:at], 0), (A[at:] + B, 10 - at)])
        assert [packet.octets for packet in found] == [A, B]
        assert counters.pointer_matches == 1


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.6.4", "first header pointer: no packet starts")
def test_a_frame_without_start_that_ends_the_packet_early() -> None:
    found, counters = run([(A[:6], 0), (A[6:] + b"more", NO_PACKET_START), (B, 0)])
    assert [packet.octets for packet in found] == [B]
    assert (counters.dropped_mismatch, counters.zones_without_packet_start) == (1, 1)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.6.5", "first header pointer: only idle data")
def test_idle_frames_do_not_interrupt_a_packet() -> None:
    idle = [(b"\x00" * 10, ONLY_IDLE_DATA), (A, 0, ("only_idle", True))]
    found, counters = run([(A[:4], 0), *idle, (A[4:], NO_PACKET_START)])
    assert [packet.octets for packet in found] == [A]
    assert counters.only_idle_data_zones == 2


def test_a_gap_drops_the_packet_and_marks_the_next() -> None:
    gap = ("gap_before", True)
    found, counters = run([(A + A[:4], 0), (A[4:] + B + A, 6, gap)], INCOMPLETE)
    assert [(p.octets, p.is_complete, p.gap_before) for p in found] == [
        (A, True, False),
        (A[:4], False, False),
        (B, True, True),
        (A, True, False),
    ]
    assert counters.dropped_gap == 1


def test_a_pointer_behind_the_zone() -> None:
    found, counters = run([(A[:4], 0), (A[4:] + B, 16), (B, 0)])
    assert [packet.octets for packet in found] == [B]
    assert (counters.pointers_invalid, counters.dropped_pointer_invalid) == (1, 1)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "packet extraction: maximum length of a packet")
@pytest.mark.parametrize(
    ("start", "counter"),
    [
        (b"\x20", "unknown_packet_versions"),
        (b"\xe4", "invalid_packets"),  # not idle, and no length
        (b"\xe5\x01", "invalid_packets"),  # shorter than its own header
        (SpacePacket.idle(200).encode()[:20], "oversize_packets"),
    ],
)
def test_what_cannot_be_followed_waits_for_the_next_pointer(start: bytes, counter: str) -> None:
    zones = [(A + start + B, 0), (B, NO_PACKET_START), (B, 0)]
    found, counters = run(zones, ExtractionParameters(maximum_packet_octets=100, deliver_incomplete_packets=True))
    assert [packet.octets for packet in found] == [A, B]
    assert getattr(counters, counter) == 1
    for at in range(1, len(start)):  # the same when the header arrives in two pieces
        zones = [(A + start[:at], 0), (start[at:] + B, NO_PACKET_START), (B, 0)]
        found, counters = run(zones, ExtractionParameters(maximum_packet_octets=100))
        assert [packet.octets for packet in found] == [A, B]
        assert getattr(counters, counter) == 1


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.2.2", "M_PDU first header pointer: no packet starts, only idle data")
def test_special_pointers_are_as_wide_as_the_field() -> None:
    wide = ExtractionParameters(first_header_pointer_bits=16)
    found, counters = run([(A[:4], 0), (b"idle", 0xFFFE), (A[4:], 0xFFFF)], wide)
    assert [packet.octets for packet in found] == [A]
    assert (counters.only_idle_data_zones, counters.zones_without_packet_start) == (1, 1)
    filler = SpacePacket(application_process_id=3, packet_data_field=bytes(2051)).encode()
    found, _ = run([(filler[:-2047], 0), (filler[-2047:] + B, 2047)], wide)
    assert [packet.octets for packet in found] == [filler, B]


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "packet extraction: valid packet version numbers")
def test_versions_are_chosen() -> None:
    only_space = ExtractionParameters(valid_packet_versions=frozenset({0}))
    found, counters = run([(A + b"\xe0" + B, 0)], only_space)
    assert [packet.octets for packet in found] == [A]
    assert counters.unknown_packet_versions == 1
    with pytest.raises(ConfigurationError, match="valid_packet_versions"):
        ExtractionParameters(valid_packet_versions=frozenset({0, 3}))
    with pytest.raises(ConfigurationError, match="first_header_pointer_bits"):
        ExtractionParameters(first_header_pointer_bits=12)
    with pytest.raises(ConfigurationError, match="maximum_packet_octets"):
        ExtractionParameters(maximum_packet_octets=0)
