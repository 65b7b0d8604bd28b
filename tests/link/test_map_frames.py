"""TC frames and USLP frames of variable length: damage whose truth comes from bookkeeping, not from decoding."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import numpy as np
import pytest

from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.link.receiver import Batch, Receiver, Reception, receive
from ccsds.link.unit_batch import UnitBatch
from ccsds.testing.receiving_end import map_channel_of
from ccsds.testing.transmitter.map_frames import Address, MapLink, MapStream, impair_map_frames

TC = MapLink(
    frame_type="TC",
    spacecraft_id=123,
    services={(0, 0): "packets", (0, 5): "access", (3, 63): "packets", (3, 1): "packets", (9, None): "packets"},
)
USLP = MapLink(
    frame_type="USLP",
    spacecraft_id=0xA55A,
    services={(0, 0): "packets", (0, 15): "access", (7, 2): "octet_stream", (7, 3): "packets", (62, 1): "access"},
    truncated_octets=23,
    operational_control_field=True,
)


def with_counts(controlled: int, expedited: int, **changes: Any) -> MapLink:
    values = {name: getattr(USLP, name) for name in USLP.__dataclass_fields__}
    return MapLink(**values | {"count_octets": (controlled, expedited)} | changes)


LINKS = {
    "tc": TC,
    "tc-unchecked": MapLink(frame_type="TC", spacecraft_id=5, services=TC.services, frame_error_control=False),
    "tc-access": MapLink(frame_type="TC", spacecraft_id=0, services={(1, None): "access", (2, 7): "access"}),
    "uslp": USLP,
    "uslp-unchecked": with_counts(1, 1, frame_error_control=False),
    "uslp-no-counts": with_counts(0, 0, services={(1, 0): "packets"}, truncated_octets=None),
    **{f"uslp-counts-{n}-{(n + 3) % 7 + 1}": with_counts(n, (n + 3) % 7 + 1) for n in range(1, 8)},
}
CASES = list(itertools.product(LINKS, (0, 1, 25), range(4)))


def streams_of(units: UnitBatch) -> dict[Address, bytes]:
    found: dict[Address, bytes] = {}
    for number in np.flatnonzero(units["octet_stream"]).tolist():
        address = (int(units["virtual_channel_id"][number]), int(units["map_id"][number]))
        found[address] = found.get(address, b"") + units[number]
    return found


def by_address(batch: Any, octets: Any) -> dict[Address, list[bytes]]:
    found: dict[Address, list[bytes]] = {}
    for number in range(len(batch)):
        map_id = int(batch["map_id"][number])
        address = (int(batch["virtual_channel_id"][number]), None if map_id < 0 else map_id)
        found.setdefault(address, []).append(bytes(octets(number)))
    return found


def made(name: str, damage: int, seed: int) -> MapStream:
    link = LINKS[name]
    # Without counts nothing tells of a loss, so nothing is lost there.
    return impair_map_frames(link, seed, 300, 0 if name == "uslp-no-counts" else damage)


@pytest.mark.parametrize(("name", "damage", "seed"), CASES)
def test_a_damaged_stream_gives_its_truth(name: str, damage: int, seed: int) -> None:
    stream = made(name, damage, seed)
    check(receive(stream.octets, map_channel_of(stream.link)), stream)


def check(reception: Reception, stream: MapStream) -> None:
    truth, account, units = stream.truth, reception.account, reception.units
    assert units is not None
    assert by_address(reception.packets, reception.packets.packet_octets) == truth.packets
    whole = units[units["octet_stream"] == 0]
    assert by_address(whole, lambda number: whole[number]) == truth.access_units
    assert streams_of(units) == truth.octet_streams
    sequences = {(row["virtual_channel_id"], row["bypass_flag"]): row for row in account.sequences}
    for name in ("counter_gaps", "lost_frames"):
        found = {key: row[name] for key, row in sequences.items() if row[name]}
        assert found == {key: count for key, count in getattr(truth, name).items() if count}, name
    for name in ("frames", "repeated_frames"):
        counts = {row["virtual_channel_id"]: row[name] for row in account.virtual_channels if row[name]}
        assert counts == {key: count for key, count in getattr(truth, name).items() if count}, name
    assert sum(row["control_command_frames"] for row in account.sequences) == truth.control_command_frames
    assert sum(row["truncated_frames"] for row in account.sequences) == truth.truncated_frames
    assert sum(row["only_idle_data_frames"] for row in account.virtual_channels) == truth.only_idle_data_frames
    totals = account.totals
    assert totals["foreign_frames"] == truth.foreign_frames
    assert totals["fecf_errors"] == truth.frame_error_control_errors
    assert totals["resynchronizations"] == truth.resynchronizations
    assert totals["skipped_octets"] == truth.skipped_octets
    assert totals["trailing_octets"] == 0
    frames = reception.frames
    assert frames is not None
    assert totals["skipped_octets"] + int(frames.lengths.sum()) == len(stream.octets)


@pytest.mark.parametrize(("name", "damage", "seed"), CASES[:: len(CASES) // 30 | 1])
def test_the_split_changes_nothing(name: str, damage: int, seed: int) -> None:
    stream, random = made(name, damage, seed), Random(seed)
    channel = map_channel_of(stream.link)
    whole, at = Receiver(channel, digest=True), 0
    batches = [[whole.feed(stream.octets), whole.finish()]]
    pieces = Receiver(channel, digest=True)
    batches.append([])
    while at < len(stream.octets):
        size = random.choice((1, 2, 3, 17, 255, 1024, 5000))
        batches[1].append(pieces.feed(stream.octets[at : at + size]))
        at += size
    batches[1].append(pieces.finish())
    assert pieces.account == whole.account
    one, other = (joined(each) for each in batches)
    assert one == other


def joined(batches: list[Batch]) -> list[Any]:
    """Everything that came out, comparable."""
    found: list[Any] = []
    names = ("frame_index", "map_id", "spacecraft_id", "virtual_channel_id", "lost_frames_before", "complete")
    for batch in batches:
        found += [bytes(batch.packets.packet_octets(number)) for number in range(len(batch.packets))]
    for batch in batches:
        assert batch.units is not None
        found += list(batch.units)
    for batch in batches:
        assert batch.frames is not None
        found += [bytes(batch.frames.frame_octets(number)) for number in range(len(batch.frames))]
    for part in ("packets", "units", "frames"):
        parts = [getattr(batch, part) for batch in batches]
        columns = names if part == "packets" else tuple(parts[0].columns)
        found += [np.concatenate([each[name] for each in parts]).tolist() for name in columns]
    return found


def test_records_are_frames_and_what_follows_is_fill() -> None:
    stream = impair_map_frames(TC, 1, 100, 0)
    channel = map_channel_of(TC)
    records = [piece + b"\x55" * (number % 3) for number, piece in enumerate(stream.pieces)]
    offsets = np.cumsum([0, *map(len, records)]).astype(np.uint64)
    receiver = Receiver(channel)
    receiver.feed_records(b"".join(records), offsets, np.arange(100, dtype=np.int64))
    assert receiver.account.totals["fill_octets"] == sum(number % 3 for number in range(100))
    assert receiver.account.totals["wrong_length_records"] == 0
    assert {
        row["virtual_channel_id"]: row["frames"] for row in receiver.account.virtual_channels
    } == stream.truth.frames
    short = stream.pieces[0][:-1]
    receiver.feed_records(short, np.array([0, len(short)], np.uint64), np.array([1], np.int64))
    assert receiver.account.totals["wrong_length_records"] == 1


def channel(**tree: Any) -> PhysicalChannel:
    built = mission_from_dict({"name": "test", "physical_channel": tree}).physical_channel
    assert built is not None
    return built
