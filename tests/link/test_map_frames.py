"""TC frames and USLP frames of variable length: damage whose truth comes from bookkeeping, not from decoding."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError
from ccsds.frames.tc import SetVr, TcTransferFrame, Unlock
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.link.frame_batch import STATUS
from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.link.receiver import Batch, Receiver, Reception, receive
from ccsds.link.unit_batch import UnitBatch
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing.receiving_end import map_channel_of
from ccsds.testing.transmitter.map_frames import Address, MapLink, MapStream, impair_map_frames

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
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


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP packet service, receiving")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "virtual channel packet service, receiving")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP access service, receiving")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "virtual channel access service, receiving")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "master channel, virtual channel and MAP demultiplexing")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "frame validation check; frames of other spacecraft set aside")
@pytest.mark.conforms("CCSDS 732.1-B-3", "annex D", "truncated frames")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP packet service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP access service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP octet stream service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames of variable length, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "master channel, virtual channel and MAP demultiplexing")
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


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "frames back to back, in any split")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames back to back, in any split")
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


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4.5", "fill behind a frame is removed by its length")
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


def uslp_channel(virtual: dict[str, Any], **tree: Any) -> PhysicalChannel:
    master = {"spacecraft_id": 9, "virtual_channels": [{"virtual_channel_id": 1} | virtual]}
    return channel(
        **{"frame_type": "USLP", "frame_octets": 80, "variable_frame_length": True} | tree, master_channels=[master]
    )


def uslp_frame(data_field: bytes, count: int | None = None, octets: int = 1, **fields: Any) -> bytes:
    counted = (
        {} if count is None else {"virtual_channel_frame_count_length": octets, "virtual_channel_frame_count": count}
    )
    return UslpTransferFrame(
        spacecraft_id=9, virtual_channel_id=1, transfer_frame_data_field=data_field, **counted | fields
    ).encode()


def tc_frame(data: bytes, number: int = 0, **fields: Any) -> bytes:
    return TcTransferFrame(
        spacecraft_id=9, virtual_channel_id=1, transfer_frame_data_unit=data, frame_sequence_number=number, **fields
    ).encode()


def tc_channel(**virtual: Any) -> PhysicalChannel:
    master = {"spacecraft_id": 9, "virtual_channels": [{"virtual_channel_id": 1} | virtual]}
    return channel(frame_type="TC", frame_octets=1024, master_channels=[master])


def test_a_recording_of_tc_frames_gives_its_truth() -> None:
    table = CAPTURES / "captures.toml"
    if not table.exists():
        pytest.skip("the recordings lie beside the project directory, and are absent")
    (entry,) = (each for each in tomllib.loads(table.read_text())["file"] if each["kind"] == "tc_plain")
    octets = bytes.fromhex((CAPTURES / entry["file"]).read_text())
    master = {"spacecraft_id": 123, "virtual_channels": [{"virtual_channel_id": 0, "segment_header": True}]}
    link = channel(frame_type="TC", frame_octets=1024, master_channels=[master])
    reception = receive(octets, link)
    frames = reception.frames
    assert frames is not None
    names = ("bypass_flag", "control_command_flag", "spacecraft_id", "virtual_channel_id", "frame_sequence_number")
    rows = [frames["frame_octets"].tolist(), *(frames[name].tolist() for name in names)]
    assert list(map(list, zip(*rows, strict=True))) == [[row[0], *row[2:7]] for row in entry["frames"]]
    assert [row[1] for row in entry["frames"]] == frames["frame_octets"].tolist()
    (row,) = reception.account.virtual_channels
    assert (row["packets"], row["packet_octets"]) == (entry["packets"], entry["packet_octets"])
    assert row["lost_frames"] == 0
    maps = reception.account.maps
    assert sum(row["packets"] for row in maps) == entry["packets"]
    assert sum(row["segments"] for row in maps) == entry["records"]


@pytest.mark.conforms(
    "CCSDS 232.0-B-4", "3", "virtual and master channel frame service, receiving: whole frames with their channel"
)
def test_control_commands_are_counted_and_visible() -> None:
    frames = [
        TcTransferFrame.control(
            SetVr(receiver_frame_sequence_number=7), spacecraft_id=9, virtual_channel_id=1
        ).encode(),
        TcTransferFrame.control(Unlock(), spacecraft_id=9, virtual_channel_id=1).encode(),
        tc_frame(b"\0" * 8, 7),
    ]
    reception = receive(b"".join(frames), tc_channel())
    batch = reception.frames
    assert batch is not None
    commands = batch[batch["control_command_flag"] == 1]
    assert [each.control_command for each in commands] == [SetVr(receiver_frame_sequence_number=7), Unlock()]
    assert {row["bypass_flag"]: row["control_command_frames"] for row in reception.account.sequences} == {0: 0, 1: 2}


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "type-B frames have no count; repeated type-A frames set aside")
def test_expedited_frames_have_no_count_and_come_as_often_as_they_are_sent() -> None:
    frames = [tc_frame(b"\0\0\0\0\0\0\0", 9, bypass_flag=1)] * 3 + [tc_frame(b"\0\0\0\0\0\0\1", 3)] * 2
    (row,) = receive(b"".join(frames), tc_channel()).account.virtual_channels
    assert (row["packets"], row["repeated_frames"], row["counter_gaps"]) == (4, 1, 0)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.3.2", "control command flag; type AC, which is reserved, refused")
def test_a_sequence_controlled_control_command_is_no_frame() -> None:
    octets = bytearray(tc_frame(b"\0", bypass_flag=1, control_command_flag=1))
    octets[0] &= 0xDF
    reception = receive(bytes(octets), tc_channel())
    assert reception.frames is not None
    assert reception.frames["status"].tolist() == [STATUS["invalid"]]
    assert reception.account.virtual_channels[0]["invalid_frames"] == 1


@pytest.mark.conforms(
    "CCSDS 732.1-B-3", "4.1.2.12", "VC frame count, apart for sequence-controlled and expedited frames"
)
def test_what_is_lost_of_one_kind_spoils_nothing_of_the_other() -> None:
    packet = SpacePacket(application_process_id=1, packet_data_field=bytes(30)).encode()

    def segment(rule: int, data: bytes) -> bytes:
        return bytes([rule << 5]) + data

    frames = [
        uslp_frame(segment(4, packet[:9]), 0),
        uslp_frame(segment(4, packet[:20]), 5, bypass_sequence_control_flag=1),
        uslp_frame(segment(6, packet[9:]), 1),
        uslp_frame(segment(6, packet[20:]), 7, bypass_sequence_control_flag=1),
    ]
    reception = receive(b"".join(frames), uslp_channel({}))
    assert [bytes(reception.packets.packet_octets(0))] == [packet]
    (of_map,) = reception.account.maps
    assert (of_map["discarded_gap"], of_map["discarded_no_first"], of_map["packets"]) == (1, 1, 1)
    gaps = {row["bypass_flag"]: (row["counter_gaps"], row["lost_frames"]) for row in reception.account.sequences}
    assert gaps == {0: (0, 0), 1: (1, 1)}
    assert reception.account.virtual_channels[0]["packets_dropped_by_gap"] == 1
    assert not reception.account.lossless


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.11", "VC frame count length of 0 to 7 octets")
@pytest.mark.parametrize("octets", range(1, 8))
def test_counts_wrap_and_gaps_are_modulo_their_width(octets: int) -> None:
    span = 1 << 8 * octets
    counts = [span - 2, span - 1, 0, 3]
    frames = b"".join(uslp_frame(b"\xe5x", count, octets) for count in counts)
    reception = receive(frames, uslp_channel({}))
    (row,) = reception.account.sequences
    assert (row["counter_gaps"], row["lost_frames"]) == (1, 2)
    assert reception.frames is not None
    assert reception.frames["virtual_channel_frame_count"].tolist() == counts
    assert reception.account.aliasing == (octets == 1)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frame count gaps, late frames and resets signalled")
def test_a_wide_count_that_steps_back_is_late_or_set_anew() -> None:
    units = [(10, b"a"), (12, b"b"), (11, b"c"), (13, b"d"), (60_000, b"e"), (60_001, b"f")]
    frames = b"".join(uslp_frame(b"\xe5" + data, count, 2) for count, data in units)
    reception = receive(frames, uslp_channel({}))
    (row,) = reception.account.sequences
    assert (row["late_frames"], row["counter_resets"], row["counter_gaps"]) == (1, 1, 1)
    assert reception.units is not None
    assert list(reception.units) == [data for _, data in units]


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.11", "VC frame count length of 0 to 7 octets")
def test_a_frame_without_a_count_says_nothing_of_losses() -> None:
    frames = [uslp_frame(b"\xe5a"), uslp_frame(b"\xe5a"), uslp_frame(b"\xe5b")]
    reception = receive(b"".join(frames), uslp_channel({}))
    assert reception.units is not None
    assert list(reception.units) == [b"a", b"a", b"b"]
    (row,) = reception.account.sequences
    assert (row["repeated_frames"], row["counter_gaps"]) == (0, 0)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.4", "last valid octet pointer (rules 001 and 010)")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames of fixed length, receiving")
def test_access_units_over_frames_of_fixed_length_leave_their_fill_out() -> None:
    """Rules 001 and 010: the pointer of the last frame is to the last octet of the unit (4.1.4.2.4.5)."""
    size = 80 - 8 - 3
    unit = bytes(range(size + 10))
    last = (unit[size:] + bytes(size))[:size]
    frames = [uslp_frame(b"\x25\xff\xff" + unit[:size], 0), uslp_frame(b"\x45" + (9).to_bytes(2, "big") + last, 1)]
    reception = receive(b"".join(frames), uslp_channel({}, variable_frame_length=False))
    assert reception.units is not None
    assert list(reception.units) == [unit]
    assert reception.units["segments"].tolist() == [2]
    assert reception.frames is not None
    assert bytes(reception.frames.data_zones()) == unit


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3.2", "maximum length of a unit")
def test_the_longest_unit_that_is_believed() -> None:
    portions = [uslp_frame(bytes([rule << 5 | 5]) + bytes(40), count) for count, rule in enumerate((4, 5, 6))]
    rules = {"map_id": 0, "service": "access", "maximum_packet_octets": 100}
    reception = receive(b"".join(portions), uslp_channel({"maps": [rules]}))
    (of_map,) = reception.account.maps
    assert (of_map["discarded_oversize"], of_map["access_units"]) == (1, 0)
    assert of_map["discarded_octets"] == 120


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4.1", "delivery of incomplete units, as an option")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3.2", "delivery of incomplete units, as an option")
def test_incomplete_units_are_delivered_where_they_are_wanted() -> None:
    portions = [uslp_frame(b"\x85" + bytes(40), 0), uslp_frame(b"\x85again", 1)]
    rules = {"map_id": 0, "service": "access", "deliver_incomplete_packets": True}
    reception = receive(b"".join(portions), uslp_channel({"maps": [rules]}))
    assert reception.units is not None
    assert list(reception.units) == [bytes(40), b"again"]
    assert reception.units["complete"].tolist() == [0, 0]
    (of_map,) = reception.account.maps
    assert (of_map["discarded_no_last"], of_map["discarded_end"], of_map["incomplete_units"]) == (1, 1, 2)


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.7", "frame length that contradicts the octets refused")
def test_a_frame_of_fixed_length_that_says_another_one_is_invalid() -> None:
    frame = bytearray(uslp_frame(b"\xe5" + bytes(71), 0))
    assert len(frame) == 80
    frame[5] -= 1
    reception = receive(bytes(frame), uslp_channel({}, variable_frame_length=False))
    assert reception.account.virtual_channels[0]["invalid_frames"] == 1


def test_channels_and_maps_beyond_measure_are_set_aside() -> None:
    """Where any spacecraft is taken, noise must not fill the memory."""
    frames = [
        UslpTransferFrame(
            spacecraft_id=number, virtual_channel_id=number % 60, transfer_frame_data_field=b"\x85" + bytes(20)
        ).encode()
        for number in range(2000)
    ]
    link = channel(frame_type="USLP", frame_octets=80, variable_frame_length=True)
    totals = receive(b"".join(frames), link).account.totals
    assert 0 < totals["surplus_channel_frames"] < 2000
    assert totals["frames"] + totals["surplus_channel_frames"] == 2000


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames of variable length without attached sync markers")
def test_frames_of_variable_length_are_not_behind_markers() -> None:
    with pytest.raises(ConfigurationError, match="frames of variable length come as such"):
        Receiver(channel(frame_type="USLP", frame_octets=80, variable_frame_length=True, synchronization={}))


@pytest.mark.conforms(
    "CCSDS 732.1-B-3", "3", "virtual and master channel frame service, receiving: whole frames with their channel"
)
def test_frames_of_variable_length_make_no_array() -> None:
    reception = receive(uslp_frame(b"\xe5x") + uslp_frame(b"\xe5xyz"), uslp_channel({}))
    frames = reception.frames
    assert frames is not None
    with pytest.raises(ValueError, match="variable length"):
        _ = frames.octets
    assert [len(frames.frame_octets(number)) for number in (0, 1, -1)] == [9, 11, 11]
    with pytest.raises(IndexError):
        frames.frame_octets(2)
    assert [frame.encode()[7:] for frame in frames[::-1]] == [b"\xe5xyz", b"\xe5x"]


@given(st.binary(max_size=3000), st.sampled_from(sorted(LINKS)), st.integers(0, 1 << 30))
@settings(deadline=None)
def test_any_octets_are_taken(octets: bytes, name: str, seed: int) -> None:
    link = map_channel_of(LINKS[name])
    account = receive(octets, link).account
    receiver, random = Receiver(link, digest=True), Random(seed)
    while octets:
        size = random.choice((1, 7, 300))
        receiver.feed(octets[:size])
        octets = octets[size:]
    receiver.finish()
    assert receiver.account == account


def test_batches_own_what_they_hold() -> None:
    """Neither a buffer that is written again, nor memory of dropped batches, shows in them."""
    stream = impair_map_frames(USLP, 2, 200, 10)
    buffer, receiver = bytearray(stream.octets), Receiver(map_channel_of(USLP))
    batch = receiver.feed(buffer)
    whole = joined([batch])
    buffer[:] = b"\xa5" * len(buffer)
    for _ in range(4):
        again = Receiver(map_channel_of(USLP))
        again.feed(b"\xa5" * (1 << 17))
        again.feed(bytes(buffer))
    assert joined([batch]) == whole
