"""Fuzzing of the receiving chain: drawn profiles, drawn and damaged streams, and what must hold for all of them.

    python tests/fuzz/receiver.py --seconds 600 --seed 1

An input that breaks a rule is reported with its number; `--only NUMBER` repeats it.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import time
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ccsds.errors import ConfigurationError
from ccsds.link.frame_batch import STATUS, FrameBatch
from ccsds.link.managed_parameters import MasterChannel, PhysicalChannel, Synchronization, VirtualChannel
from ccsds.link.receiver import Batch, Receiver, _concatenate
from ccsds.procedures.packet_extraction import ExtractionParameters
from ccsds.testing.impaired_stream import (
    FrameType,
    Randomizer,
    ReceiverSettings,
    ReedSolomon,
    TransmitterParameters,
    VirtualChannelTraffic,
    transmit,
)
from ccsds.testing.receiving_end import channel_of
from ccsds.testing.reference_receiver import LinkParameters, receive_frames
from ccsds.testing.transmitter import encode_frames
from ccsds.testing.transmitter.coding import frame_error_control, frame_header_error_control


class Received(NamedTuple):
    """Everything that came out of one stream."""

    packets: Any
    frames: Any
    account: Any


# -- drawing -----------------------------------------------------------------------------------------------------------


def draw_transmitter(random: Random) -> TransmitterParameters:
    """A physical channel as the sending end knows it, small so that many fit into a second."""
    tm = random.random() < 0.5
    code = None
    if random.random() < 0.4:
        depth, symbols = random.choice((1, 1, 2, 3)), random.choice((16, 8))
        fill = depth * random.randrange(0, 120)
        code = ReedSolomon(
            correctable_symbols=symbols,
            interleaving_depth=depth,
            virtual_fill_octets=fill,
            dual_basis=random.random() < 0.7,
        )
    channels = random.sample(range(8 if tm else 64), random.randint(1, 3))
    traffic = tuple(
        VirtualChannelTraffic(
            virtual_channel_id=each,
            shortest_packet_octets=9,
            longest_packet_octets=random.choice((12, 60, 400, 3000)),
            encapsulation_share=random.choice((0.0, 0.4)),
            idle_packet_share=random.choice((0.0, 0.2)),
            cut_idle_share=random.choice((0.0, 0.1)),
            only_idle_data_share=random.choice((0.0, 0.2)),
        )
        for each in channels
    )
    return TransmitterParameters(
        frame_type=FrameType.TM if tm else FrameType.AOS,
        spacecraft_id=random.randrange(1024 if tm else 256),
        virtual_channels=traffic,
        reed_solomon=code,
        uncoded_frame_octets=random.choice((110, 128, 223, 400)),
        randomizer=random.choice(tuple(Randomizer)),
        secondary_header_octets=random.choice((0, 0, 2, 9)) if tm else 0,
        insert_zone_octets=0 if tm else random.choice((0, 0, 8)),
        frame_header_error_control=not tm and random.random() < 0.3,
        frame_count_cycle=not tm and random.random() < 0.3,
        operational_control_field=random.random() < 0.5,
        frame_error_control_field=random.random() < 0.7,
    )


def draw_virtual_channel(random: Random, identifier: int, tm: bool) -> VirtualChannel:
    """Managed parameters of one virtual channel, each at one of a few values."""
    services = ("packets",) * 6 + (("access",) if tm else ("access", "bitstream"))
    return msgspec.convert(
        {
            "virtual_channel_id": identifier,
            "service": random.choice(services),
            "secondary_header_octets": random.choice((None, None, None, 2, 9)) if tm else None,
            "valid_packet_versions": random.choice(((0, 7), (0, 7), (0,), (7,))),
            "maximum_packet_octets": random.choice((65_542, 65_542, 7, 50, 300)),
            "deliver_incomplete_packets": random.random() < 0.5,
            "remove_repeated_frames": random.random() < 0.8,
            "frame_count_frozen": random.random() < 0.1,
        },
        VirtualChannel,
    )


def draw_channel(random: Random, sent: TransmitterParameters) -> PhysicalChannel:
    """The receiving end: mostly what was agreed upon, with the freedom that a mission has; now and then all wrong."""
    channel = channel_of(sent, ReceiverSettings())
    tm = channel.frame_type == "TM"
    declared = [each.virtual_channel_id for each in sent.virtual_channels if random.random() < 0.7]
    master = MasterChannel(
        spacecraft_id=sent.spacecraft_id,
        operational_control_field=channel.master_channels[0].operational_control_field,
        virtual_channels=tuple(draw_virtual_channel(random, each, tm) for each in declared),
    )
    other = MasterChannel(spacecraft_id=(sent.spacecraft_id + 1) % 256)
    masters = random.choice(((master,), (master,), (master, other), ()))
    changes: dict[str, Any] = {"master_channels": masters, "late_frame_window": random.choice((64, 0, 3))}
    if not tm:
        changes["standard_issue"] = random.choice((None, 5, 4, 2))
        changes["header_error_control"] = channel.header_error_control and random.choice(("check", "correct"))
    if random.random() < 0.15:
        changes |= _mismatch(random, channel)
    marker = random.choice(("1acffc1d",) * 6 + ("1a", "352ef853", "034776c7272895b0", "0000", "ffffff"))
    changes["synchronization"] = random.choice(
        (
            None,
            Synchronization(
                marker=marker,
                tolerated_bit_errors=random.choice((0, 1, 2, 3)),
                flywheel_frames=random.choice((0, 1, 3, 9)),
                maximum_slip_bits=random.choice((0, 1, 2, 7)),
                accept_inverted=random.random() < 0.7,
            ),
        )
    )
    return msgspec.structs.replace(channel, **changes)


def _mismatch(random: Random, channel: PhysicalChannel) -> dict[str, Any]:
    changes: dict[str, Any] = {"randomizer": random.choice((None, "short", "long"))}
    if channel.reed_solomon is None:
        changes["frame_octets"] = octets = random.choice((13, 25, 64, 111, 2100, 4096))
        changes["deinterleaving_depth"] = random.choice([n for n in (1, 2, 3, 4, 5) if octets % n == 0])
    changes["frame_error_control"] = random.random() < 0.5
    if channel.frame_type == "AOS":
        changes["insert_zone_octets"] = random.choice((0, 1, 8))
        changes["header_error_control"] = random.choice((None, "check", "correct"))
    return changes


# -- mutation of frames ------------------------------------------------------------------------------------------------


def mutate_frames(
    random: Random, frames: list[bytes], sent: TransmitterParameters, *, with_time: bool = True
) -> list[bytes]:
    """Frames whose fields say other things than they should, mostly with valid checks; some lost, repeated, moved."""
    out = list(frames)
    for _ in range(random.randint(0, len(out) // 2 + 1)):
        at = random.randrange(len(out))
        kind = random.choice(("field", "field", "field", "drop", "repeat", "repeat later", "move"))
        if kind == "field":
            out[at] = _mutated(random, out[at], sent)
        elif kind == "drop" and len(out) > 1:
            del out[at]
        elif kind == "repeat":
            out.insert(at, out[at])
        elif kind == "repeat later":
            out.insert(random.randint(at, len(out)), out[at])
        elif with_time:
            out.insert(random.randint(0, len(out) - 1), out.pop(at))
    return out


def _mutated(random: Random, frame: bytes, sent: TransmitterParameters) -> bytes:
    octets = bytearray(frame)
    start = sent.data_field_offset
    tm = sent.frame_type is FrameType.TM
    pointer_at = 4 if tm else start
    zone = start if tm else start + 2
    kind = random.choice(("pointer", "count", "packet", "packet", "version", "spacecraft", "channel", "flags", "octet"))
    if kind == "pointer":
        old = int.from_bytes(octets[pointer_at : pointer_at + 2], "big")
        new = random.choice((0, 1, 2046, 2047, random.randrange(2048), len(octets) - zone - 6, (old + 1) & 2047))
        octets[pointer_at : pointer_at + 2] = (old & 0xF800 | new).to_bytes(2, "big")
    elif kind == "count":
        octets[3 if tm else 4] = (octets[3 if tm else 4] + random.choice((1, 2, 5, 128, 255))) & 255
    elif kind == "packet":
        at = random.randrange(zone, len(octets) - 8)
        header = random.choice((b"\x00\x07\xc0\x01", b"\x07\xff\xc0\x01", b"\xe1", b"\xe6\0", b"\xe7\0\0\0", b"\x20"))
        length = random.choice((b"", b"\0\0", b"\0\x09", b"\xff\xff", b"\0", b"\x05"))
        octets[at : at + len(header) + len(length)] = header + length
        del octets[len(frame) :]
    elif kind == "version":
        octets[0] ^= random.choice((0x40, 0x80, 0xC0))
    elif kind == "spacecraft":
        octets[1] ^= random.choice((0x10, 0x40, 0x80))
    elif kind == "channel":
        octets[1] ^= random.choice((0x02, 0x04, 0x08) if tm else (0x01, 0x02, 0x3F))
    elif kind == "flags":
        octets[4 if tm else 5] ^= random.choice((0x80, 0x40, 0x20))
    else:
        octets[random.randrange(zone, len(octets))] ^= 1 << random.randrange(8)
    return sealed(bytes(octets), sent) if random.random() < 0.9 else bytes(octets)


def sealed(frame: bytes, sent: TransmitterParameters) -> bytes:
    """The frame with its check fields made anew."""
    octets = bytearray(frame)
    if sent.frame_header_error_control:
        check = frame_header_error_control(int.from_bytes(octets[:2], "big"), octets[5])
        octets[6:8] = check.to_bytes(2, "big")
    if sent.frame_error_control_field:
        octets[-2:] = frame_error_control(bytes(octets[:-2])).to_bytes(2, "big")
    return bytes(octets)


def damage(random: Random, octets: bytes) -> bytes:
    """A stream with bits turned, octets lost and added, noise; often as it was."""
    stream = bytearray(octets)
    for _ in range(random.choice((0, 0, 1, 3, 20))):
        at = random.randrange(len(stream) + 1)
        kind = random.choice(("bit", "bit", "cut", "noise", "invert", "slip"))
        if kind == "bit" and at < len(stream):
            stream[at] ^= 1 << random.randrange(8)
        elif kind == "cut":
            del stream[at : at + random.choice((1, 2, 50, 500))]
        elif kind == "noise":
            stream[at:at] = random.randbytes(random.choice((1, 3, 40, 300)))
        elif kind == "invert":
            stream[at : at + 400] = bytes(octet ^ 255 for octet in stream[at : at + 400])
        elif kind == "slip":
            rest = int.from_bytes(stream[at:], "big") << random.randrange(1, 8)
            stream[at:] = rest.to_bytes(len(stream) - at + 1, "big")
    return bytes(stream)


# -- receiving and comparing -------------------------------------------------------------------------------------------


def receive_pieces(receiver: Receiver, pieces: list[bytes], times_ns: list[int] | None = None) -> Received:
    """Feed the pieces, finish, and put everything together."""
    times: list[int | None] = list(times_ns) if times_ns else [None] * len(pieces)
    batches = [receiver.feed(piece, reception_time_ns=time_ns) for piece, time_ns in zip(pieces, times, strict=True)]
    batches.append(receiver.finish())
    return joined(batches, receiver)


def joined(batches: list[Batch], receiver: Receiver) -> Received:
    """One of many."""
    frames = [batch.frames for batch in batches if batch.frames is not None]
    return Received(
        _concatenate([batch.packets for batch in batches]),
        FrameBatch.concatenate(frames) if frames else None,
        receiver.account,
    )


def split(random: Random, octets: bytes) -> list[bytes]:
    """Pieces of any size, empty ones too."""
    cuts = sorted(random.choice((0, len(octets), random.randint(0, len(octets)))) for _ in range(random.randint(0, 9)))
    return [octets[start:end] for start, end in itertools.pairwise([0, *cuts, len(octets)])]


def assert_same(one: Received, other: Received) -> None:
    """Columns, octets and account are equal."""
    assert one.account == other.account
    assert one.packets.to_bytes() == other.packets.to_bytes()
    assert one.packets.lengths.tolist() == other.packets.lengths.tolist()
    for name in one.packets.names:
        assert one.packets[name].tolist() == other.packets[name].tolist(), name
    if one.frames is not None:
        assert (one.frames.octets == other.frames.octets).all()
        for name in one.frames.columns:
            assert one.frames[name].tolist() == other.frames[name].tolist(), name


def assert_adds_up(received: Received, channel: PhysicalChannel, octets: int, deliver_idle: bool) -> None:
    """The account agrees with what came out, and no octet is unaccounted for."""
    frames, packets, account = received
    frames, packets = packets, frames
    totals, rows = account.totals, account.virtual_channels
    status = {name: int((frames["status"] == value).sum()) for name, value in STATUS.items()}
    sums = (
        {name: sum(row[name] for row in rows) for name, value in rows[0].items() if type(value) is int} if rows else {}
    )
    assert totals["records"] == len(frames) + totals["wrong_length_records"]
    assert sums.get("frames", 0) == status["accepted"] + status["repeated"] + status["invalid"]
    assert sums.get("repeated_frames", 0) == status["repeated"]
    assert sums.get("invalid_frames", 0) == status["invalid"]
    assert totals["foreign_frames"] == status["foreign"]
    assert totals.get("surplus_channel_frames", 0) == status.get("surplus", 0)
    assert totals["uncorrectable_codeblocks"] == int((frames["corrected_symbols"] < 0).sum())
    own = frames["corrected_symbols"]
    assert totals["corrected_symbols"] >= int(own[own > 0].sum())
    assert sums.get("lost_frames", 0) == int(frames["lost_frames_before"].sum(dtype=np.int64))
    complete = packets[packets["complete"] == 1]
    assert len(packets) - len(complete) == sums.get("incomplete_packets", 0)
    idle = sums.get("idle_packets", 0) if deliver_idle else 0
    idle_octets = sums.get("idle_octets", 0) if deliver_idle else 0
    assert len(complete) == totals["packets"] + idle
    assert int(complete.lengths.sum()) == totals["packet_octets"] + idle_octets
    by_source = sum(row["packets"] for row in (*account.application_processes, *account.encapsulation))
    assert by_source == totals["packets"] + sums.get("idle_packets", 0)
    if channel.synchronization is None:
        assert totals["records"] * channel.record_octets + totals["trailing_octets"] == octets
    else:
        seen = account.synchronization
        period = 4 * len(channel.synchronization.marker) + 8 * channel.record_octets
        assert seen["blocks"] == totals["records"]
        starts = frames["bit_position"].astype(np.int64)
        ends = np.maximum.accumulate(np.concatenate([[0], starts + period]))  # blocks may overlap where lock was lost
        covered = int(np.minimum(period, starts + period - ends[:-1]).clip(0).sum())
        assert covered + seen["skipped_bits"] == 8 * octets
    if not deliver_idle:
        _assert_digests(complete, rows)


def _assert_digests(complete: Any, rows: Any) -> None:
    for key, group in itertools.groupby(rows, lambda row: (row["spacecraft_id"], row["virtual_channel_id"])):
        own = list(group)
        if len(own) == 1:  # real-time and replayed packets of a channel come out mixed
            mask = (complete["spacecraft_id"] == key[0]) & (complete["virtual_channel_id"] == key[1])
            assert hashlib.sha256(complete[mask].to_bytes()).hexdigest() == own[0]["sha256"]


# -- the oracle --------------------------------------------------------------------------------------------------------

_COUNTERS = {
    "packets": "packets",
    "packet_octets": "packet_octets",
    "idle_packets": "idle_packets",
    "idle_octets": "idle_octets",
    "pointer_matches": "pointer_matches",
    "pointer_mismatches": "pointer_mismatches",
    "pointers_invalid": "pointers_invalid",
    "frames_without_packet_start": "zones_without_packet_start",
    "unknown_packet_versions": "unknown_packet_versions",
    "invalid_packets": "invalid_packets",
    "oversize_packets": "oversize_packets",
    "packets_dropped_by_gap": "dropped_gap",
    "packets_unfinished": "dropped_end",
}


def compare_with_oracle(random: Random, frames: list[bytes], sent: TransmitterParameters) -> None:
    """The Rust chain and the slow receiver of `ccsds.testing` on the same frames: every counter, every packet."""
    tm = sent.frame_type is FrameType.TM
    issue = random.choice((2, 4, 5))
    incomplete, remove = random.random() < 0.5, random.random() < 0.8
    if tm:
        frames = [_plain_secondary_header(frame, sent) for frame in frames]
    else:
        frames = _forward_only(frames, sent, issue, remove)
    versions = random.choice(((0, 7), (0, 7), (0,), (7,)))
    maximum = random.choice((65_542, 65_542, 40, 300))
    override = random.choice((None, None, 5)) if tm and sent.secondary_header_octets else None
    parameters = LinkParameters(
        protocol="TM" if tm else "AOS",
        spacecraft_ids=frozenset({sent.spacecraft_id}),
        frame_error_control_present=sent.frame_error_control_field,
        frame_header_error_control_present=sent.frame_header_error_control,
        operational_control_field_present=sent.operational_control_field and not tm,
        insert_zone_octets=sent.insert_zone_octets,
        secondary_header_octets=override,
        issue=issue,
        remove_repeated_frames=remove,
        extraction=ExtractionParameters(
            valid_packet_versions=frozenset(versions),
            maximum_packet_octets=maximum,
            deliver_incomplete_packets=incomplete,
        ),
    )
    channel = _same_for_the_chain(sent, parameters, issue)
    receiver = Receiver(channel, deliver_idle_packets=True, digest=True)
    received = receive_pieces(receiver, split(random, b"".join(frames)))
    replay = [not tm and frame[5] >> 7 == 1 for frame in frames]
    oracles = [
        receive_frames(
            [frame for frame, is_replay in zip(frames, replay, strict=True) if is_replay == wanted], parameters
        )
        for wanted in (False, True)
    ]
    _assert_totals(received, oracles)
    for is_replay, oracle in zip((False, True), oracles, strict=True):
        for key, expected in oracle.channels.items():
            row = next(
                row
                for row in received.account.virtual_channels
                if (row["spacecraft_id"], row["virtual_channel_id"], row["replay"]) == (*key, is_replay)
            )
            _assert_channel(row, expected)
            if tm or not oracles[not is_replay].channels.get(key):
                _assert_packets(received, key, oracle, tm)


def _same_for_the_chain(sent: TransmitterParameters, link: LinkParameters, issue: int) -> PhysicalChannel:
    rules = {
        "secondary_header_octets": link.secondary_header_octets,
        "valid_packet_versions": tuple(sorted(link.extraction.valid_packet_versions)),
        "maximum_packet_octets": link.extraction.maximum_packet_octets,
        "deliver_incomplete_packets": link.extraction.deliver_incomplete_packets,
        "remove_repeated_frames": link.remove_repeated_frames,
    }
    tm = link.protocol == "TM"
    master = MasterChannel(
        spacecraft_id=sent.spacecraft_id,
        operational_control_field=link.operational_control_field_present,
        virtual_channels=tuple(
            VirtualChannel(virtual_channel_id=number, **rules)  # type: ignore[arg-type]
            for number in range(8 if tm else 64)
        ),
    )
    channel = channel_of(sent, ReceiverSettings()).uncoded()
    changes = {"master_channels": (master,), "checked_before": True, "standard_issue": None if tm else issue}
    return msgspec.structs.replace(channel, **changes)


def _plain_secondary_header(frame: bytes, sent: TransmitterParameters) -> bytes:
    """TM: the oracle refuses frames whose secondary header is of another version, or empty."""
    if not frame[4] & 0x80 or 0 < frame[6] < 64:
        return frame
    return sealed(frame[:6] + bytes([frame[6] & 0x1F | 1]) + frame[7:], sent)


def _forward_only(frames: list[bytes], sent: TransmitterParameters, issue: int, repeats: bool) -> list[bytes]:
    """AOS: the oracle knows neither late frames nor resets, and takes a pointer by the letter of the issue."""
    last: dict[tuple[int, bool], tuple[int, bytes]] = {}
    out = []
    at = sent.data_field_offset
    span = 1 << (28 if sent.frame_count_cycle else 24)
    for frame in frames:
        octets = bytearray(frame)
        octets[5] = octets[5] & 0xBF | sent.frame_count_cycle << 6
        pointer = int.from_bytes(octets[at : at + 2], "big")
        if issue > 4 and pointer in (2046, 2047):
            octets[at : at + 2] = (0xF800 | pointer).to_bytes(2, "big")
        key = (octets[1] & 63, octets[5] >> 7 == 1)
        before = last.get(key)
        now = sealed(bytes(octets), sent)
        if repeats and before and now == before[1]:
            out.append(now)
            continue
        count = int.from_bytes(octets[2:5], "big") | (octets[5] & 15) << 24
        if before and (count - before[0] - 1) % span > span // 2 - 1:
            count = (before[0] + 1) % span
            octets[2:5] = (count & 0xFFFFFF).to_bytes(3, "big")
            octets[5] = octets[5] & 0xF0 | (count >> 24 if sent.frame_count_cycle else octets[5] & 15)
            now = sealed(bytes(octets), sent)
        high = octets[5] >> 4 & 3 if issue > 4 else 0
        if octets[0] >> 6 == 1 and (high << 8 | (octets[0] << 2 & 255) | octets[1] >> 6) == sent.spacecraft_id:
            last[key] = (count % span, now)
        out.append(now)
    return out


def _assert_totals(received: Received, oracles: list[Any]) -> None:
    totals = received.account.totals
    dropped = totals["fecf_errors"] + totals["header_error_control_errors"]
    assert dropped == sum(oracle.frame_error_control_failures for oracle in oracles)
    assert totals["foreign_frames"] == sum(oracle.foreign_records for oracle in oracles)
    assert sum(oracle.undecodable_records for oracle in oracles) == 0
    present, words = received.frames.operational_control_fields()
    assert len(present) == sum(oracle.ocf_words for oracle in oracles)
    if not oracles[1].records:
        assert hashlib.sha256(words.astype(">u4").tobytes()).hexdigest() == oracles[0].ocf_sha256
    gaps = sum(row["counter_gaps"] for row in received.account.master_channels)
    lost = sum(row["lost_frames"] for row in received.account.master_channels)
    assert (gaps, lost) == (oracles[0].master_channel_gaps, oracles[0].master_channel_lost)


def _assert_channel(row: Any, expected: Any) -> None:
    for name in ("frames", "repeated_frames", "counter_gaps", "lost_frames", "only_idle_data_frames", "sha256"):
        assert row[name] == getattr(expected, name), name
    for name, theirs in _COUNTERS.items():
        assert row[name] == getattr(expected.extraction, theirs), name
    dropped = expected.extraction.dropped_mismatch + expected.extraction.dropped_pointer_invalid
    assert row["packets_dropped_by_mismatch"] == dropped


def _assert_packets(received: Received, key: tuple[int, int], oracle: Any, tm: bool) -> None:
    packets, frames = received.packets, received.frames.accepted
    own = packets[(packets["spacecraft_id"] == key[0]) & (packets["virtual_channel_id"] == key[1])]
    served = [each.packet for each in oracle.packets if (each.spacecraft_id, each.virtual_channel_id) == key]
    assert [bytes(own.packet_octets(i)) for i in range(len(own))] == [packet.octets for packet in served]
    assert own["complete"].tolist() == [packet.is_complete for packet in served]
    assert (own["lost_frames_before"] > 0).tolist() == [packet.gap_before for packet in served]
    mask = (frames["spacecraft_id"] == key[0]) & (frames["virtual_channel_id"] == key[1])
    if tm:
        mask &= frames.octets[:, 4] >> 6 & 1 == 0  # synchronisation flag 1: not packets, and no zone for the oracle
    sources = frames["frame_index"][mask].tolist()
    assert own["frame_index"].tolist() == [sources[packet.frame_index] for packet in served]


# -- one input ---------------------------------------------------------------------------------------------------------


def run_one(seed: int) -> tuple[str, int]:
    """Draw the input of this number and check it.  Returns its kind and its octets; raises what is wrong."""
    random = Random(seed)
    sent = draw_transmitter(random)
    made = transmit(sent, seed=random.randrange(1 << 32), frames=random.randint(1, 40))
    oracle = random.random() < 0.4
    frames = mutate_frames(random, list(made.frames), sent, with_time=not oracle or sent.frame_type is FrameType.TM)
    if oracle:
        compare_with_oracle(random, frames, sent)
        return "oracle", sum(map(len, frames))
    coded = encode_frames(frames, sent).tobytes()
    channel = draw_channel(random, sent)
    if channel.synchronization is None and random.random() < 0.8:
        size = sent.channel_access_data_unit_octets
        coded = b"".join(coded[at + 4 : at + size] for at in range(0, len(coded), size))
    octets = random.randbytes(random.randrange(4000)) if random.random() < 0.1 else damage(random, coded)
    idle = random.random() < 0.5
    try:
        whole = receive_pieces(Receiver(channel, deliver_idle_packets=idle, digest=True), [octets], [1])
    except ConfigurationError:
        return "refused profile", 0
    assert_adds_up(whole, channel, len(octets), idle)
    pieces = split(random, octets)
    again = receive_pieces(Receiver(channel, deliver_idle_packets=idle, digest=True), pieces, [1] * len(pieces))
    assert_same(again, whole)
    for number in range(len(whole.frames)):
        frame = whole.frames
        if frame["status"][number] == STATUS["accepted"]:
            assert frame[number].virtual_channel_id == frame["virtual_channel_id"][number]
            break
    return "stream", 2 * len(octets)


def inputs(seed: int, seconds: float) -> Iterator[int]:
    """Numbers of inputs until the time is over."""
    end = time.monotonic() + seconds
    for number in itertools.count(seed * 1_000_000_000):
        if time.monotonic() > end:
            return
        yield number


def main() -> None:
    """Fuzz for some time; say how much that was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one input")
    arguments = parser.parse_args()
    kinds: dict[str, int] = {}
    octets = 0
    for number in [arguments.only] if arguments.only is not None else inputs(arguments.seed, arguments.seconds):
        try:
            kind, size = run_one(number)
        except BaseException:
            print(f"input {number} breaks a rule", flush=True)
            raise
        kinds[kind] = kinds.get(kind, 0) + 1
        octets += size
    print(f"{sum(kinds.values()):,} inputs, {octets:,} octets: {kinds}")


if __name__ == "__main__":
    main()
