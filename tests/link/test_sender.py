"""The sending chain of TM and AOS: what it emits, two receivers give back exactly, for any parameters and traffic."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ccsds
from ccsds.errors import ConfigurationError, EncodeError, ProtocolError
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.operational_control_field import Clcw
from ccsds.frames.tm import TmTransferFrame
from ccsds.link.frame_batch import STATUS
from ccsds.link.managed_parameters import MasterChannel, PhysicalChannel, VirtualChannel, mission_from_dict
from ccsds.link.receiver import Receiver
from ccsds.link.sender import QueueFullError, Sender, SentFrame
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.packet_extraction import ExtractionParameters
from ccsds.testing.reference_receiver import LinkParameters, receive_frames

seeds = st.integers(0, 1 << 48)
SECOND = 1_000_000_000


def draw_channel(random: Random, kind: str | None = None) -> PhysicalChannel:
    """Managed parameters of any TM or AOS link."""
    kind = kind or random.choice(["TM", "AOS"])
    tree: dict[str, Any] = {
        "frame_type": kind,
        "frame_octets": random.choice([random.randint(24, 60), random.randint(60, 400), 1115]),
        "frame_error_control": random.random() < 0.5,
    }
    if kind == "AOS":
        tree["header_error_control"] = random.choice([None, "check", "correct"])
        tree["insert_zone_octets"] = random.choice([0, 0, 3])
        tree["standard_issue"] = random.choice([4, 5])
    tree["multiplexing"] = random.choice(["priority", "weighted", "polling"])
    tree["master_channels"] = [
        draw_master(random, kind, id_) for id_ in random.sample(range(256), random.randint(1, 2))
    ]
    if tree["multiplexing"] == "polling":
        tree["polling"] = [master["spacecraft_id"] for master in tree["master_channels"]]
    channel = mission_from_dict({"name": "any", "physical_channel": tree}).physical_channel
    assert channel is not None
    return channel


def draw_master(random: Random, kind: str, spacecraft_id: int) -> dict[str, Any]:
    most = 6 if kind == "TM" else 62
    ids = random.sample(range(most + 1), random.randint(1, 3))
    master: dict[str, Any] = {
        "spacecraft_id": spacecraft_id,
        "operational_control_field": random.random() < 0.5,
        "multiplexing": random.choice(["priority", "weighted", "polling"]),
        "virtual_channels": [draw_virtual_channel(random, kind, id_) for id_ in ids],
    }
    if kind == "TM":
        master["secondary_header_octets"] = random.choice([None, 2, 5])
        for channel in master["virtual_channels"]:
            channel["secondary_header_octets"] = master["secondary_header_octets"]
    if master["multiplexing"] == "polling":
        master["polling"] = [*ids, ids[0]]
    return master


def draw_virtual_channel(random: Random, kind: str, id_: int) -> dict[str, Any]:
    services = ["packets", "packets", "access"] + ["bitstream"] * (kind == "AOS")
    return {
        "virtual_channel_id": id_,
        "service": random.choice(services),
        "valid_packet_versions": random.choice([[0, 7], [0], [7]]),
        "maximum_packet_octets": random.choice([7, 8, 20, 300, 65_542]),
        "priority": random.randint(0, 2),
        "weight": random.randint(1, 5),
    }


def draw_packet(random: Random, channel: VirtualChannel, count: int) -> bytes:
    most = min(channel.maximum_packet_octets, random.choice([8, 40, 700]))
    if random.choice(channel.valid_packet_versions) == 0:
        data = random.randbytes(random.randint(7, most) - 6)
        packet = SpacePacket(application_process_id=3, packet_data_field=data, packet_sequence_count=count % 16384)
        return packet.encode()
    data = random.randbytes(random.randint(0, min(most, 250) - 2))
    return EncapsulationPacket(encapsulation_protocol_id=7, encapsulated_data_field=data).encode()


class Traffic:
    """A user of every access point of a channel, who remembers what was sent."""

    def __init__(self, random: Random, channel: PhysicalChannel) -> None:
        self.random = random
        self.channel = channel
        self.sender = Sender(channel, queue_octets=1 << 30)
        self.sent: dict[tuple[int, int], list[Any]] = defaultdict(list)
        self.fields: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self.frames: list[SentFrame] = []
        self.units: list[int] = []
        self.inserted: list[bytes] = []
        self.points = [(master, own) for master in channel.master_channels for own in master.virtual_channels]
        for master in channel.master_channels:
            if master.operational_control_field:
                field = self.sender.operational_control_field(master.spacecraft_id)
                field.set(self._giver("ocf", master.spacecraft_id, 4))
            if master.secondary_header_octets:
                octets = master.secondary_header_octets - 1
                self.sender.secondary_header(master.spacecraft_id).set(
                    self._giver("header", master.spacecraft_id, octets)
                )

    def _giver(self, name: str, spacecraft_id: int, octets: int) -> Any:
        def give() -> bytes:
            value = self.random.randbytes(octets)
            self.fields[name, spacecraft_id].append(value)
            return value

        return give

    def send(self) -> None:
        master, own = self.random.choice(self.points)
        key, random = (master.spacecraft_id, own.virtual_channel_id), self.random
        if own.service == "packets":
            packet = draw_packet(random, own, len(self.sent[key]))
            self.units.append(self.sender.packets(*key).send(packet))
            self.sent[key].append(packet)
        elif own.service == "access":
            point = self.sender.access(*key)
            assert point.unit_octets is not None
            unit = random.randbytes(point.unit_octets)
            status = {"packet_order_flag": 1, "segment_length_id": 2, "first_header_pointer": random.randrange(2048)}
            self.units.append(point.send(unit, **status if self.channel.frame_type == "TM" else {}))
            self.sent[key].append(unit)
        else:
            octets = random.randbytes(random.randint(1, 40))
            bits = random.randint(1, 8 * len(octets))
            self.units.append(self.sender.bitstream(*key).send(octets, bits))
            self.sent[key] += np.unpackbits(np.frombuffer(octets, np.uint8))[:bits].tolist()

    def step(self) -> None:
        random = self.random
        chance = random.random()
        if chance < 0.7:
            self.send()
        elif chance < 0.8:
            self.frames += self.sender.frames(random.randint(1, 5))
        elif chance < 0.9:
            self.frames += self.sender.emit(random.randint(1, 5))
        elif chance < 0.95 and self.channel.insert_zone_octets:
            zone = random.randbytes(self.channel.insert_zone_octets)
            self.sender.insert_zone().send(zone)
            self.inserted.append(zone)
        else:
            self.sender.flush()

    def end(self) -> None:
        self.sender.flush()
        self.frames += self.sender.frames(1 << 30)
        assert self.sender.pending_octets == 0
        assert self.sender.next_frame() is None


def run(seed: int, kind: str | None = None) -> Traffic:
    random = Random(seed)
    traffic = Traffic(random, draw_channel(random, kind))
    for _ in range(random.randint(1, 120)):
        traffic.step()
    traffic.end()
    return traffic


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "packet processing: idle packets")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.5", "master channel frame count")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.2.6", "virtual channel frame count")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel packet service, sending")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "master channel frame secondary header service, sending and receiving")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "master channel OCF service, sending and receiving")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "master channel multiplexing")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.4", "virtual channel frame count")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.3", "insert zone")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel packet service, sending")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "bitstream service, sending and receiving")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel access service, sending and receiving")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "insert service, sending and receiving")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "packet and bitstream processing")
@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "3", "one OCF source for all virtual channels of a master channel, as an option"
)
@given(seeds)
@settings(max_examples=150, deadline=None)
def test_the_receiver_gives_back_what_was_sent(seed: int) -> None:
    traffic = run(seed)
    receiver = Receiver(traffic.channel)
    batch = receiver.feed(b"".join(frame.octets for frame in traffic.frames))
    receiver.finish()
    account, frames = receiver.account, batch.frames
    assert frames is not None
    assert account.lossless
    assert account.totals["frames"] == len(traffic.frames)
    assert all(row["counter_gaps"] == row["repeated_frames"] == 0 for row in account.virtual_channels)
    assert all(row["lost_frames"] == 0 for row in account.master_channels)
    assert (frames["status"] == STATUS["accepted"]).all()
    for master, own in traffic.points:
        key = (master.spacecraft_id, own.virtual_channel_id)
        mine = (frames["spacecraft_id"] == key[0]) & (frames["virtual_channel_id"] == key[1])
        if own.service == "packets":
            packets = batch.packets
            rows = (packets["spacecraft_id"] == key[0]) & (packets["virtual_channel_id"] == key[1])
            assert [packet.encode() for packet in packets[rows]] == traffic.sent[key]
        elif own.service == "access":
            assert bytes(frames[mine].data_zones()) == b"".join(traffic.sent[key])
        else:
            assert frames[mine].bitstream_bits().tolist() == traffic.sent[key]
    assert_fields(traffic, frames)


def assert_fields(traffic: Traffic, frames: Any) -> None:
    """OCFs, secondary headers and insert zones, one after the other."""
    for master in traffic.channel.master_channels:
        mine = frames[frames["spacecraft_id"] == master.spacecraft_id]
        _, words = mine.operational_control_fields()
        assert words.astype(">u4").tobytes() == b"".join(traffic.fields["ocf", master.spacecraft_id])
        headers = traffic.fields["header", master.spacecraft_id]
        octets = b"".join(bytes([len(header)]) + header for header in headers)
        assert bytes(mine.secondary_headers()) == octets
    if size := traffic.channel.insert_zone_octets:
        zones = bytes(frames.insert_zones())
        in_order = b"".join(traffic.inserted)
        used = len(in_order) - size * traffic.sender.insert_zone().pending_units
        given = [zones[at : at + size] for at in range(0, len(zones), size)]
        assert [zone for zone in given if zone != bytes(size)] == [
            in_order[at : at + size] for at in range(0, used, size) if in_order[at : at + size] != bytes(size)
        ]


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel packet service, sending")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel packet service, sending")
@given(seeds)
@settings(max_examples=100, deadline=None)
def test_the_slow_receiver_agrees(seed: int) -> None:
    traffic = run(seed)
    channel = traffic.channel
    for master in channel.master_channels:
        versions = {own.valid_packet_versions for own in master.virtual_channels}
        others = frozenset(own.virtual_channel_id for own in master.virtual_channels if own.service != "packets")
        parameters = LinkParameters(
            protocol=channel.frame_type,  # type: ignore[arg-type]
            spacecraft_ids=frozenset({master.spacecraft_id}),
            frame_error_control_present=channel.frame_error_control,
            frame_header_error_control_present=channel.header_error_control is not None,
            operational_control_field_present=master.operational_control_field,
            insert_zone_octets=channel.insert_zone_octets,
            issue=channel.issue,
            data_without_packets=others,
            extraction=ExtractionParameters(
                valid_packet_versions=frozenset(version for some in versions for version in some),
                first_header_pointer_bits=16 if channel.frame_type == "AOS" and channel.issue > 4 else 11,
            ),
        )
        mine = [frame for frame in traffic.frames if frame.spacecraft_id == master.spacecraft_id]
        account = receive_frames([frame.octets for frame in mine], parameters)
        assert not account.frame_error_control_failures + account.undecodable_records + account.master_channel_lost
        got: dict[int, list[bytes]] = defaultdict(list)
        for served in account.packets:
            if not served.packet.is_idle:
                got[served.virtual_channel_id].append(served.packet.octets)
        for own in master.virtual_channels:
            if own.service == "packets":
                assert got[own.virtual_channel_id] == traffic.sent[master.spacecraft_id, own.virtual_channel_id]
        for row in account.channels.values():
            extraction = row.extraction
            assert row.lost_frames == extraction.pointer_mismatches == extraction.pointers_invalid == 0
            assert extraction.dropped_mismatch == extraction.unknown_packet_versions == extraction.invalid_packets == 0


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "packet and bitstream processing")
@given(seeds)
@settings(max_examples=100, deadline=None)
def test_each_unit_ends_in_one_frame(seed: int) -> None:
    traffic = run(seed)
    assert sorted(unit for frame in traffic.frames for unit in frame.units) == traffic.units


@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "4.2", "virtual channel generation, master channel generation, all frames generation"
)
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "virtual channel generation, all frames generation")
@given(seeds)
@settings(max_examples=60, deadline=None)
def test_frames_encode_as_the_codec_does(seed: int) -> None:
    traffic = run(seed)
    channel = traffic.channel
    for frame in traffic.frames:
        assert len(frame.octets) == channel.frame_octets
        unit: TmTransferFrame | AosTransferFrame
        if channel.frame_type == "TM":
            unit = TmTransferFrame.decode(frame.octets, frame_error_control_present=channel.frame_error_control)
        else:
            unit = AosTransferFrame.decode(
                frame.octets,
                frame_error_control_present=channel.frame_error_control,
                frame_header_error_control_present=channel.header_error_control is not None,
                operational_control_field_present=channel.find(frame.spacecraft_id, 0)[0].operational_control_field,
                insert_zone_octets=channel.insert_zone_octets,
                issue=channel.issue,
            )
        assert unit.replace().encode() == frame.octets
        assert unit.is_only_idle_data == frame.is_only_idle_data
        assert (unit.spacecraft_id, unit.virtual_channel_id) == (frame.spacecraft_id, frame.virtual_channel_id)


# -- one thing at a time -----------------------------------------------------------------------------------------------


def link(kind: str = "TM", octets: int = 64, own: dict[str, Any] | None = None, **keys: Any) -> PhysicalChannel:
    """One spacecraft, 1, with virtual channel 0 as given, and 1, 2 with the defaults."""
    channels = [VirtualChannel(virtual_channel_id=0, **own or {})]
    channels += [VirtualChannel(virtual_channel_id=id_) for id_ in (1, 2)]
    master = MasterChannel(spacecraft_id=1, virtual_channels=tuple(channels), **keys)
    return PhysicalChannel(frame_type=kind, frame_octets=octets, master_channels=(master,))  # type: ignore[arg-type]


def packet(octets: int) -> bytes:
    return SpacePacket(application_process_id=1, packet_data_field=bytes(octets - 6)).encode()


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "packet processing: packets over frames of fixed length")
def test_a_frame_waits_until_it_is_full() -> None:
    sender = Sender(link())
    point = sender.packets(1, 0)
    first = point.send(packet(57))
    assert sender.next_frame() is None
    second = point.send(packet(7))
    frame = sender.next_frame()
    assert frame is not None
    assert frame.units == (first,)
    assert point.pending_octets == 6
    assert sender.next_frame() is None
    point.flush()
    (rest,) = sender.frames(9)
    assert rest.units == (second,)


def test_a_flush_is_for_what_waits_then() -> None:
    sender = Sender(link())
    point = sender.packets(1, 0)
    point.send(packet(10))
    point.flush()
    assert len(sender.frames(9)) == 1
    point.send(packet(10))
    assert sender.frames(9) == []


@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "4.2", "packet processing: idle packets, of one octet and more with encapsulation packets"
)
@pytest.mark.parametrize("gap", range(1, 20))
@pytest.mark.parametrize("versions", [(0, 7), (0,), (7,)])
def test_a_gap_is_filled_with_idle_packets(gap: int, versions: tuple[int, ...]) -> None:
    sender = Sender(link(octets=64, own={"valid_packet_versions": versions}))
    if 0 in versions:
        user = packet(58 - gap)
    else:
        data = bytes(56 - gap)
        user = EncapsulationPacket(encapsulation_protocol_id=7, encapsulated_data_field=data).encode()
    sender.packets(1, 0).send(user)
    (frame,) = sender.emit(1)
    zone = TmTransferFrame.decode(frame.octets, frame_error_control_present=False).transfer_frame_data_field
    rest = memoryview(zone)[len(user) :]
    if versions == (0,) and gap < 7:
        # The shortest space packet has 7 octets: it goes on in the next frame, which says so by its pointer.
        assert bytes(rest) == SpacePacket.idle(7).encode()[:gap]
        sender.packets(1, 0).send(packet(7))
        (other,) = sender.emit(1)
        assert TmTransferFrame.decode(other.octets, frame_error_control_present=False).first_header_pointer == 7 - gap
    else:
        idle: list[SpacePacket | EncapsulationPacket] = []
        while rest:
            one: SpacePacket | EncapsulationPacket
            kind = SpacePacket if rest[0] >> 5 == 0 else EncapsulationPacket
            one, rest = kind.decode_from(rest)  # type: ignore[attr-defined]
            idle.append(one)
        assert all(one.is_idle for one in idle)
        assert len(idle) == 1


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "packet processing: maximum length of a packet")
def test_idle_packets_are_no_longer_than_a_packet_may_be() -> None:
    sender = Sender(link(octets=200, own={"maximum_packet_octets": 10, "valid_packet_versions": (0,)}))
    sender.packets(1, 0).send(packet(7))
    receiver = Receiver(sender.channel, deliver_idle_packets=True)
    batch = receiver.feed(b"".join(frame.octets for frame in sender.emit(1)))
    assert sum(len(one.encode()) for one in batch.packets) == 194
    assert receiver.account.lossless


@pytest.mark.conforms(
    "CCSDS 132.0-B-3", "4.1.4.6.2, annex D", "Only Idle Data in the data field, with the LFSR sequence"
)
def test_only_idle_data_is_the_sequence_of_the_standard() -> None:
    """132.0-B-3 annex D, 732.1-B-3 annex H: printed octets, also in ../shared/vectors/07-frames.toml; it runs on."""
    frames = Sender(link(octets=20)).emit(2)
    parts = [TmTransferFrame.decode(frame.octets, frame_error_control_present=False) for frame in frames]
    assert all(part.is_only_idle_data for part in parts)
    fill = b"".join(part.transfer_frame_data_field for part in parts)
    assert fill[:20].hex() == "ffffffff6db6d861451f11f19716723cbe7e00b1"
    assert [part.virtual_channel_id for part in parts] == [7, 7]
    assert [part.virtual_channel_frame_count for part in parts] == [0, 1]


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.4.6.2", "Only Idle Data frames in a virtual channel of packets")
def test_idle_frames_of_tm_may_share_a_channel_with_packets() -> None:
    sender = Sender(link(octets=30, idle_virtual_channel_id=0))
    sender.packets(1, 0).send(packet(30))
    frames = [*sender.frames(1), *sender.emit(3)]
    receiver = Receiver(sender.channel)
    batch = receiver.feed(b"".join(frame.octets for frame in frames))
    assert [one.encode() for one in batch.packets] == [packet(30)]
    assert receiver.account.lossless
    assert receiver.account.virtual_channels[0]["only_idle_data_frames"] == 2


@pytest.mark.conforms(
    "CCSDS 732.0-B-5", "4.1.4.1.6", "Only Idle Data frames on virtual channel 63, with the LFSR sequence"
)
def test_idle_data_of_aos_are_on_virtual_channel_63() -> None:
    (frame,) = Sender(link("AOS")).emit(1)
    assert frame.virtual_channel_id == 63
    assert frame.is_only_idle_data
    with pytest.raises(ConfigurationError, match="Only Idle Data"):
        Sender(link("AOS")).packets(1, 63)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.5.2", "replay flag")
def test_replayed_frames_are_accounted_for_apart() -> None:
    sender = Sender(link("AOS", own={"replay_flag": True}))
    for id_ in (0, 1):
        sender.packets(1, id_).send(packet(40))
    receiver = Receiver(sender.channel)
    batch = receiver.feed(b"".join(frame.octets for frame in sender.emit(2)))
    assert dict(zip(batch.packets["virtual_channel_id"], batch.packets["replay"], strict=True)) == {0: 1, 1: 0}


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.4.3.3", "bitstream data pointer")
@pytest.mark.parametrize(("bits", "pointers"), [(64, [0x3FFF]), (63, [62]), (65, [0x3FFF, 0]), (1, [0])])
def test_the_bitstream_pointer_is_the_number_of_the_last_bit(bits: int, pointers: list[int]) -> None:
    """All ones where there is no idle data (732.0-B-5 4.1.4.3.3)."""
    sender = Sender(link("AOS", octets=16, own={"service": "bitstream"}))
    sender.bitstream(1, 0).send(b"\xff" * 9, bits)
    sender.flush()
    units = [
        AosTransferFrame.decode(frame.octets, frame_error_control_present=False).bitstream_protocol_data_unit
        for frame in sender.frames(9)
    ]
    assert [unit.bitstream_data_pointer for unit in units] == pointers
    assert sum(unit.user_bits for unit in units) == bits


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.5.5", "VC frame count cycle")
def test_the_frame_count_of_aos_goes_on_in_its_cycle() -> None:
    sender = Sender(link("AOS", own={"frame_count_cycle": True}))
    node: Any = sender._master(1).find(0)
    node.frame_count = (1 << 28) - 1
    point = sender.packets(1, 0)
    for _ in range(2):
        point.send(packet(56))
    counts = [
        AosTransferFrame.decode(frame.octets, frame_error_control_present=False).extended_virtual_channel_frame_count
        for frame in sender.frames(2)
    ]
    assert counts == [(1 << 28) - 1, 0]


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "master channel OCF service, sending and receiving")
def test_a_field_that_nobody_gave_is_an_error_and_costs_nothing() -> None:
    sender = Sender(link(operational_control_field=True))
    point = sender.packets(1, 0)
    point.send(packet(58))
    with pytest.raises(ProtocolError, match="operational control field: the managed parameters promise it"):
        sender.next_frame()
    word = Clcw(virtual_channel_id=3, report_value=9)
    sender.operational_control_field(1).set(word)
    (frame,) = sender.emit(1)
    unit = TmTransferFrame.decode(frame.octets, frame_error_control_present=False)
    assert unit.control_word == word
    assert unit.virtual_channel_frame_count == 0
    assert point.pending_octets == 4


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel frame secondary header and OCF service, sending")
def test_a_virtual_channel_has_a_control_field_and_a_secondary_header_of_its_own() -> None:
    sender = Sender(link(own={"operational_control_field": True, "secondary_header_octets": 4}))
    sender.operational_control_field(1, 0).set(b"\x81abc")
    sender.secondary_header(1, 0).set(lambda: b"xyz")
    for id_ in (0, 1):
        sender.packets(1, id_).send(packet(40))
    first, second = (
        TmTransferFrame.decode(frame.octets, frame_error_control_present=False) for frame in sender.emit(2)
    )
    assert (first.operational_control_field, first.secondary_header_data_field) == (b"\x81abc", b"xyz")
    assert (second.operational_control_field, second.secondary_header_data_field) == (None, None)
    with pytest.raises(ConfigurationError, match="no secondary_header_octets"):
        sender.secondary_header(1, 1)
    with pytest.raises(ConfigurationError, match="no operational_control_field"):
        sender.operational_control_field(1, 1)


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel frame service, sending")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "frames made elsewhere: master channel frame count made here")
def test_frames_made_elsewhere_get_what_belongs_to_the_channels_above() -> None:
    sender = Sender(link())
    sender.packets(1, 1).send(packet(58))
    given_frame = TmTransferFrame(
        spacecraft_id=1,
        virtual_channel_id=0,
        first_header_pointer=0,
        transfer_frame_data_field=packet(58),
        master_channel_frame_count=77,
        virtual_channel_frame_count=200,
    )
    unit = sender.virtual_channel_frames(1, 0).send(given_frame)
    frames = sender.frames(5)
    made = {frame.virtual_channel_id: frame for frame in frames}
    assert made[0].units == (unit,)
    decoded = TmTransferFrame.decode(made[0].octets, frame_error_control_present=False)
    assert decoded.virtual_channel_frame_count == 200
    counts = [TmTransferFrame.decode(f.octets, frame_error_control_present=False) for f in frames]
    assert [count.master_channel_frame_count for count in counts] == [0, 1]
    with pytest.raises(ConfigurationError, match="cannot share a virtual channel"):
        sender.packets(1, 0)
    with pytest.raises(EncodeError, match="virtual channel 2"):
        sender.virtual_channel_frames(1, 0).send(given_frame.replace(virtual_channel_id=2))
    with pytest.raises(ConfigurationError, match="virtual channels are in use"):
        sender.master_channel_frames(1)


@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel access service with status fields, sending")
def test_status_fields_go_with_their_access_unit() -> None:
    sender = Sender(link(own={"service": "access"}))
    point = sender.access(1, 0)
    status = {"packet_order_flag": 1, "segment_length_id": 2, "first_header_pointer": 0x155}
    point.send(b"a" * 58, **status)
    point.send(b"b" * 58)
    first, second = (
        TmTransferFrame.decode(frame.octets, frame_error_control_present=False) for frame in sender.frames(9)
    )
    assert (first.transfer_frame_data_field, second.transfer_frame_data_field) == (b"a" * 58, b"b" * 58)
    assert [first.synchronization_flag, second.synchronization_flag] == [1, 1]
    assert {name: getattr(first, name) for name in status} == status


@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel frame service, sending")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel OCF service, sending")
def test_a_virtual_channel_of_aos_made_elsewhere_and_one_with_a_control_field() -> None:
    sender = Sender(link("AOS", own={"operational_control_field": True}))
    sender.operational_control_field(1, 0).set(b"\x81abc")
    sender.packets(1, 0).send(packet(54))
    elsewhere = AosTransferFrame(
        spacecraft_id=1,
        virtual_channel_id=1,
        virtual_channel_frame_count=7777,
        transfer_frame_data_field=b"\xff\xff" + bytes(56),
    )
    sender.virtual_channel_frames(1, 1).send(elsewhere)
    made = {frame.virtual_channel_id: frame.octets for frame in sender.frames(9)}
    assert made[1] == elsewhere.encode()
    own = AosTransferFrame.decode(made[0], frame_error_control_present=False, operational_control_field_present=True)
    assert own.operational_control_field == b"\x81abc"
    assert own.multiplexing_protocol_data_unit.packet_zone == packet(54)[:52]
    with pytest.raises(EncodeError, match="virtual channel 2"):
        sender.virtual_channel_frames(1, 1).send(elsewhere.replace(virtual_channel_id=2))


@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "master channel frame service, sending")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "master channel frame service, sending")
@pytest.mark.parametrize("kind", ["TM", "AOS"])
def test_a_master_channel_made_elsewhere_goes_as_it_is(kind: str) -> None:
    inner = Sender(link(kind))
    inner.packets(1, 0).send(packet(60))
    frames = inner.emit(2)
    outer = Sender(link(kind))
    point = outer.master_channel_frames(1)
    for frame in frames:
        point.send(frame.octets)
    assert [frame.octets for frame in outer.frames(9)] == [frame.octets for frame in frames]
    with pytest.raises(ProtocolError, match="no master channel whose frames are made here"):
        outer.emit(1)


def test_the_queue_has_a_limit_and_says_so() -> None:
    sender = Sender(link(), queue_octets=100)
    point = sender.packets(1, 0)
    point.send(packet(200))  # an empty queue takes any one packet
    with pytest.raises(QueueFullError, match="200 octets wait, and 7 more are over the limit of 100"):
        point.send(packet(7))
    sender.frames(2)
    point.send(packet(7))
    assert sender.pending_octets == 200 - 116 + 7


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "packets of another version or length refused")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"\x00\x01\xc0\x00\x00\x01a", "with a length of 8 are not one packet"),
        (b"\x00\x01\xc0", "with no whole header"),
        (b"", "with no whole header"),
        (b"\xe0", "packet version number 7 is not valid here, 0 is"),
        (b"\x20\x01\xc0\x00\x00\x00a", "version number 1 has no known length"),
        (packet(200), "a packet of 200 octets is over 100"),
    ],
)
def test_what_is_no_packet_is_refused(given: bytes, message: str) -> None:
    sender = Sender(link(own={"valid_packet_versions": (0,), "maximum_packet_octets": 100}))
    with pytest.raises(EncodeError, match=message):
        sender.packets(1, 0).send(given)
    assert sender.pending_octets == 0


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "services that the channel does not have refused")
def test_services_are_those_of_the_profile() -> None:
    sender = Sender(link(own={"service": "access"}))
    with pytest.raises(ConfigurationError, match="its service is access"):
        sender.packets(1, 0)
    with pytest.raises(ConfigurationError, match="its service is packets"):
        sender.access(1, 1)
    with pytest.raises(ConfigurationError, match="bitstream is a service of AOS frames only"):
        sender.bitstream(1, 0)
    with pytest.raises(ConfigurationError, match="spacecraft 2 is not among master_channels"):
        sender.packets(2, 0)
    with pytest.raises(ConfigurationError, match="virtual_channel_id is 8, not 0 to 7"):
        sender.packets(1, 8)
    with pytest.raises(ConfigurationError, match="no MAPs"):
        sender.packets(1, 1, 3)
    with pytest.raises(ConfigurationError, match="insert_zone_octets is 0"):
        sender.insert_zone()
    with pytest.raises(EncodeError, match="a unit has 58 octets, not 3"):
        sender.access(1, 0).send(b"abc")
    with pytest.raises(ConfigurationError, match="packets only"):
        Sender(ccsds.Mission(name="packets"))


def test_a_channel_without_a_list_takes_any_spacecraft() -> None:
    sender = Sender(PhysicalChannel(frame_type="TM", frame_octets=64))
    with pytest.raises(ProtocolError, match="no master channel"):
        sender.emit(1)
    sender.packets(900, 3).send(packet(20))
    (frame,) = sender.emit(1)
    assert (frame.spacecraft_id, frame.virtual_channel_id) == (900, 3)
    with pytest.raises(ConfigurationError, match="spacecraft_id is 1024"):
        sender.packets(1024, 0)


# -- turns -------------------------------------------------------------------------------------------------------------


def loaded(channel: PhysicalChannel, frames: int) -> Sender:
    """A sender whose virtual channels 0 to 2 have so many full frames each."""
    sender = Sender(channel)
    for id_ in range(3):
        point = sender.packets(1, id_)
        for _ in range(frames):
            point.send(packet(58))
    return sender


def three(multiplexing: str, polling: tuple[int, ...] = (), **each: tuple[Any, ...]) -> PhysicalChannel:
    channels = tuple(
        VirtualChannel(virtual_channel_id=id_, **{key: values[id_] for key, values in each.items()}) for id_ in range(3)
    )
    master = MasterChannel(spacecraft_id=1, multiplexing=multiplexing, polling=polling, virtual_channels=channels)  # type: ignore[arg-type]
    return PhysicalChannel(frame_type="TM", frame_octets=64, master_channels=(master,))


def order(sender: Sender, frames: int) -> str:
    return "".join(str(frame.virtual_channel_id) for frame in sender.frames(frames))


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "virtual channel multiplexing by priority")
def test_virtual_channels_by_priority() -> None:
    assert order(loaded(three("priority", priority=(2, 0, 1)), 3), 9) == "111222000"


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "virtual channel multiplexing by weight")
def test_virtual_channels_by_weight() -> None:
    made = order(loaded(three("weighted", weight=(3, 2, 1)), 60), 60)
    assert [made.count(id_) for id_ in "012"] == [30, 20, 10]
    assert "000" not in made


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "virtual channel multiplexing by polling vector")
def test_virtual_channels_by_the_polling_vector() -> None:
    assert order(loaded(three("polling", polling=(0, 1, 0, 2)), 9), 12) == "010201020102"
    with pytest.raises(ConfigurationError, match="5 is not in the polling vector"):
        Sender(three("polling", polling=(0, 1, 2))).packets(1, 5)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "rate limits of virtual and master channels")
def test_a_rate_limit_holds_over_any_window() -> None:
    rate = 64 * 8 * 10  # ten frames a second
    sender = loaded(three("priority", maximum_bits_per_second=(rate, None, None), priority=(0, 1, 1)), 40)
    now, sent = 0, []
    while len(sent) < 30:
        frame = sender.next_frame(now)
        if frame is None:
            ready = sender.ready_ns(now)
            assert ready is not None
            assert ready > now
            now = ready
        elif frame.virtual_channel_id == 0:
            sent.append(now)
        else:
            now += SECOND // 1000
    for first, instant in enumerate(sent):
        for count, other in enumerate(sent[first:]):
            assert count * SECOND <= 10 * (other - instant)
    assert sent[-1] <= 3 * SECOND


def test_a_limited_channel_leaves_the_link_to_idle_data() -> None:
    sender = loaded(three("priority", maximum_bits_per_second=(512, 512, 512)), 5)
    kinds = [frame.is_only_idle_data for frame in sender.emit(10, 0)]
    assert kinds == [False] * 3 + [True] * 7
    assert [frame.is_only_idle_data for frame in sender.emit(4, SECOND)] == [False] * 3 + [True]


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "rate limits of virtual and master channels")
def test_the_limit_of_a_master_channel_covers_all_of_it() -> None:
    master = MasterChannel(spacecraft_id=1, maximum_bits_per_second=512)
    sender = loaded(PhysicalChannel(frame_type="TM", frame_octets=64, master_channels=(master,)), 3)
    assert len(sender.frames(9, 0)) == 1
    assert sender.ready_ns(0) == SECOND
    assert len(sender.frames(9, SECOND)) == 1
