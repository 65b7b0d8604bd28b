"""The receiving chain: any split, any profile, against the slow receiver, and each managed parameter at work."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccsds import _native
from ccsds.errors import ConfigurationError, ProtocolError
from ccsds.frames import aos, tc, tm, uslp
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.tm import TmTransferFrame
from ccsds.link.frame_batch import QUALITY, STATUS
from ccsds.link.managed_parameters import (
    MasterChannel,
    PhysicalChannel,
    ReedSolomon,
    Synchronization,
    VirtualChannel,
    mission_from_dict,
)
from ccsds.link.receiver import Receiver, Reception, receive
from ccsds.packets import space_packet
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing import impaired_stream


def _load_fuzzer() -> ModuleType:
    """The drawing of profiles and streams is that of tests/fuzz; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("fuzz_receiver", Path(__file__).parents[1] / "fuzz" / "receiver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzz = _load_fuzzer()
seeds = st.integers(0, 1 << 48)
some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

services = st.sampled_from(["packets", "access", "bitstream"])
virtual_channels = st.builds(
    dict,
    virtual_channel_id=st.integers(0, 63),
    service=services,
    secondary_header_octets=st.none() | st.integers(2, 64),
    operational_control_field=st.none() | st.booleans(),
    valid_packet_versions=st.sampled_from([[0, 7], [0], [7]]),
    maximum_packet_octets=st.integers(7, 70_000),
    deliver_incomplete_packets=st.booleans(),
    remove_repeated_frames=st.booleans(),
    frame_count_frozen=st.booleans(),
)
physical_channels = st.fixed_dictionaries(
    {"frame_type": st.sampled_from(["TM", "AOS"]), "frame_octets": st.integers(13, 300)},
    optional={
        "synchronization": st.fixed_dictionaries(
            {},
            optional={
                "marker": st.sampled_from(["1acffc1d", "00", "ffff", "034776c7272895b0", "1a", "352ef853f"]),
                "tolerated_bit_errors": st.integers(0, 15),
                "flywheel_frames": st.integers(0, 5),
                "maximum_slip_bits": st.integers(0, 7),
                "accept_inverted": st.booleans(),
            },
        ),
        "randomizer": st.sampled_from(["short", "long"]),
        "deinterleaving_depth": st.integers(1, 4),
        "frame_error_control": st.booleans(),
        "checked_before": st.booleans(),
        "header_error_control": st.sampled_from(["check", "correct"]),
        "insert_zone_octets": st.integers(0, 9),
        "standard_issue": st.integers(1, 5),
        "late_frame_window": st.integers(0, 100),
        "reed_solomon": st.fixed_dictionaries(
            {"error_correction": st.sampled_from([8, 16]), "interleaving_depth": st.sampled_from([1, 2])},
            optional={"basis": st.sampled_from(["dual", "conventional"])},
        ),
        "master_channels": st.lists(
            st.fixed_dictionaries(
                {"spacecraft_id": st.integers(0, 1023)},
                optional={
                    "operational_control_field": st.booleans(),
                    "virtual_channels": st.lists(virtual_channels, max_size=3),
                },
            ),
            max_size=3,
        ),
    },
)


def usable_channel(random: Random, sent: Any) -> PhysicalChannel:
    """A drawn channel that a receiver takes."""
    while True:
        drawn: PhysicalChannel = fuzz.draw_channel(random, sent)
        try:
            Receiver(msgspec.structs.replace(drawn, synchronization=None))
            Receiver(drawn)
        except ConfigurationError:
            continue
        return drawn


def fitted(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with the frame length that its code holds."""
    code = tree.get("reed_solomon")
    if code:
        depth, check = code["interleaving_depth"], 2 * code["error_correction"]
        tree = tree | {"frame_octets": (255 - check) * depth}
    return tree


@given(physical_channels, st.binary(max_size=2000) | st.integers(0, 4000).map(bytes), seeds)
@settings(max_examples=300, deadline=None)
def test_any_profile_takes_any_octets_in_any_split(tree: dict[str, Any], octets: bytes, seed: int) -> None:
    try:
        mission = mission_from_dict({"name": "any", "physical_channel": fitted(tree)})
        receiver, again = Receiver(mission, digest=True), Receiver(mission, digest=True)
    except ConfigurationError:
        return
    assert mission.physical_channel is not None
    whole = fuzz.receive_pieces(receiver, [octets])
    fuzz.assert_adds_up(whole, mission.physical_channel, len(octets), False)
    fuzz.assert_same(fuzz.receive_pieces(again, fuzz.split(Random(seed), octets)), whole)


@given(seeds)
@some
def test_the_chain_equals_the_slow_receiver(seed: int) -> None:
    random = Random(seed)
    sent = fuzz.draw_transmitter(random)
    made = impaired_stream.transmit(sent, seed=seed, frames=random.randint(1, 60))
    frames = fuzz.mutate_frames(random, list(made.frames), sent, with_time=sent.frame_type.value == "TM")
    fuzz.compare_with_oracle(random, frames, sent)


@given(seeds)
@some
def test_a_split_keeps_everything_and_the_times(seed: int) -> None:
    """Frames and packets get the time of the piece in which their (first) frame begins, however it is cut further."""
    random = Random(seed)
    sent = fuzz.draw_transmitter(random)
    octets = fuzz.damage(random, impaired_stream.transmit(sent, seed=seed, frames=20).octets)
    channel = usable_channel(random, sent)
    pieces = [piece for piece in fuzz.split(random, octets) if piece]
    times = [1000 * number for number in range(len(pieces))]
    whole = fuzz.receive_pieces(Receiver(channel), pieces, times)
    finer = [(part, time) for piece, time in zip(pieces, times, strict=True) for part in fuzz.split(random, piece)]
    split = fuzz.receive_pieces(Receiver(channel), [part for part, _ in finer], [time for _, time in finer])
    fuzz.assert_same(split, whole)
    starts = np.cumsum([0, *map(len, pieces)])
    for position, time in zip(whole.frames["bit_position"], whole.frames["reception_time_ns"], strict=True):
        assert time == 1000 * (np.searchsorted(starts, position // 8, side="right") - 1)
    by_frame = dict(zip(whole.frames["frame_index"].tolist(), whole.frames["reception_time_ns"].tolist(), strict=True))
    assert whole.packets["reception_time_ns"].tolist() == [by_frame[i] for i in whole.packets["frame_index"].tolist()]


@given(seeds)
@some
def test_bits_equal_octets(seed: int) -> None:
    random = Random(seed)
    sent = fuzz.draw_transmitter(random)
    octets = fuzz.damage(random, impaired_stream.transmit(sent, seed=seed, frames=8).octets)
    channel = msgspec.structs.replace(usable_channel(random, sent), synchronization=Synchronization())
    by_bits = Receiver(channel)
    bits = np.unpackbits(np.frombuffer(octets, dtype=np.uint8))
    batches = []
    while len(bits):
        size = random.choice((1, 7, 100, 5001))
        batches.append(by_bits.feed_bits(bits[:size]))
        bits = bits[size:]
    batches.append(by_bits.finish())
    fuzz.assert_same(fuzz.joined(batches, by_bits), fuzz.receive_pieces(Receiver(channel), [octets]))


@given(seeds)
@some
def test_records_equal_the_stream_of_them(seed: int) -> None:
    random = Random(seed)
    sent = fuzz.draw_transmitter(random)
    made = impaired_stream.transmit(sent, seed=seed, frames=12)
    channel = fuzz.channel_of(sent, fuzz.ReceiverSettings()).uncoded()
    frames = fuzz.mutate_frames(random, list(made.frames), sent)
    offsets = np.cumsum([0, *map(len, frames)]).astype(np.uint64)
    times = np.arange(len(frames), dtype=np.int64) * 7
    receiver = Receiver(channel)
    batch = receiver.feed_records(b"".join(frames), offsets, times)
    records = fuzz.joined([batch, receiver.finish()], receiver)
    fuzz.assert_same(fuzz.receive_pieces(Receiver(channel), frames, times.tolist()), records)


def test_a_record_of_another_length_is_counted_and_disturbs_nothing() -> None:
    receiver = Receiver(TM)
    frames = [tm_frame(0), tm_frame(1)[:-1], b"", tm_frame(1)]
    offsets = np.cumsum([0, *map(len, frames)]).astype(np.uint64)
    receiver.feed_records(b"".join(frames), offsets, np.full(4, -1, dtype=np.int64))
    assert receiver.account.totals["wrong_length_records"] == 2
    assert receiver.account.totals["records"] == 4
    assert row_of(receiver)["counter_gaps"] == 0
    with pytest.raises(ValueError, match="offsets must rise"):
        receiver.feed_records(b"12", np.array([0, 3], dtype=np.uint64), np.array([1], dtype=np.int64))


def test_packets_in_records_keep_their_times() -> None:
    units = [packet(n) for n in range(5)]
    receiver = Receiver(msgspec.structs.replace(mission_from_dict({"name": "packets"})))
    offsets = np.cumsum([0, *map(len, units)]).astype(np.uint64)
    batch = receiver.feed_records(b"".join(units), offsets, np.arange(5, dtype=np.int64) + 100)
    assert batch.packets["reception_time_ns"].tolist() == [100, 101, 102, 103, 104]


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel OCF service, receiving")
@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "3", "virtual and master channel frame service, receiving: whole frames with their channel"
)
@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "3", "virtual and master channel frame service, receiving: whole frames with their channel"
)
@given(seeds)
@some
def test_batch_equals_objects(seed: int) -> None:
    random = Random(seed)
    sent = fuzz.draw_transmitter(random)
    made = impaired_stream.transmit(sent, seed=seed, frames=12)
    frames = fuzz.mutate_frames(random, list(made.frames), sent)
    channel = fuzz.channel_of(sent, fuzz.ReceiverSettings()).uncoded()
    batch = fuzz.receive_pieces(Receiver(channel), [b"".join(frames)]).frames.accepted
    zones, at = bytes(batch.data_zones()), 0
    for number, frame in enumerate(batch):
        assert batch[number] == batch[number - len(batch)] == frame
        assert frame.encode() == batch.octets[number].tobytes()
        for name in ("spacecraft_id", "virtual_channel_id"):
            assert batch[name][number] == getattr(frame, name)
        count, zone = frame.virtual_channel_frame_count, None
        if isinstance(frame, AosTransferFrame):
            if frame.virtual_channel_frame_count_usage_flag:
                count = frame.extended_virtual_channel_frame_count
            unit = frame.multiplexing_protocol_data_unit
            pointer, zone = unit.first_header_pointer, unit.packet_zone
            assert bool(batch["quality"][number] & QUALITY["replay"]) == bool(frame.replay_flag)
        else:
            pointer, zone = frame.first_header_pointer, frame.transfer_frame_data_field
        assert batch["virtual_channel_frame_count"][number] == count
        assert batch["pointer"][number] == pointer
        assert zones[at : at + len(zone)] == zone
        at += len(zone)
        has_control = bool(batch["quality"][number] & QUALITY["operational_control_field"])
        assert has_control == (frame.operational_control_field is not None)
    assert at == len(zones)
    present, words = batch.operational_control_fields()
    fields = [frame.operational_control_field for frame in present]
    assert [int.from_bytes(field, "big") for field in fields] == words.tolist()


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2", "primary header")
def test_the_tables_of_the_kernel_are_the_layouts() -> None:
    layouts = {
        "tm": tm.PRIMARY_HEADER,
        "aos": aos.PRIMARY_HEADER,
        "tc": tc.PRIMARY_HEADER,
        "uslp": uslp.PRIMARY_HEADER,
        "space_packet": space_packet.PRIMARY_HEADER,
    }
    tables = dict(_native.header_tables())
    assert tables == {
        name: [(layout.bit_offset(field.name), field.bits) for field in layout] for name, layout in layouts.items()
    }


# -- each managed parameter ----------------------------------------------------------------------------------------

ZONE = 60


def packet(count: int = 0, octets: int = 20, **fields: Any) -> bytes:
    values = {"application_process_id": 5, "packet_sequence_count": count & 0x3FFF, **fields}
    return SpacePacket(packet_data_field=bytes([count & 255]) * (octets - 6), **values).encode()


def zone_of(*units: bytes, octets: int = ZONE) -> bytes:
    """A zone that these units begin; filled by one idle packet."""
    zone = b"".join(units)
    left = octets - len(zone)
    return zone if left <= 0 else zone + packet(0, left, application_process_id=2047)


def tm_frame(count: int, zone: bytes | None = None, **fields: Any) -> bytes:
    values: dict[str, Any] = {
        "spacecraft_id": 9,
        "virtual_channel_id": 1,
        "first_header_pointer": 0,
        "virtual_channel_frame_count": count % 256,
        "master_channel_frame_count": count % 256,
        "transfer_frame_data_field": zone_of(packet(count)) if zone is None else zone,
    }
    return TmTransferFrame(**values | fields).encode()


def aos_frame(count: int, zone: bytes | None = None, pointer: int = 0, **fields: Any) -> bytes:
    values: dict[str, Any] = {
        "spacecraft_id": 9,
        "virtual_channel_id": 1,
        "virtual_channel_frame_count": count % (1 << 24),
        "virtual_channel_frame_count_cycle": count >> 24,
        "transfer_frame_data_field": pointer.to_bytes(2, "big") + (zone_of(packet(count)) if zone is None else zone),
    }
    return AosTransferFrame(**values | fields).encode()


def channel(frame: bytes, frame_type: str, virtual: dict[str, Any] | None = None, **fields: Any) -> PhysicalChannel:
    """A link of spacecraft 9 with one declared virtual channel, 1; `virtual` are its parameters."""
    own = {"virtual_channel_id": 1, **(virtual or {})}
    masters = [{"spacecraft_id": 9, "virtual_channels": [own]}]
    tree = {"frame_type": frame_type, "frame_octets": len(frame), "checked_before": True, "master_channels": masters}
    built = mission_from_dict({"name": "test", "physical_channel": tree | fields}).physical_channel
    assert built is not None
    return built


TM = channel(tm_frame(0), "TM")
AOS = channel(aos_frame(0), "AOS")


def run(link: PhysicalChannel, *frames: bytes) -> Reception:
    return receive(b"".join(frames), link)


def row_of(source: Any, virtual_channel_id: int = 1, replay: bool = False) -> Any:
    rows = source.account.virtual_channels
    return next(r for r in rows if (r["virtual_channel_id"], r["replay"]) == (virtual_channel_id, replay))


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: valid packet version numbers")
def test_valid_packet_versions() -> None:
    capsule = EncapsulationPacket(encapsulation_protocol_id=7, encapsulated_data_field=b"12345").encode()
    frame = tm_frame(0, zone_of(packet(0), capsule, packet(1)))
    for versions, packets, unknown in (([0, 7], 3, 0), ([0], 1, 1), ([7], 0, 1)):
        row = row_of(run(channel(frame, "TM", {"valid_packet_versions": versions}), frame))
        assert (row["packets"], row["unknown_packet_versions"]) == (packets, unknown)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: maximum length of a packet")
def test_maximum_packet_octets() -> None:
    frame = tm_frame(0, zone_of(packet(0, 20), packet(1, 30)))
    for maximum, packets, oversize in ((30, 2, 0), (29, 1, 1), (19, 0, 1)):
        row = row_of(run(channel(frame, "TM", {"maximum_packet_octets": maximum}), frame))
        assert (row["packets"], row["oversize_packets"]) == (packets, oversize)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "packet extraction: incomplete packets, as an option")
def test_deliver_incomplete_packets() -> None:
    long = packet(7, 100)
    cut, late_header = tm_frame(0, zone_of(packet(0)[:20], long[:40])), tm_frame(0, packet(0, 57) + long[:3])
    for first, begun in ((cut, long[:40]), (late_header, long[:3])):
        for wanted in (False, True):
            result = run(channel(first, "TM", {"deliver_incomplete_packets": wanted}), first, tm_frame(3))
            flags = result.packets["complete"].tolist()
            assert flags == ([1, 0, 1] if wanted else [1, 1])
            assert row_of(result)["incomplete_packets"] == wanted
            assert row_of(result)["dropped_octets"] == len(begun)
            assert row_of(result)["packets"] == 2
            if wanted:
                assert bytes(result.packets.packet_octets(1)) == begun
                identifiers = result.packets["application_process_id"].tolist()
                assert identifiers == [5, 5 if len(begun) >= 6 else 0, 5]


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "repeated frames set aside")
def test_remove_repeated_frames() -> None:
    frames = [tm_frame(0), tm_frame(0), tm_frame(1), tm_frame(1), tm_frame(0)]
    row = row_of(run(TM, *frames))
    assert (row["frames"], row["repeated_frames"], row["counter_gaps"], row["lost_frames"]) == (5, 2, 1, 254)
    kept = row_of(run(channel(frames[0], "TM", {"remove_repeated_frames": False}), *frames))
    assert (kept["repeated_frames"], kept["counter_gaps"], kept["lost_frames"]) == (0, 3, 255 + 255 + 254)
    assert kept["packets"] == 5


def test_frames_of_other_channels_between_do_not_hide_a_repeated_frame() -> None:
    frames = [tm_frame(0), tm_frame(8, virtual_channel_id=2), tm_frame(0), tm_frame(1)]
    row = row_of(run(TM, *frames))
    assert (row["repeated_frames"], row["counter_gaps"], row["packets"]) == (1, 0, 2)


def test_a_gap_together_with_a_repeated_frame() -> None:
    row = row_of(run(TM, tm_frame(0), tm_frame(4), tm_frame(4), tm_frame(5)))
    assert (row["repeated_frames"], row["counter_gaps"], row["lost_frames"]) == (1, 1, 3)


def test_frame_count_frozen() -> None:
    frames = [tm_frame(3, zone_of(packet(n))) for n in range(4)]
    row = row_of(run(channel(frames[0], "TM", {"frame_count_frozen": True}), *frames))
    assert (row["counter_gaps"], row["lost_frames"], row["packets"]) == (0, 0, 4)
    assert row_of(run(TM, *frames))["lost_frames"] == 3 * 255


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "virtual channel and master channel demultiplexing")
def test_several_spacecraft_and_foreign_ones() -> None:
    frames = [
        tm_frame(0),
        tm_frame(0, spacecraft_id=10),
        tm_frame(0, spacecraft_id=11),
        aos_frame(0)[: len(tm_frame(0))],
    ]
    masters = (MasterChannel(spacecraft_id=9), MasterChannel(spacecraft_id=10))
    two = run(msgspec.structs.replace(TM, master_channels=masters), *frames)
    assert [row["spacecraft_id"] for row in two.account.virtual_channels] == [9, 10]
    assert two.account.totals["foreign_frames"] == 2
    anyone = run(msgspec.structs.replace(TM, master_channels=()), *frames)
    assert [row["spacecraft_id"] for row in anyone.account.virtual_channels] == [9, 10, 11]
    assert anyone.account.totals["foreign_frames"] == 1
    assert anyone.frames is not None
    assert anyone.frames["status"].tolist() == [STATUS["accepted"]] * 3 + [STATUS["foreign"]]


def test_an_undeclared_channel_is_received_by_the_defaults() -> None:
    link = channel(tm_frame(0), "TM", {"service": "access"})
    result = run(link, tm_frame(0), tm_frame(0, virtual_channel_id=6))
    assert (row_of(result)["packets"], row_of(result, 6)["packets"]) == (0, 1)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.3", "secondary header: version number, length, data field")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel frame secondary header service, receiving")
def test_secondary_header_octets_where_the_length_field_lies() -> None:
    fields = {"secondary_header_data_field": b"1234567", "stated_secondary_header_length": 20}
    frame = tm_frame(0, zone_of(packet(0)), **fields)
    told = run(channel(frame, "TM", {"secondary_header_octets": 8}), frame)
    assert row_of(told)["packets"] == 1
    assert told.frames is not None
    assert bytes(told.frames.secondary_headers()[1:]) == b"1234567"
    assert told.packets.to_bytes() == packet(0)
    believed = run(channel(frame, "TM"), frame)
    assert believed.frames is not None
    assert len(believed.frames.secondary_headers()) == 21
    assert believed.packets.to_bytes() != packet(0)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.5", "operational control field, by virtual or master channel")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel OCF service, receiving")
def test_operational_control_field_of_aos_by_virtual_and_master_channel() -> None:
    with_field = aos_frame(0, zone_of(packet(0)), operational_control_field=b"OCF1")
    without = aos_frame(0, zone_of(packet(0), octets=ZONE + 4), virtual_channel_id=2)
    for master, own, other, words in ((False, True, None, 1), (True, None, False, 1), (True, None, None, 2)):
        channels = (
            VirtualChannel(virtual_channel_id=1, operational_control_field=own),
            VirtualChannel(virtual_channel_id=2, operational_control_field=other),
        )
        masters = MasterChannel(spacecraft_id=9, operational_control_field=master, virtual_channels=channels)
        result = run(
            msgspec.structs.replace(channel(with_field, "AOS"), master_channels=(masters,)), with_field, without
        )
        assert result.frames is not None
        present, fields = result.frames.operational_control_fields()
        assert len(present) == words
        assert fields[0] == int.from_bytes(b"OCF1", "big")


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.3", "insert zone")
def test_insert_zone() -> None:
    frame = aos_frame(0, insert_zone=b"insert!")
    result = run(channel(frame, "AOS", insert_zone_octets=7), frame)
    assert row_of(result)["packets"] == 1
    assert result.frames is not None
    assert bytes(result.frames.insert_zones()) == b"insert!"


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.6", "frame header error control, correction of up to two symbols")
def test_header_error_control_checks_and_corrects() -> None:
    frames = [aos_frame(n, frame_header_error_control_present=True) for n in range(3)]
    damaged = bytes([frames[1][0] ^ 0x03, frames[1][1] ^ 0x10]) + frames[1][2:]
    check = run(channel(frames[0], "AOS", header_error_control="check"), frames[0], damaged, frames[2])
    assert check.account.totals["header_error_control_errors"] == 1
    assert row_of(check)["lost_frames"] == 1
    correct = run(channel(frames[0], "AOS", header_error_control="correct"), frames[0], damaged, frames[2])
    assert correct.account.totals["corrected_header_symbols"] == 2
    assert row_of(correct)["lost_frames"] == 0
    assert correct.frames is not None
    assert correct.frames.octets[1].tobytes() == frames[1]


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.2.3", "spacecraft identifier of 10 bits, and of 8 bits up to issue 4")
def test_standard_issue_and_the_spacecraft_identifier_of_ten_bits() -> None:
    frame = aos_frame(0, spacecraft_id=801)
    any_spacecraft = msgspec.structs.replace(AOS, master_channels=())
    for issue, spacecraft in ((None, 801), (5, 801), (4, 801 & 255)):
        result = run(msgspec.structs.replace(any_spacecraft, standard_issue=issue), frame)
        assert result.account.virtual_channels[0]["spacecraft_id"] == spacecraft
        assert result.frames is not None
        assert result.frames[0].spacecraft_id == spacecraft
    with pytest.raises(ValueError, match="needs standard_issue 5"):
        msgspec.structs.replace(AOS, standard_issue=4, master_channels=(MasterChannel(spacecraft_id=801),))


@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "4.1.4.2.2", "M_PDU first header pointer, of 16 bits, and of 11 bits up to issue 4"
)
def test_standard_issue_and_the_first_header_pointer_of_sixteen_bits() -> None:
    """Issue 5 made it wider; in a long frame 2047 is then a place like any other."""
    long = packet(3, 3000)
    zone = zone_of(bytes(2047), packet(1), octets=2500)
    frames = [aos_frame(0, zone_of(octets=500) + long[:2000], pointer=0), aos_frame(1, zone, pointer=2047)]
    assert row_of(run(channel(frames[0], "AOS", standard_issue=5), *frames))["pointer_mismatches"] == 1
    assert row_of(run(channel(frames[0], "AOS", standard_issue=5), *frames))["packets"] == 1
    assert row_of(run(channel(frames[0], "AOS", standard_issue=4), *frames))["frames_without_packet_start"] == 1
    for issue, none, idle in ((5, 0xFFFF, 0xFFFE), (5, 2047, 2046), (4, 2047, 2046)):
        short = [
            aos_frame(0, packet(3, 100)[:60]),
            aos_frame(1, bytes(60), idle),
            aos_frame(2, packet(3, 100)[40:], none),
        ]
        row = row_of(run(channel(short[0], "AOS", standard_issue=issue), *short))
        assert (row["only_idle_data_frames"], row["frames_without_packet_start"]) == (1, 1)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.5.5", "VC frame count cycle")
@pytest.mark.parametrize("usage", [0, 1])
def test_the_counter_of_28_bits(usage: int) -> None:
    counts = [(1 << 24) - 1, 1 << 24, (1 << 24) + 3]
    frames = [aos_frame(count, virtual_channel_frame_count_usage_flag=usage) for count in counts]
    result = run(AOS, *frames)
    assert (row_of(result)["counter_gaps"], row_of(result)["lost_frames"]) == (1, 2)
    assert result.frames is not None
    assert result.frames["virtual_channel_frame_count"].tolist() == [c if usage else c & 0xFFFFFF for c in counts]


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.4", "virtual channel frame count")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "frame count gaps, late frames and resets signalled")
def test_late_frames_and_resets_are_never_millions_lost() -> None:
    late = row_of(run(AOS, *(aos_frame(n) for n in (100, 101, 103, 102, 104))))
    assert (late["late_frames"], late["counter_gaps"], late["lost_frames"], late["counter_resets"]) == (1, 1, 1, 0)
    assert late["packets"] == 5
    reset = row_of(run(AOS, *(aos_frame(n) for n in (5000, 5001, 0, 1, 2))))
    assert (reset["counter_resets"], reset["lost_frames"], reset["late_frames"], reset["packets"]) == (1, 0, 0, 5)
    narrow = msgspec.structs.replace(AOS, late_frame_window=0)
    assert row_of(run(narrow, *(aos_frame(n) for n in (100, 102, 101))))["counter_resets"] == 1


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "frame count gaps, late frames and resets signalled")
def test_a_late_frame_gives_its_own_packets_and_cuts_none() -> None:
    long = packet(9, 100)
    frames = [
        aos_frame(10, long[:60]),
        aos_frame(9, zone_of(packet(1), packet(2, 100)[:30])),
        aos_frame(11, zone_of(long[60:]), pointer=40),
    ]
    result = run(AOS, aos_frame(8), *frames)
    assert row_of(result)["late_frames"] == 1
    assert row_of(result)["packets"] == 3
    assert bytes(result.packets.packet_octets(2)) == long


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.5.2", "replay flag")
def test_replay_is_apart_from_real_time() -> None:
    frames = [aos_frame(100), aos_frame(7, replay_flag=1), aos_frame(101), aos_frame(8, replay_flag=1)]
    result = run(AOS, *frames)
    for replay in (False, True):
        row = row_of(result, replay=replay)
        assert (row["frames"], row["packets"], row["lost_frames"], row["counter_resets"]) == (2, 2, 0, 0)
    assert [row["replay"] for row in result.account.application_processes if row["application_process_id"] == 5] == [
        False,
        True,
    ]


@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel access service, sending and receiving")
@pytest.mark.parametrize("service", ["access", "bitstream"])
def test_access_and_bitstream_services_give_zones(service: str) -> None:
    frames = [aos_frame(n, bytes([n]) * ZONE, pointer=0x3FFF) for n in range(2)]
    result = run(channel(frames[0], "AOS", {"service": service}), *frames)
    assert len(result.packets) == 0
    assert result.frames is not None
    skipped = 2 if service == "bitstream" else 0
    assert bytes(result.frames.data_zones()) == b"".join(frame[6 + skipped :] for frame in frames)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.7.3", "synchronization flag")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel access service, receiving")
def test_vca_data_by_the_synchronisation_flag() -> None:
    frame = tm_frame(0, bytes(ZONE), synchronization_flag=1, first_header_pointer=2046)
    result = run(TM, frame)
    row = row_of(result)
    assert (row["only_idle_data_frames"], row["packets"], row["pointers_invalid"]) == (0, 0, 0)
    assert result.frames is not None
    assert bytes(result.frames.data_zones()) == bytes(ZONE)


def test_deinterleaving() -> None:
    frame = tm_frame(0)
    rows = len(frame) // 3
    record = bytes(frame[column * rows + row] for row in range(rows) for column in range(3))
    result = run(msgspec.structs.replace(TM, deinterleaving_depth=3), record)
    assert row_of(result)["packets"] == 1
    assert result.frames is not None
    assert result.frames.octets[0].tobytes() == frame


def test_a_profile_that_detects_no_errors_is_warned_of() -> None:
    unchecked = msgspec.structs.replace(TM, checked_before=False)
    (warning,) = run(unchecked, tm_frame(0)).account.warnings
    assert "nothing in this profile detects errors" in warning
    code = ReedSolomon(virtual_fill=223 - TM.frame_octets)
    for checked in (
        {"checked_before": True},
        {"frame_error_control": True},
        {"reed_solomon": code},
    ):
        assert msgspec.structs.replace(unchecked, **checked).warnings() == []


@pytest.mark.conforms("CCSDS 131.0-B-5", "10", "derandomization in the receiving chain")
@pytest.mark.parametrize("name", ["short", "long"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 8])
def test_randomizers_and_interleaving_depths(name: str, depth: int) -> None:
    sent = impaired_stream.TransmitterParameters(
        frame_type=impaired_stream.FrameType.TM,
        spacecraft_id=9,
        virtual_channels=(impaired_stream.VirtualChannelTraffic(virtual_channel_id=1),),
        reed_solomon=impaired_stream.ReedSolomon(interleaving_depth=depth),
        randomizer=impaired_stream.Randomizer(name),
    )
    made = impaired_stream.transmit(sent, seed=depth, frames=6)
    link = fuzz.channel_of(sent, fuzz.ReceiverSettings())
    result = receive(made.octets, link)
    assert result.frames is not None
    assert [row.tobytes() for row in result.frames.octets] == list(made.frames)
    other = "long" if name == "short" else "short"
    assert receive(made.octets, msgspec.structs.replace(link, randomizer=other)).account.totals["frames"] == 0


def test_a_finished_receiver_takes_nothing_more() -> None:
    receiver = Receiver(TM)
    receiver.finish()
    calls: list[Callable[[], Any]] = [lambda: receiver.feed(b""), receiver.finish]
    for call in calls:
        with pytest.raises(ProtocolError, match="finished"):
            call()


def test_bits_need_a_marker() -> None:
    for mission in (TM, mission_from_dict({"name": "packets"})):
        with pytest.raises(ConfigurationError, match="synchronisation marker"):
            Receiver(mission).feed_bits(b"\0\1")


# -- errors of profiles --------------------------------------------------------------------------------------------

P, M, V = (
    "physical_channel",
    "physical_channel.master_channels[0]",
    "physical_channel.master_channels[0].virtual_channels[0]",
)
GOOD: dict[str, Any] = {"frame_type": "AOS", "frame_octets": 100}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"frame_type": "TD"}, f"{P}.frame_type: Invalid enum value 'TD'"),
    ({"frame_octets": 6}, f"{P}.frame_octets: Expected `int` >= 7"),
    ({"frame_octets": 12}, "frame_octets is 12; AOS frames have at least 13"),
    ({"frame_type": "TC", "frame_octets": 1025}, "TC frames have at most 1024 [232.0-B-4"),
    ({"frame_type": "TC", "randomizer": "short"}, "randomizer is for TM and AOS and USLP frames only"),
    ({"command_coding": {}}, "command_coding is for TC and USLP frames only"),
    ({"frame_type": "USLP", "command_coding": {}, "synchronization": {}}, "command_coding stands alone"),
    ({"frame_type": "TC", "command_coding": {"plop": 3}}, f"{P}.command_coding.plop: Invalid enum value 3"),
    ({"frame_type": "TC", "command_coding": {"order": 1}}, f"unknown key {P}.command_coding.order"),
    ({"variable_frame_length": True}, "variable_frame_length is for USLP frames only"),
    (
        {"frame_type": "USLP", "variable_frame_length": True, "insert_zone_octets": 4},
        "insert_zone_octets needs frames of fixed length",
    ),
    ({"polling": [1]}, 'polling is given, but multiplexing is not "polling"'),
    ({"multiplexing": "polling"}, 'multiplexing is "polling", but polling is empty'),
    ({"multiplexing": "polling", "polling": [3]}, "polling: spacecraft 3 is not listed"),
    (
        {"multiplexing": "polling", "master_channels": [{"spacecraft_id": 4}]},
        "polling: spacecraft 4 has no turn",
    ),
    ({"frame_octets": 65_537}, f"{P}.frame_octets: Expected `int` <= 65536"),
    ({"frame_octets": "100"}, f"{P}.frame_octets: Expected `int`, got `str`"),
    ({"frame_octet": 100}, f"unknown key {P}.frame_octet (did you mean frame_octets"),
    ({"randomizer": "medium"}, f"{P}.randomizer: Invalid enum value 'medium'"),
    ({"deinterleaving_depth": 3}, "frame_octets is not a multiple of deinterleaving_depth 3"),
    ({"deinterleaving_depth": 0}, f"{P}.deinterleaving_depth: Expected `int` >= 1"),
    ({"header_error_control": "repair"}, f"{P}.header_error_control: Invalid enum value 'repair'"),
    ({"standard_issue": 6}, f"{P}.standard_issue: Expected `int` <= 5"),
    ({"frame_type": "TM", "insert_zone_octets": 8}, "insert_zone_octets is for AOS and USLP frames only"),
    ({"frame_type": "TM", "header_error_control": "check"}, "header_error_control is for AOS frames only"),
    ({"frame_type": "TM", "standard_issue": 4}, "standard_issue is for AOS frames only"),
    ({"synchronization": {"marker": "xyz"}}, f"{P}.synchronization.marker: Expected `str` matching regex"),
    (
        {"synchronization": {"tolerated_bit_errors": -1}},
        f"{P}.synchronization.tolerated_bit_errors: Expected `int` >= 0",
    ),
    ({"synchronization": {"slip": 1}}, f"unknown key {P}.synchronization.slip"),
    ({"reed_solomon": {"error_correction": 4}}, f"{P}.reed_solomon.error_correction: Invalid enum value 4"),
    ({"reed_solomon": {"interleaving_depth": 6}}, f"{P}.reed_solomon.interleaving_depth: Invalid enum value 6"),
    ({"reed_solomon": {}}, "frame_octets is 100, but reed_solomon holds 223"),
    (
        {"reed_solomon": {"interleaving_depth": 2, "virtual_fill": 3}},
        "reed_solomon.virtual_fill is not a multiple of interleaving_depth",
    ),
    ({"master_channels": [{}]}, f"{M}: Object missing required field `spacecraft_id`"),
    ({"master_channels": [{"spacecraft_id": 1024}]}, "spacecraft_id is over 1023, the highest of AOS frames"),
    ({"master_channels": [{"spacecraft_id": 1}] * 2}, "master_channels: a spacecraft_id is listed twice"),
    ({"master_channels": [{"spacecraft_id": 256}], "standard_issue": 4}, "spacecraft_id is over 255"),
]
WRONG_COMMAND_CHANNELS: list[tuple[str, dict[str, Any], str]] = [
    ("TC", {"maps": [{"map_id": 1}]}, "virtual channel 1: maps need segment_header"),
    ("TC", {"segment_header": True, "maps": [{"map_id": 1}] * 2}, "virtual channel 1: a map_id is listed twice"),
    ("TC", {"segment_header": True, "maps": [{"map_id": 1, "service": "octet_stream"}]}, "for USLP frames only"),
    ("TC", {"segment_header": True, "maps": [{"map_id": 1}], "multiplexing": "polling"}, "MAP 1 has no turn"),
    ("TC", {"truncated_frame_octets": 9}, "truncated_frame_octets is for USLP frames only"),
    ("TC", {"service": "bitstream"}, "service bitstream is for AOS frames only"),
    ("USLP", {"truncated_frame_octets": 101}, "virtual channel 1: truncated_frame_octets is over frame_octets"),
    ("USLP", {"maps": [{"map_id": 16}]}, "virtual channel 1: map_id 16 is not 0 to 15 [732.1-B-3"),
    ("USLP", {"secondary_header_octets": 4}, "secondary_header_octets is for TM frames only"),
]
WRONG_CHANNELS: list[tuple[dict[str, Any], str]] = [
    ({"virtual_channel_id": 64}, f"{V}.virtual_channel_id: Expected `int` <= 63"),
    ({"virtual_channel_id": 1, "service": "video"}, f"{V}.service: Invalid enum value 'video'"),
    ({"virtual_channel_id": 1, "secondary_header_octets": 1}, f"{V}.secondary_header_octets: Expected `int` >= 2"),
    (
        {"virtual_channel_id": 1, "valid_packet_versions": []},
        f"{V}.valid_packet_versions: Expected `array` of length >= 1",
    ),
    ({"virtual_channel_id": 1, "cop": "COP-1"}, "virtual channel 1: cop is for TC and USLP frames only"),
    ({"virtual_channel_id": 1, "segment_header": True}, "virtual channel 1: segment_header is for TC frames only"),
    ({"virtual_channel_id": 1, "maps": [{"map_id": 64}]}, f"{V}.maps[0].map_id: Expected `int` <= 63"),
    ({"virtual_channel_id": 1, "weight": 0}, f"{V}.weight: Expected `int` >= 1"),
    ({"virtual_channel_id": 1, "valid_packet_versions": [1]}, f"{V}.valid_packet_versions[0]: Invalid enum value 1"),
    ({"virtual_channel_id": 1, "maximum_packet_octets": 6}, f"{V}.maximum_packet_octets: Expected `int` >= 7"),
]


def refusal(physical_channel: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Receiver(mission_from_dict({"name": "wrong", "physical_channel": physical_channel}, origin="mine.toml"))
    return str(caught.value)


@pytest.mark.conforms("CCSDS 232.0-B-4", "5", "managed parameters of the physical and master channel")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.3", "insert zone in frames of fixed length only")
@pytest.mark.conforms("CCSDS 732.1-B-3", "5", "managed parameters of the physical and master channel")
@pytest.mark.conforms("CCSDS 132.0-B-3", "5", "managed parameters of the physical and master channel")
@pytest.mark.conforms("CCSDS 732.0-B-5", "5", "managed parameters of the physical and master channel")
@pytest.mark.conforms("CCSDS 131.0-B-5", "12", "managed parameters")
@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_wrong_profile_is_told_by_its_key(fields: dict[str, Any], message: str) -> None:
    said = refusal(GOOD | fields)
    assert said.startswith("mine.toml: ")
    assert message in said


@pytest.mark.conforms("CCSDS 132.0-B-3", "5", "managed parameters of virtual channels")
@pytest.mark.conforms("CCSDS 732.0-B-5", "5", "managed parameters of virtual channels")
@pytest.mark.parametrize(("fields", "message"), WRONG_CHANNELS)
def test_a_wrong_virtual_channel_is_told_by_its_key(fields: dict[str, Any], message: str) -> None:
    masters = [{"spacecraft_id": 1, "virtual_channels": [fields]}]
    assert message in refusal(GOOD | {"master_channels": masters})


@pytest.mark.conforms("CCSDS 232.0-B-4", "5", "managed parameters of virtual channels and MAPs")
@pytest.mark.conforms("CCSDS 732.1-B-3", "5", "managed parameters of virtual channels and MAPs")
@pytest.mark.parametrize(("frame_type", "fields", "message"), WRONG_COMMAND_CHANNELS)
def test_a_wrong_channel_of_commands_is_told_by_its_key(frame_type: str, fields: dict[str, Any], message: str) -> None:
    masters = [{"spacecraft_id": 1, "virtual_channels": [{"virtual_channel_id": 1, **fields}]}]
    assert message in refusal({"frame_type": frame_type, "frame_octets": 100, "master_channels": masters})


@pytest.mark.conforms("CCSDS 132.0-B-3", "5", "managed parameters of the physical and master channel")
def test_what_only_the_whole_channel_shows_is_told_too() -> None:
    assert "frame_octets is 13, not at least" in refusal(
        {"frame_type": "AOS", "frame_octets": 13, "insert_zone_octets": 9}
    )
    twice = [{"spacecraft_id": 1, "virtual_channels": [{"virtual_channel_id": 1}] * 2}]
    assert "a virtual_channel_id is listed twice" in refusal(GOOD | {"master_channels": twice})
    tm_masters = [{"spacecraft_id": 1, "virtual_channels": [{"virtual_channel_id": 8}]}]
    assert "virtual_channel_id 8 is not 0 to 7" in refusal(GOOD | {"frame_type": "TM", "master_channels": tm_masters})
