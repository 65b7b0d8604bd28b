"""Fuzzing of the receiving chain on TC and USLP frames: drawn profiles and frames, damage, and what must hold for all.

    python tests/fuzz/map_receiver.py --seconds 600 --seed 1

An input that breaks a rule is reported with its number; `--only NUMBER` repeats it.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from ccsds.errors import ConfigurationError
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import UslpTransferFrameDataField
from ccsds.link.frame_batch import STATUS, FrameBatch
from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.link.receiver import Batch, Receiver, Reception, _concatenate
from ccsds.link.unit_batch import UnitBatch
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing.reference_map_receiver import MapLinkAccount, MapReception, receive_map_frames

CHANNELS, MAPS = (0, 3), (0, 1)
SPACECRAFT = 77


# -- drawing -----------------------------------------------------------------------------------------------------------


def draw_channel(random: Random) -> PhysicalChannel:
    """TC, USLP of variable length, USLP of fixed length."""
    tc, fixed = random.random() < 0.4, random.random() < 0.5
    tree: dict[str, Any] = {
        "frame_type": "TC" if tc else "USLP",
        "frame_octets": random.choice((64, 90, 200)),
        "frame_error_control": random.random() < 0.7,
        "checked_before": True,
        "late_frame_window": random.choice((64, 0, 3)),
    }
    if not tc:
        tree["variable_frame_length"] = not fixed
        tree["insert_zone_octets"] = random.choice((0, 0, 5)) if fixed else 0
        tree["frame_error_control_octets"] = random.choice((2, 2, 4))
    channels = [_draw_virtual_channel(random, number, tc) for number in CHANNELS if random.random() < 0.8]
    masters = [{"spacecraft_id": SPACECRAFT, "virtual_channels": channels}]
    tree["master_channels"] = random.choice((masters, masters, masters, []))
    channel = mission_from_dict({"name": "fuzz", "physical_channel": tree}).physical_channel
    assert channel is not None
    return channel


def _draw_virtual_channel(random: Random, number: int, tc: bool) -> dict[str, Any]:
    def rules() -> dict[str, Any]:
        return {
            "service": random.choice(("packets", "packets", "access")),
            "valid_packet_versions": random.choice(([0, 7], [0, 7], [0], [7])),
            "maximum_packet_octets": random.choice((65_542, 65_542, 7, 60)),
            "deliver_incomplete_packets": random.random() < 0.5,
        }

    tree = rules() | {
        "virtual_channel_id": number,
        "remove_repeated_frames": random.random() < 0.8,
        "frame_count_frozen": random.random() < 0.1,
    }
    if tc:
        tree["segment_header"] = random.random() < 0.7
    elif random.random() < 0.4:
        tree["truncated_frame_octets"] = random.choice((6, 20, 64))
    if not tc or tree["segment_header"]:
        tree["maps"] = [rules() | {"map_id": map_id} for map_id in MAPS if random.random() < 0.5]
    return tree


class Sender:
    """Frames whose counts go on and whose portions mostly follow each other."""

    def __init__(self, random: Random, channel: PhysicalChannel) -> None:
        self.random, self.channel = random, channel
        self.counts: dict[tuple[int, int], int] = {}
        self.open: dict[tuple[int, int, int], int] = {}
        self.lengths = [random.choice((0, 1, 1, 2, 3, 7)) for _ in range(2)]
        self.stream = b"".join(self.packet() for _ in range(200))

    def packet(self) -> bytes:
        random = self.random
        if random.random() < 0.2:
            protocol = random.choice((0, 2, 7))
            return EncapsulationPacket(
                encapsulation_protocol_id=protocol, encapsulated_data_field=random.randbytes(random.randrange(1, 30))
            ).encode()
        return SpacePacket(
            application_process_id=random.choice((1, 2, 2047)),
            packet_sequence_count=random.randrange(1 << 14),
            packet_data_field=random.randbytes(random.choice((1, 5, 30, 90))),
        ).encode()

    def count(self, channel: int, kind: int, octets: int) -> int:
        span = 1 << 8 * octets
        count = self.counts.get((channel, kind), self.random.choice((0, span - 3, 5))) % span
        self.counts[channel, kind] = count + 1
        return count

    def frame(self) -> bytes:
        random = self.random
        channel, map_id = random.choice(CHANNELS), random.choice(MAPS)
        kind = int(random.random() < 0.4)
        return (self.tc if self.channel.frame_type == "TC" else self.uslp)(channel, map_id, kind)

    def portion(self, channel: int, map_id: int, kind: int) -> SegmentSequenceFlags:
        """The one that may come next, mostly."""
        open_, random = self.open.get((channel, map_id, kind), 0), self.random
        if random.random() < 0.1:
            open_ = not open_
        first, last = SegmentSequenceFlags.FIRST, SegmentSequenceFlags.LAST
        flags = random.choice(
            (SegmentSequenceFlags.CONTINUING, last) if open_ else (first, SegmentSequenceFlags.UNSEGMENTED)
        )
        self.open[channel, map_id, kind] = flags in (first, SegmentSequenceFlags.CONTINUING)
        return flags

    def content(self, octets: int) -> bytes:
        """Packets, or the middle of some."""
        random = self.random
        if random.random() < 0.6:
            data = b"".join(self.packet() for _ in range(random.randint(1, 3)))
            return data[:octets] if random.random() < 0.8 else data[: random.randint(1, octets)]
        at = random.randrange(len(self.stream) - octets)
        return self.stream[at : at + random.randint(1, octets)]

    def tc(self, channel: int, map_id: int, kind: int) -> bytes:
        parameters = self.channel.find(SPACECRAFT, channel)[1]
        command = kind and self.random.random() < 0.1
        fields: dict[str, Any] = {}
        if parameters.segment_header and not command:
            fields = {"sequence_flags": self.portion(channel, map_id, kind), "map_id": map_id}
        return TcTransferFrame(
            spacecraft_id=SPACECRAFT,
            virtual_channel_id=channel,
            bypass_flag=kind,
            control_command_flag=int(command),
            frame_sequence_number=self.count(channel, kind, 1),
            transfer_frame_data_unit=b"\0" if command else self.content(self.channel.frame_octets - 9),
            frame_error_control_present=self.channel.frame_error_control,
            **fields,
        ).encode()

    def uslp(self, channel: int, map_id: int, kind: int) -> bytes:
        random, fixed = self.random, self.channel.fixed_frame_length
        truncated = self.channel.find(SPACECRAFT, channel)[1].truncated_frame_octets
        if truncated is not None and (not fixed or truncated == self.channel.frame_octets) and random.random() < 0.2:
            field = self.data_field(channel, map_id, 1, truncated - 4, exact=True, truncated=True)
            return UslpTransferFrame(
                spacecraft_id=SPACECRAFT,
                virtual_channel_id=channel,
                map_id=map_id,
                end_of_frame_primary_header_flag=1,
                transfer_frame_data_field=field,
            ).encode()
        length = self.lengths[kind] if random.random() < 0.97 else random.randrange(8)
        control = random.randbytes(4) if random.random() < 0.3 else None
        check = self.channel.frame_error_control_octets * self.channel.frame_error_control
        room = self.channel.frame_octets - 7 - length - self.channel.insert_zone_octets - check - 4 * bool(control)
        return UslpTransferFrame(
            spacecraft_id=SPACECRAFT,
            virtual_channel_id=channel if random.random() < 0.95 else 63,
            map_id=map_id,
            bypass_sequence_control_flag=kind,
            protocol_control_command_flag=int(random.random() < 0.05),
            virtual_channel_frame_count_length=length,
            virtual_channel_frame_count=self.count(channel, kind, length) if length else 0,
            insert_zone=random.randbytes(self.channel.insert_zone_octets),
            operational_control_field=control,
            frame_error_control_present=self.channel.frame_error_control,
            frame_error_control_octets=self.channel.frame_error_control_octets,
            transfer_frame_data_field=self.data_field(channel, map_id, kind, room, exact=fixed),
        ).encode()

    def data_field(
        self, channel: int, map_id: int, kind: int, octets: int, *, exact: bool, truncated: bool = False
    ) -> bytes:
        """A data field of at most, or exactly, so many octets."""
        random = self.random
        rule = random.choice((0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7)) if not truncated else random.choice((3, 4, 7, 7))
        protocol = random.choice((0, 0, 0, 0, 5, 31))
        if rule in (1, 2, 4, 5, 6, 7):
            flags = self.portion(channel, map_id, kind)
            pointed = {SegmentSequenceFlags.FIRST: 1, SegmentSequenceFlags.CONTINUING: 2, SegmentSequenceFlags.LAST: 2}
            plain = {SegmentSequenceFlags.FIRST: 4, SegmentSequenceFlags.CONTINUING: 5, SegmentSequenceFlags.LAST: 6}
            rule = (plain.get(flags, 7) if rule > 2 or truncated else pointed.get(flags, 1)) if exact else rule
            goes_on = flags in (SegmentSequenceFlags.FIRST, SegmentSequenceFlags.CONTINUING)
        room = octets - (3 if rule < 3 else 1)
        zone = self.content(room)
        if exact:
            zone = (zone + self.stream)[:room]
        pointer = None
        if rule == 0:
            pointer = random.choice((0, 0xFFFF, random.randrange(len(zone))))
        elif rule < 3:
            pointer = 0xFFFF if goes_on else random.randrange(len(zone))
        return UslpTransferFrameDataField(
            construction_rule=rule,
            uslp_protocol_id=protocol,
            transfer_frame_data_zone=zone,
            first_header_or_last_valid_octet_pointer=pointer,
        ).encode()


def damage_frames(random: Random, frames: list[bytes], channel: PhysicalChannel) -> list[bytes]:
    """Frames lost, repeated, moved, and with other octets in them, mostly with a valid check."""
    out = list(frames)
    for _ in range(random.randint(0, len(out) // 2)):
        at = random.randrange(len(out))
        kind = random.choice(("octet", "octet", "drop", "repeat", "move"))
        if kind == "drop" and len(out) > 1:
            del out[at]
        elif kind == "repeat":
            out.insert(at, out[at])
        elif kind == "move":
            out.insert(random.randint(0, len(out) - 1), out.pop(at))
        elif kind == "octet":
            octets = bytearray(out[at])
            octets[random.randrange(min(len(octets), random.choice((4, 12, 200))))] ^= 1 << random.randrange(8)
            out[at] = sealed(bytes(octets), channel) if random.random() < 0.8 else bytes(octets)
    return out


def sealed(frame: bytes, channel: PhysicalChannel) -> bytes:
    """The frame with its check field made anew."""
    if not channel.frame_error_control:
        return frame
    size = channel.frame_error_control_octets
    body = frame[:-size]
    return body + frame_error_control(body, CRC_32 if size == 4 else CRC_16).to_bytes(size, "big")


# -- receiving and comparing -------------------------------------------------------------------------------------------


def receive_records(receiver: Receiver, frames: list[bytes]) -> list[Batch]:
    offsets = np.cumsum([0, *map(len, frames)]).astype(np.uint64)
    times = np.full(len(frames), 5, dtype=np.int64)
    return [receiver.feed_records(b"".join(frames), offsets, times), receiver.finish()]


def joined(batches: list[Batch], receiver: Receiver) -> Reception:
    """One of many."""
    return Reception(
        packets=_concatenate([batch.packets for batch in batches]),
        frames=FrameBatch.concatenate([batch.frames for batch in batches if batch.frames is not None]),
        units=UnitBatch.concatenate([batch.units for batch in batches if batch.units is not None]),
        account=receiver.account,
    )


def assert_same(one: Reception, other: Reception) -> None:
    """Columns, octets and account are equal."""
    assert one.account == other.account
    assert one.packets.to_bytes() == other.packets.to_bytes()
    assert one.packets.lengths.tolist() == other.packets.lengths.tolist()
    for name in one.packets.names:
        assert one.packets[name].tolist() == other.packets[name].tolist(), name
    assert one.frames is not None and other.frames is not None and one.units is not None and other.units is not None
    assert list(one.units) == list(other.units)
    for name in one.units.columns:
        assert one.units[name].tolist() == other.units[name].tolist(), name
    for name in one.frames.columns:
        assert one.frames[name].tolist() == other.frames[name].tolist(), name
    for number in range(len(one.frames)):
        assert one.frames.frame_octets(number) == other.frames.frame_octets(number)


def assert_adds_up(received: Reception, octets: int) -> None:
    """No octet of a stream is unaccounted for; rows and columns agree."""
    frames, account, units = received.frames, received.account, received.units
    assert frames is not None and units is not None
    totals = account.totals
    assert int(frames.lengths.sum()) + totals["skipped_octets"] + totals["trailing_octets"] == octets
    status = {name: int((frames["status"] == value).sum()) for name, value in STATUS.items()}
    rows = account.virtual_channels
    for name in ("repeated", "invalid"):
        assert sum(row[f"{name}_frames"] for row in rows) == status[name]
    assert sum(row["frames"] for row in rows) == status["accepted"] + status["repeated"] + status["invalid"]
    assert totals["foreign_frames"] == status["foreign"]
    assert totals["fecf_errors"] == status["frame_error_control"]
    assert sum(row["packets"] for row in rows) == sum(row["packets"] for row in account.maps)
    whole = units[units["octet_stream"] == 0]
    assert sum(row["access_units"] for row in account.maps) == int(whole["complete"].sum())
    streams = units[units["octet_stream"] == 1]
    assert sum(row["octet_stream_octets"] for row in account.maps) == int(streams.lengths.sum())
    ends = units.ends
    assert (ends[:-1] == units.starts[1:]).all()


def assert_as_oracle(received: Reception, oracle: MapLinkAccount) -> None:
    account = received.account
    assert account.totals["fecf_errors"] == oracle.fecf_errors
    assert account.totals["foreign_frames"] == oracle.foreign_frames
    rows = {(row["spacecraft_id"], row["virtual_channel_id"]): row for row in account.virtual_channels}
    assert rows.keys() == oracle.channels.keys()
    sequences = {
        (row["spacecraft_id"], row["virtual_channel_id"], row["bypass_flag"]): row for row in account.sequences
    }
    maps = {(row["spacecraft_id"], row["virtual_channel_id"], row["map_id"]): row for row in account.maps}
    assert len(maps) == sum(len(channel.maps) for channel in oracle.channels.values())
    for key, channel in oracle.channels.items():
        for name in ("frames", "invalid_frames", "only_idle_data_frames"):
            assert rows[key][name] == getattr(channel, name), name
        for kind, counts in enumerate(channel.sequences):
            for name in counts.__struct_fields__:
                assert sequences.get((*key, kind), {}).get(name, 0) == getattr(counts, name), name
        for map_id, reception in channel.maps.items():
            _assert_map(received, (*key, map_id), maps[*key, map_id], reception)


def _assert_map(received: Reception, key: tuple[int, int, int | None], row: Any, expected: MapReception) -> None:
    for name in ("frames", "segments", "access_units", "octet_stream_octets", "broken_blocks", "discarded_octets"):
        assert row[name] == getattr(expected, name), name
    for name, count in expected.discarded.items():
        assert row[f"discarded_{name}"] == count, name
    for part, batch in (("packets", received.packets), ("units", received.units)):
        assert batch is not None
        of_map = (batch["spacecraft_id"] == key[0]) & (batch["virtual_channel_id"] == key[1])
        own = batch[of_map & (batch["map_id"] == (-1 if key[2] is None else key[2]))]
        cells = [bytes(own.packet_octets(n)) for n in range(len(own))] if part == "packets" else list(own)
        found = list(zip(cells, (own["complete"] == 1).tolist(), strict=True))
        controlled, expedited = getattr(expected, part)
        # Between the two kinds only the order of each is kept; which kind a row is of, its column does not say.
        assert sorted(found) == sorted(controlled + expedited)
        assert _is_merge(found, controlled, expedited)


def _is_merge(whole: list[Any], one: list[Any], other: list[Any]) -> bool:
    """Whether the two lists, each in its order, make up the whole."""
    places = {0}
    for at, each in enumerate(whole):
        places = {
            taken + step
            for taken in places
            for step in (0, 1)
            if (step and taken < len(one) and one[taken] == each)
            or (not step and at - taken < len(other) and other[at - taken] == each)
        }
    return len(one) in places


def split(random: Random, octets: bytes) -> list[bytes]:
    """Pieces of any size, empty ones too."""
    cuts = sorted(random.choice((0, len(octets), random.randint(0, len(octets)))) for _ in range(random.randint(0, 9)))
    return [octets[start:end] for start, end in itertools.pairwise([0, *cuts, len(octets)])]


def damage(random: Random, octets: bytes) -> bytes:
    stream = bytearray(octets)
    for _ in range(random.choice((0, 1, 3, 20))):
        at = random.randrange(len(stream) + 1)
        kind = random.choice(("bit", "bit", "cut", "noise"))
        if kind == "bit" and at < len(stream):
            stream[at] ^= 1 << random.randrange(8)
        elif kind == "cut":
            del stream[at : at + random.choice((1, 2, 50, 500))]
        else:
            stream[at:at] = random.randbytes(random.choice((1, 3, 40, 300)))
    return bytes(stream)


# -- one input ---------------------------------------------------------------------------------------------------------


def run_one(seed: int) -> tuple[str, int]:
    """Draw the input of this number and check it.  Returns its kind and its octets; raises what is wrong."""
    random = Random(seed)
    channel = draw_channel(random)
    try:
        Receiver(channel)
    except ConfigurationError:  # truncated frames longer than any
        return "refused profile", 0
    sender = Sender(random, channel)
    frames = [sender.frame() for _ in range(random.randint(1, 60))]
    idle = random.random() < 0.5

    def new() -> Receiver:
        return Receiver(channel, deliver_idle_packets=idle, digest=True)

    if random.random() < 0.5:
        frames = damage_frames(random, frames, channel)
        frames = [frame for frame in frames if is_whole(frame, channel)]
        receiver = Receiver(channel, deliver_idle_packets=True)
        received = joined(receive_records(receiver, frames), receiver)
        assert received.account.totals["wrong_length_records"] == received.account.totals["fill_octets"] == 0
        assert_as_oracle(received, receive_map_frames(frames, channel))
        assert_adds_up(received, sum(map(len, frames)))
        assert_objects(received)
        return "oracle", sum(map(len, frames))
    octets = b"".join(frames)
    octets = random.randbytes(random.randrange(3000)) if random.random() < 0.1 else damage(random, octets)
    one = new()
    whole = joined([one.feed(octets, reception_time_ns=1), one.finish()], one)
    assert_adds_up(whole, len(octets))
    other = new()
    batches = [other.feed(piece, reception_time_ns=1) for piece in split(random, octets)]
    assert_same(joined([*batches, other.finish()], other), whole)
    return "stream", 2 * len(octets)


def is_whole(frame: bytes, channel: PhysicalChannel) -> bool:
    """The length field still says what there is, so that the oracle's codec and the chain cut the same."""
    if channel.fixed_frame_length:
        return True
    if channel.frame_type == "TC":
        version, length = frame[0] >> 6, int.from_bytes(frame[2:4], "big") & 1023
        return bool(version) or length + 1 == len(frame)
    if len(frame) < 7 and not frame[3] & 1:
        return False
    if frame[0] >> 4 != 12:
        return True
    if frame[3] & 1:
        masters = [master.spacecraft_id for master in channel.master_channels]
        word = int.from_bytes(frame[:4], "big")
        known = not masters or word >> 12 & 0xFFFF in masters
        virtual = channel.find(word >> 12 & 0xFFFF, word >> 5 & 63)[1]
        return known and virtual.truncated_frame_octets == len(frame)
    return int.from_bytes(frame[4:6], "big") + 1 == len(frame)


