"""The reference receiver on frames that the tests make: counts, repeats, foreign and damaged frames."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import MultiplexingProtocolDataUnit
from ccsds.frames.tm import TmTransferFrame
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing.reference_receiver import LinkParameters, deinterleave, receive_frames
from ccsds.testing.strategies import aos_transfer_frames, tm_transfer_frames

PACKET = SpacePacket(application_process_id=1, packet_data_field=b"data").encode()


def aos(count: int, **fields: Any) -> bytes:
    unit = MultiplexingProtocolDataUnit(first_header_pointer=0, packet_zone=PACKET)
    values: dict[str, Any] = {
        "spacecraft_id": 3,
        "virtual_channel_id": 1,
        "virtual_channel_frame_count": count % (1 << 24),
        "virtual_channel_frame_count_cycle": count >> 24,
        "transfer_frame_data_field": unit.encode(),
        "frame_error_control_present": True,
    }
    return AosTransferFrame(**values | fields).encode()


AOS = LinkParameters(protocol="AOS", spacecraft_ids=frozenset({3}), frame_error_control_present=True)


@pytest.mark.parametrize(
    ("counts", "usage", "gaps", "lost"),
    [
        ([1, 2, 3], 0, 0, 0),
        ([1, 4], 0, 1, 2),
        ([(1 << 24) - 1, 0], 0, 0, 0),
        ([(1 << 24) - 1, 1 << 24], 1, 0, 0),
        ([(1 << 24) - 1, 0], 1, 1, (1 << 28) - (1 << 24)),
        ([5, (1 << 24) + 6], 1, 1, 1 << 24),
        ([5, (1 << 24) + 6], 0, 0, 0),
    ],
)
def test_counts_of_24_and_28_bits(counts: list[int], usage: int, gaps: int, lost: int) -> None:
    frames = [aos(count, virtual_channel_frame_count_usage_flag=usage) for count in counts]
    channel = receive_frames(frames, AOS).channels[3, 1]
    assert (channel.frames, channel.counter_gaps, channel.lost_frames) == (len(counts), gaps, lost)
    assert channel.extraction.packets == len(counts)


def test_what_is_set_aside_is_counted_by_its_reason() -> None:
    damaged = bytearray(aos(2))
    damaged[-1] ^= 1
    tm = TmTransferFrame(
        spacecraft_id=3,
        virtual_channel_id=1,
        first_header_pointer=0,
        transfer_frame_data_field=PACKET,
        frame_error_control_present=True,
    ).encode()
    records = [aos(1), aos(1), bytes(damaged), aos(3, spacecraft_id=4), tm, b"short", aos(4)]
    account = receive_frames(records, AOS)
    channel = account.channels[3, 1]
    assert (account.records, account.frame_error_control_failures, account.foreign_records) == (7, 1, 2)
    assert account.undecodable_records == 1
    assert (channel.frames, channel.repeated_frames, channel.counter_gaps, channel.lost_frames) == (3, 1, 1, 2)
    assert channel.extraction.packets == 2


def test_vca_data_and_virtual_channel_63_give_no_packets() -> None:
    frames = [aos(1, virtual_channel_id=63), aos(2, virtual_channel_id=63)]
    channel = receive_frames(frames, AOS).channels[3, 63]
    assert (channel.only_idle_data_frames, channel.extraction.packets) == (2, 0)
    frame = TmTransferFrame(
        spacecraft_id=3,
        virtual_channel_id=1,
        first_header_pointer=0,
        synchronization_flag=1,
        transfer_frame_data_field=PACKET,
    )
    tm = LinkParameters(protocol="TM", spacecraft_ids=frozenset({3}))
    channel = receive_frames([frame.encode()], tm).channels[3, 1]
    assert (channel.frames, channel.extraction.packets, channel.only_idle_data_frames) == (1, 0, 0)


@given(
    st.lists(st.one_of(aos_transfer_frames(), tm_transfer_frames()).map(lambda f: f.encode()) | st.binary(max_size=60)),
    st.sampled_from(["TM", "AOS"]),
    st.booleans(),
    st.integers(1, 5),
)
def test_no_records_raise_and_all_are_accounted_for(
    records: list[bytes], protocol: Any, fecf: bool, issue: int
) -> None:
    parameters = LinkParameters(
        protocol=protocol, spacecraft_ids=frozenset(range(1024)), frame_error_control_present=fecf, issue=issue
    )
    account = receive_frames(records, parameters)
    set_aside = account.frame_error_control_failures + account.foreign_records + account.undecodable_records
    assert account.records == len(records) == set_aside + sum(c.frames for c in account.channels.values())
    complete = [served for served in account.packets if served.packet.is_complete]
    assert len(complete) == sum(c.extraction.packets + c.extraction.idle_packets for c in account.channels.values())


@given(st.binary(max_size=60), st.integers(1, 5))
def test_deinterleaving_is_a_permutation_that_rows_undo(frame: bytes, depth: int) -> None:
    frame = frame[: len(frame) - len(frame) % depth]
    rows = len(frame) // depth
    record = bytes(frame[column * rows + row] for row in range(rows) for column in range(depth))
    assert deinterleave(record, depth) == frame
