"""Streams of packets without frames: one account for every split, and the same packets as the batch face."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.link.account import Account
from ccsds.link.managed_parameters import Mission
from ccsds.link.packet_batch import space_packets
from ccsds.link.receiver import Receiver, receive
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket

PACKETS_ONLY = Mission(name="packets")
PACKET = SpacePacket(application_process_id=5, packet_data_field=b"data").encode()
IDLE = EncapsulationPacket(encapsulation_protocol_id=0).encode()
REFUSED = (
    b"\xe7\0\0\0\xff\xff\xff\xff",  # longer than is believed
    b"\xe5\1",  # shorter than its header
    b"\xe6\0\0\3",
    b"\xe4",  # not idle, and without a length
    b"\x20",  # an unknown version
)
beginnings = st.sampled_from((*REFUSED, PACKET, IDLE, PACKET[:5], b"\xe7\0\0\0\0\0\0\x0ehello!", b""))
streams = st.lists(st.one_of(beginnings, st.binary(max_size=12)), max_size=8).map(b"".join)


def received(octets: bytes, cuts: list[int]) -> tuple[list[bytes], Account]:
    """Packets, idle ones too, and the account of a stream that comes in pieces."""
    receiver = Receiver(PACKETS_ONLY, deliver_idle_packets=True, digest=True)
    at = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    batches = [receiver.feed(octets[start:end]) for start, end in pairwise(at)]
    batches.append(receiver.finish())
    found = [
        bytes(memoryview(batch.packets.octets)[start:end])
        for batch in batches
        for start, end in zip(batch.packets.starts.tolist(), batch.packets.ends.tolist(), strict=True)
    ]
    return found, receiver.account


@pytest.mark.parametrize("refused", REFUSED)
def test_what_is_refused_counts_the_same_octet_by_octet(refused: bytes) -> None:
    octets = PACKET + refused + b"what follows"
    found, account = received(octets, [])
    assert found == [PACKET]
    assert account.totals["unreadable_octets"] == len(octets) - len(PACKET)
    assert received(octets, list(range(len(octets)))) == (found, account)


@given(streams, st.lists(st.integers(0, 60), max_size=12))
def test_a_split_changes_neither_packets_nor_account(octets: bytes, cuts: list[int]) -> None:
    assert received(octets, cuts) == received(octets, [])


@given(streams)
def test_the_stream_and_the_batch_face_find_the_same_packets(octets: bytes) -> None:
    found, account = received(octets, [])
    batch = space_packets(octets)
    spans = zip(batch.starts.tolist(), batch.ends.tolist(), strict=True)
    assert [octets[start:end] for start, end in spans] == found
    assert account.totals["trailing_octets"] == batch.trailing_octets
    assert (account.totals["unreadable_octets"] > 0) == (batch.refusal is not None)
    assert all(unit.encode() == octets for unit, octets in zip(batch, found, strict=True))


@pytest.mark.parametrize("name", ["surplus_channel_frames", "fecf_errors", "trailing_octets", "unreadable_octets"])
def test_damage_of_the_physical_channel_is_a_loss(name: str) -> None:
    whole = receive(PACKET, PACKETS_ONLY).account
    assert whole.lossless
    assert not msgspec.structs.replace(whole, totals={**whole.totals, name: 1}).lossless


@pytest.mark.parametrize("name", ["lost_frames", "pointers_invalid", "invalid_frames", "packets_dropped_by_gap"])
def test_damage_of_a_virtual_channel_is_a_loss(name: str) -> None:
    whole = receive(PACKET, PACKETS_ONLY).account
    rows: list[dict[str, Any]] = [{**row, name: 1} for row in whole.virtual_channels]
    assert not msgspec.structs.replace(whole, virtual_channels=rows).lossless


def test_one_is_not_many_in_words() -> None:
    whole = receive(PACKET, PACKETS_ONLY).account
    assert "1 packet," in str(whole)
    for count, words in ((1, "1 packet cut off by a gap"), (2, "2 packets cut off by a gap")):
        rows = [{**row, "packets_dropped_by_gap": count} for row in whole.virtual_channels]
        assert f"packets: {words}" in msgspec.structs.replace(whole, virtual_channels=rows).remarks()


def test_anything_with_octets_can_be_received_and_nothing_else() -> None:
    for source in (PACKET, bytearray(PACKET), memoryview(PACKET), np.frombuffer(PACKET, np.uint8), io.BytesIO(PACKET)):
        assert len(receive(source, PACKETS_ONLY).packets) == 1  # type: ignore[arg-type]
    for nothing in (None, 5):
        with pytest.raises(TypeError, match="bytes-like"):
            receive(nothing, PACKETS_ONLY)  # type: ignore[arg-type]
