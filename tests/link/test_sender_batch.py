"""The batch face of sending: octet for octet what the object face makes; coded, what the codes of the package make."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds import _native
from ccsds.coding.randomizer import randomize
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.errors import ConfigurationError, EncodeError
from ccsds.link.managed_parameters import (
    MasterChannel,
    PhysicalChannel,
    ReedSolomon,
    Synchronization,
    VirtualChannel,
    mission_from_dict,
)
from ccsds.link.receiver import Receiver
from ccsds.link.sender import Sender
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.packet_extraction import packet_length
from ccsds.testing.reference_receiver import deinterleave

seeds = st.integers(0, 1 << 48)
SPACECRAFT, CHANNEL = 42, 3


def draw_channel(random: Random) -> PhysicalChannel:
    kind = random.choice(["TM", "AOS"])
    own: dict[str, Any] = {
        "virtual_channel_id": CHANNEL,
        "valid_packet_versions": random.choice([[0, 7], [0]]),
        "frame_count_frozen": random.random() < 0.1,
    }
    master: dict[str, Any] = {
        "spacecraft_id": SPACECRAFT,
        "operational_control_field": random.random() < 0.5,
        "virtual_channels": [own],
    }
    tree: dict[str, Any] = {
        "frame_type": kind,
        "frame_octets": random.choice([random.randint(26, 40), random.randint(40, 400), 1115]),
        "frame_error_control": random.random() < 0.5,
        "master_channels": [master],
    }
    if kind == "AOS":
        tree["header_error_control"] = random.choice([None, "check"])
        tree["insert_zone_octets"] = random.choice([0, 3])
        tree["standard_issue"] = random.choice([4, 5])
        own["frame_count_cycle"] = random.random() < 0.5
        own["replay_flag"] = random.random() < 0.5
    elif random.random() < 0.5:
        random.choice([own, master])["secondary_header_octets"] = random.randint(2, 6)
    made = mission_from_dict({"name": "any", "physical_channel": tree}).physical_channel
    assert made is not None
    return made


def make_sender(channel: PhysicalChannel, start: int) -> Sender:
    sender = Sender(channel, queue_octets=1 << 30)
    master, own = channel.master_channels[0], channel.master_channels[0].virtual_channels[0]
    if master.operational_control_field:
        sender.operational_control_field(SPACECRAFT).set(b"\x81\x02\x03\x04")
    if master.secondary_header_octets:
        sender.secondary_header(SPACECRAFT).set(b"abcdefg"[: master.secondary_header_octets - 1])
    elif own.secondary_header_octets:
        sender.secondary_header(SPACECRAFT, CHANNEL).set(b"hijklmn"[: own.secondary_header_octets - 1])
    node: Any = sender._master(SPACECRAFT).find(CHANNEL)
    node.frame_count = start
    return sender


def draw_packet(random: Random, versions: Sequence[int]) -> bytes:
    octets = random.choice([8, 30, 30, 800])
    if random.choice(versions) == 0:
        data = random.randbytes(random.randint(1, octets))
        return SpacePacket(application_process_id=3, packet_data_field=data).encode()
    data, kind = random.randbytes(random.randint(0, octets)), random.choice([1, 7])
    return EncapsulationPacket(encapsulation_protocol_id=kind, encapsulated_data_field=data).encode()


def joined(packets: list[bytes], before: int = 0) -> tuple[bytes, np.ndarray[Any, Any]]:
    """Packets end to end behind some other octets, and their offsets."""
    offsets = np.cumsum([before, *map(len, packets)]).astype(np.uint64)
    return bytes(before) + b"".join(packets) + b"behind", offsets


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_both_faces_make_the_same_frames(seed: int) -> None:
    """In any mixture: what one face leaves waiting, the other goes on with."""
    random = Random(seed)
    channel = draw_channel(random)
    start = random.choice([0, 250, (1 << 24) - 2, (1 << 28) - 2])
    objects, batches = make_sender(channel, start), make_sender(channel, start)
    versions = channel.master_channels[0].virtual_channels[0].valid_packet_versions
    point = objects.packets(SPACECRAFT, CHANNEL)
    expected, made = b"", b""
    for _ in range(random.randint(1, 6)):
        packets = [draw_packet(random, versions) for _ in range(random.choice([0, 1, 3, 40]))]
        for _ in range(random.randint(0, 3) if channel.insert_zone_octets else 0):
            zone = random.randbytes(channel.insert_zone_octets)
            objects.insert_zone().send(zone)
            batches.insert_zone().send(zone)
        for packet in packets:
            point.send(packet)
        expected += b"".join(frame.octets for frame in objects.frames(1 << 30))
        made += bytes(batches.send_batch(SPACECRAFT, CHANNEL, *joined(packets, random.choice([0, 5]))))
        assert made == expected
        assert batches.pending_octets == objects.pending_octets
        if random.random() < 0.3:  # both go on with the object face
            left, right = objects.emit(2), batches.emit(2)
            assert left == right
            expected += b"".join(frame.octets for frame in left)
            made += b"".join(frame.octets for frame in right)
    objects.flush()
    batches.flush()
    assert objects.frames(9) == batches.frames(9)


CODES = st.none() | st.builds(
    ReedSolomon,
    error_correction=st.sampled_from([8, 16]),
    interleaving_depth=st.sampled_from([1, 2, 5]),
    basis=st.sampled_from(["dual", "conventional"]),
)


@pytest.mark.conforms("CCSDS 131.0-B-5", "9", "attached sync marker, sending")
@pytest.mark.conforms("CCSDS 131.0-B-5", "10", "randomization in the sending chain")
@given(
    CODES,
    st.sampled_from([None, "short", "long"]),
    st.sampled_from([None, "1acffc1d", "034776c7272895b0"]),
    st.sampled_from(["TM", "AOS", "USLP"]),
    seeds,
)
@settings(max_examples=80, deadline=None)
def test_a_frame_is_coded_step_by_step(
    code: ReedSolomon | None, sequence: Any, marker: str | None, kind: Any, seed: int
) -> None:
    random = Random(seed)
    octets = 224 if code is None else code.frame_octets
    depth = random.choice([depth for depth in (1, 1, 2, 3, 5) if octets % depth == 0])
    channel = PhysicalChannel(
        frame_type=kind,
        frame_octets=octets,
        reed_solomon=code,
        randomizer=sequence,
        synchronization=None if marker is None else Synchronization(marker=marker),
        deinterleaving_depth=depth,
        master_channels=(MasterChannel(spacecraft_id=1),),
    )
    sender = Sender(channel)
    frames = sender.emit(3)
    expected = b""
    for frame in frames:
        octets_sent = frame.octets
        if depth > 1:
            rows = [octets_sent[row :: len(octets_sent) // depth] for row in range(len(octets_sent) // depth)]
            octets_sent = b"".join(rows)
            assert deinterleave(octets_sent, depth) == frame.octets
        if code is not None:
            kernel = ReedSolomonCode(code.error_correction, code.interleaving_depth, code.virtual_fill, code.basis)
            octets_sent = kernel.encode(octets_sent)
        if sequence is not None:
            octets_sent = randomize(octets_sent, sequence)
        expected += bytes.fromhex(marker or "") + octets_sent
    assert bytes(sender.cadus(frames)) == expected
    assert bytes(sender.cadus(b"".join(frame.octets for frame in frames))) == expected


@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "frames to channel access data units and back")
@pytest.mark.parametrize("kind", ["TM", "AOS"])
@pytest.mark.parametrize("depth", [1, 5])
def test_a_coded_batch_comes_back_through_the_receiver(kind: Any, depth: Any) -> None:
    code = ReedSolomon(interleaving_depth=depth)
    channel = PhysicalChannel(
        frame_type=kind,
        frame_octets=code.frame_octets,
        reed_solomon=code,
        randomizer="long",
        synchronization=Synchronization(),
        frame_error_control=True,
        master_channels=(MasterChannel(spacecraft_id=SPACECRAFT),),
    )
    random = Random(7)
    packets = [draw_packet(random, (0, 7)) for _ in range(3000)]
    sender, plain = Sender(channel), Sender(channel)
    line = bytes(sender.send_batch(SPACECRAFT, CHANNEL, *joined(packets), coded=True))
    assert line == bytes(plain.cadus(plain.send_batch(SPACECRAFT, CHANNEL, *joined(packets))))
    line += bytes(sender.cadus(sender.emit(1)))
    receiver = Receiver(channel)
    got = [packet.encode() for batch in (receiver.feed(line), receiver.finish()) for packet in batch.packets]
    assert got == packets
    assert receiver.account.lossless
    assert receiver.account.totals["corrected_symbols"] == 0


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=5), st.sampled_from([(0, 7), (0,), (7,)]))
@settings(max_examples=300)
def test_packets_are_checked_as_the_slow_way_does(packets: list[bytes], versions: tuple[int, ...]) -> None:
    octets, offsets = joined(packets)
    refused = _native.check_packets(octets, offsets, versions, 9)
    expected = None
    for number, packet in enumerate(packets):
        if packet and packet[0] >> 5 not in versions:
            expected = number, "version"
        elif not packet or slow_length(packet) != len(packet):
            expected = number, "length"
        elif len(packet) > 9:
            expected = number, "too long"
        if expected:
            break
    assert refused == expected


def slow_length(packet: bytes) -> int | None:
    try:
        return packet_length(packet)
    except ValueError:
        return None
    except Exception as error:  # noqa: BLE001 (any refusal counts)
        assert type(error).__name__ == "FieldError"
        return None


def test_a_packet_that_is_none_refuses_the_whole_batch() -> None:
    channel = PhysicalChannel(frame_type="TM", frame_octets=64)
    sender = Sender(channel)
    good = SpacePacket(application_process_id=1, packet_data_field=bytes(50)).encode()
    with pytest.raises(EncodeError, match="packet 1 of the batch states another length"):
        sender.send_batch(1, 0, *joined([good, good[:-1]]))
    with pytest.raises(ValueError, match="offsets must rise"):
        sender.send_batch(1, 0, good, np.array([0, 99], dtype=np.uint64))
    with pytest.raises(ValueError, match="offsets must rise"):
        sender.send_batch(1, 0, good, np.array([], dtype=np.uint64))
    assert sender.pending_octets == 0
    assert len(sender.send_batch(1, 0, *joined([good, good]))) == 64


def test_a_batch_is_charged_to_the_rate_limit() -> None:
    own = VirtualChannel(virtual_channel_id=0, maximum_bits_per_second=64 * 8)
    master = MasterChannel(spacecraft_id=1, virtual_channels=(own,))
    sender = Sender(PhysicalChannel(frame_type="TM", frame_octets=64, master_channels=(master,)))
    good = SpacePacket(application_process_id=1, packet_data_field=bytes(52)).encode()
    assert len(sender.send_batch(1, 0, *joined([good] * 3), now_ns=0)) == 3 * 64
    sender.packets(1, 0).send(good)
    assert sender.next_frame(2_999_999_999) is None
    assert sender.next_frame(3_000_000_000) is not None


def test_what_cannot_be_coded_is_named() -> None:
    with pytest.raises(ConfigurationError, match="send_batch is a service of TM and AOS frames only"):
        Sender(PhysicalChannel(frame_type="TC", frame_octets=64)).send_batch(1, 0, *joined([]))
    with pytest.raises(ConfigurationError, match="variable length"):
        Sender(PhysicalChannel(frame_type="TC", frame_octets=64)).cadus(b"")
    channel = PhysicalChannel(
        frame_type="TM", frame_octets=64, synchronization=Synchronization(marker="352ef853f", tolerated_bit_errors=1)
    )
    with pytest.raises(ConfigurationError, match="not whole octets"):
        Sender(channel).cadus(b"")
    with pytest.raises(EncodeError, match="6 octets are left over"):
        Sender(msgspec.structs.replace(channel, synchronization=None)).cadus(bytes(70))