def assert_objects(received: Reception) -> None:
    """Rows of the accepted frames are what their objects say."""
    assert received.frames is not None
    frames = received.frames.accepted
    zones, at = bytes(frames.data_zones()), 0
    for number, frame in enumerate(frames):
        assert frame.encode() == bytes(frames.frame_octets(number))
        for name in frames.columns:
            if name in ("map_id", "sequence_flags") and getattr(frame, name) is None:
                assert frames[name][number] == (-1 if name == "map_id" else 255)
            elif hasattr(frame, name):
                assert frames[name][number] == getattr(frame, name), name
        assert frames["frame_octets"][number] == len(frame)
        octets = int(frames["zone_octets"][number])
        zone, at = zones[at : at + octets], at + octets
        if isinstance(frame, TcTransferFrame):
            assert zone == frame.transfer_frame_data_unit
        elif octets:
            assert zone == frame.data_field.valid_octets
            assert frames["uslp_protocol_id"][number] == frame.data_field.uslp_protocol_id
            assert frames["construction_rule"][number] == frame.data_field.construction_rule
    assert at == len(zones)
    present, words = frames.operational_control_fields()
    fields = [frame.operational_control_field for frame in present]
    assert [int.from_bytes(field, "big") for field in fields] == words.tolist()
    inserts = b"".join(getattr(frame, "insert_zone", b"") for frame in frames)
    assert bytes(frames.insert_zones()) == inserts


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
