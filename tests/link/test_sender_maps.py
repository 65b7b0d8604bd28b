"""The sending chain of TC and USLP: MAPs, both services, every construction rule; demultiplexed it is what was sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest
import spacepackets.uslp.frame as other
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError, EncodeError, ProtocolError
from ccsds.frames.tc import TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import ConstructionRule
from ccsds.link.managed_parameters import (
    Map,
    MasterChannel,
    PhysicalChannel,
    VirtualChannel,
    mission_from_dict,
)
from ccsds.link.receiver import Receiver, Reception, receive
from ccsds.link.sender import Sender, SentFrame
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.cop1 import FrameType
from ccsds.procedures.packet_extraction import ExtractedPacket
from ccsds.procedures.segmentation import (
    MapDemultiplexer,
    OctetStreamPortion,
    ServiceDataUnit,
    UslpMapDemultiplexer,
    packets_of,
)

seeds = st.integers(0, 1 << 48)
Key = tuple[int, int, int | None, bool]
"""spacecraft, virtual channel, MAP, sequence-controlled"""


def draw_channel(random: Random, kind: str | None = None) -> PhysicalChannel:
    """Managed parameters of any TC or USLP link, without COP-1."""
    kind = kind or random.choice(["TC", "USLP"])
    tree: dict[str, Any] = {
        "frame_type": kind,
        "frame_octets": random.choice([random.randint(34, 60), random.randint(60, 300), 1024]),
        "frame_error_control": random.random() < 0.5,
        "multiplexing": random.choice(["priority", "weighted"]),
    }
    if kind == "USLP":
        tree["variable_frame_length"] = random.random() < 0.5
        tree["frame_error_control_octets"] = random.choice([2, 4])
        tree["insert_zone_octets"] = 0 if tree["variable_frame_length"] else random.choice([0, 3])
    ids = random.sample(range(1024), random.randint(1, 2))
    tree["master_channels"] = [
        {
            "spacecraft_id": id_,
            "multiplexing": random.choice(["priority", "weighted"]),
            "virtual_channels": [
                draw_virtual_channel(random, tree, number) for number in random.sample(range(63), random.randint(1, 3))
            ],
            **({"operational_control_field": random.random() < 0.5} if kind == "USLP" else {}),
            **({"source_or_destination_id": random.randint(0, 1)} if kind == "USLP" else {}),
        }
        for id_ in ids
    ]
    channel = mission_from_dict({"name": "any", "physical_channel": tree}).physical_channel
    assert channel is not None
    return channel


def draw_virtual_channel(random: Random, physical: dict[str, Any], id_: int) -> dict[str, Any]:
    uslp = physical["frame_type"] == "USLP"
    own: dict[str, Any] = {
        "virtual_channel_id": id_,
        "priority": random.randint(0, 2),
        "weight": random.randint(1, 5),
        "multiplexing": random.choice(["priority", "weighted"]),
    }
    if uslp:
        own["frame_count_octets_sequence_controlled"] = random.randint(0, 7)
        own["frame_count_octets_expedited"] = random.randint(0, 7)
        if physical["variable_frame_length"]:
            own["truncated_frame_octets"] = random.randint(12, 30)
    elif random.random() < 0.4:
        own["service"] = random.choice(["packets", "access"])
        own["blocking"] = random.random() < 0.5
        return own
    else:
        own["segment_header"] = True
    services = ["packets", "access"] + ["octet_stream"] * uslp
    own["maps"] = [
        {
            "map_id": map_id,
            "service": random.choice(services),
            "valid_packet_versions": random.choice([[0, 7], [0], [7]]),
            "blocking": random.random() < 0.5,
            "priority": random.randint(0, 2),
            "weight": random.randint(1, 5),
        }
        for map_id in random.sample(range(16 if uslp else 64), random.randint(1, 3))
    ]
    if random.random() < 0.3:
        own["multiplexing"] = "polling"
        own["polling"] = [map_["map_id"] for map_ in own["maps"]]
    return own


def draw_packet(random: Random, versions: tuple[int, ...], most: int) -> bytes:
    if random.choice(versions) == 0:
        return SpacePacket(
            application_process_id=3, packet_data_field=random.randbytes(random.randint(1, max(1, most - 6)))
        ).encode()
    data = random.randbytes(random.randint(0, min(most, 250) - 2))
    return EncapsulationPacket(encapsulation_protocol_id=7, encapsulated_data_field=data).encode()


class Traffic:
    """A user of every access point of a channel, who remembers what was sent, MAP by MAP and service by service."""

    def __init__(self, random: Random, channel: PhysicalChannel) -> None:
        self.random = random
        self.channel = channel
        self.sender = Sender(channel, queue_octets=1 << 30)
        self.sent: dict[Key, list[bytes]] = defaultdict(list)
        self.truncated: dict[Key, list[bytes]] = defaultdict(list)
        self.frames: list[SentFrame] = []
        self.units: list[int] = []
        self.control: list[bytes] = []
        self.points: list[tuple[int, VirtualChannel, Map | None]] = []
        for master in channel.master_channels:
            for own in master.virtual_channels:
                maps: tuple[Map | None, ...] = own.maps or (None,)
                self.points += [(master.spacecraft_id, own, map_) for map_ in maps]
            if master.operational_control_field:
                self.sender.operational_control_field(master.spacecraft_id).set(self._give_control)

    def _give_control(self) -> bytes:
        self.control.append(self.random.randbytes(4))
        return self.control[-1]

    def send(self) -> None:
        random = self.random
        spacecraft_id, own, map_ = random.choice(self.points)
        uslp = self.channel.frame_type == "USLP"
        sequence_controlled = uslp and random.random() < 0.5
        key = (spacecraft_id, own.virtual_channel_id, map_.map_id if map_ else None, sequence_controlled)
        service = map_.service if map_ else own.service
        most = 20 if map_ is None else random.choice([20, 100, 700])
        octets = random.randbytes(random.randint(1, most))
        if service == "packets":
            octets = draw_packet(random, (map_ or own).valid_packet_versions, most)
        if uslp and own.truncated_frame_octets is not None and random.random() < 0.1:
            assert map_ is not None
            truncated = self.sender.truncated_frames(*key[:2], map_.map_id)
            octets = random.randbytes(truncated.unit_octets)
            self.units.append(truncated.send(octets))
            self.truncated[(*key[:3], False)].append(octets)
            return
        quality = {"sequence_controlled": sequence_controlled}
        point: Any
        if service == "packets":
            point = self.sender.packets(*key[:3], **quality)
        elif service == "access":
            point = self.sender.access(*key[:3], **quality)
        else:
            assert map_ is not None
            point = self.sender.octet_stream(*key[:2], map_.map_id, **quality)
        self.units.append(point.send(octets))
        self.sent[key].append(octets)

    def step(self) -> None:
        chance = self.random.random()
        if chance < 0.7:
            self.send()
        elif chance < 0.85:
            self.frames += self.sender.frames(self.random.randint(1, 5))
        elif chance < 0.95 and self.channel.fixed_frame_length:
            self.frames += self.sender.emit(self.random.randint(1, 3))
        else:
            self.sender.flush()


def run(seed: int, kind: str | None = None) -> Traffic:
    random = Random(seed)
    traffic = Traffic(random, draw_channel(random, kind))
    for _ in range(random.randint(1, 100)):
        traffic.step()
    traffic.sender.flush()
    traffic.frames += traffic.sender.frames(1 << 30)
    return traffic


def user_packets(octets: bytes) -> list[bytes]:
    found, rest = packets_of(octets)
    assert not rest
    return found


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.8", "frame sequence number 0 in type-BD frames made here")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.4", "frames without frame error control field")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP packet service, sending")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "virtual channel packet service, sending")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP access service, sending")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "virtual channel access service, sending")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "virtual and master channel multiplexing")
@given(seeds)
@settings(max_examples=150, deadline=None)
def test_tc_demultiplexed_is_what_was_sent(seed: int) -> None:
    traffic = run(seed, "TC")
    channel = traffic.channel
    maps: dict[tuple[int, int], MapDemultiplexer] = defaultdict(MapDemultiplexer)
    got: dict[Key, list[bytes]] = defaultdict(list)
    for sent in traffic.frames:
        own = channel.find(sent.spacecraft_id, sent.virtual_channel_id)[1]
        frame = TcTransferFrame.decode(
            sent.octets,
            segment_header_present=own.segment_header,
            frame_error_control_present=channel.frame_error_control,
        )
        assert len(sent.octets) <= channel.frame_octets
        assert frame.frame_type == "BD"
        assert sent.frame_type is FrameType.BD
        assert frame.frame_sequence_number == 0
        assert frame.replace().encode() == sent.octets
        for map_id, event in maps[sent.spacecraft_id, sent.virtual_channel_id].handle_frame(frame):
            assert isinstance(event, ServiceDataUnit)
            service = own.service if map_id is None else own.find_map(map_id).service
            key = (sent.spacecraft_id, sent.virtual_channel_id, map_id, False)
            got[key] += user_packets(event.octets) if service == "packets" else [event.octets]
    assert got == traffic.sent
    assert not any(one.finish() for one in maps.values())
    assert sorted(unit for frame in traffic.frames for unit in frame.units) == traffic.units
    assert traffic.sender.pending_octets == 0


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.2.3", "source-or-destination identifier")
@pytest.mark.conforms(
    "CCSDS 732.1-B-3", "4.1.2.12", "VC frame count, apart for sequence-controlled and expedited frames"
)
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.2.2", "TFDZ construction rules 000 to 111")
@pytest.mark.conforms("CCSDS 732.1-B-3", "annex D", "truncated frames")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP packet service, sending")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP access service, sending")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP octet stream service, sending")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.2", "frames of fixed and of variable length, sending")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.2", "MAP, virtual channel and master channel multiplexing")
@given(seeds)
@settings(max_examples=200, deadline=None)
def test_uslp_demultiplexed_is_what_was_sent(seed: int) -> None:
    """Each service of a virtual channel apart: a unit may be sequence-controlled, or expedited, but not both."""
    traffic = run(seed, "USLP")
    channel = traffic.channel
    maps: dict[tuple[int, int, bool], UslpMapDemultiplexer] = defaultdict(UslpMapDemultiplexer)
    got: dict[Key, list[bytes]] = defaultdict(list)
    counts: dict[tuple[int, int, int], int] = defaultdict(int)
    truncated: dict[Key, list[bytes]] = defaultdict(list)
    for sent in traffic.frames:
        master, own = channel.find(sent.spacecraft_id, sent.virtual_channel_id)
        frame = UslpTransferFrame.decode(
            sent.octets,
            frame_error_control_present=channel.frame_error_control,
            frame_error_control_octets=channel.frame_error_control_octets,
            insert_zone_octets=channel.insert_zone_octets,
        )
        assert frame.replace().encode() == sent.octets
        assert frame.source_or_destination_id == master.source_or_destination_id
        if frame.is_truncated:
            assert len(sent.octets) == own.truncated_frame_octets
            zone = frame.data_field.transfer_frame_data_zone
            truncated[sent.spacecraft_id, sent.virtual_channel_id, frame.map_id, False].append(zone)
            continue
        assert len(sent.octets) == channel.frame_octets or not channel.fixed_frame_length
        assert len(sent.octets) <= channel.frame_octets
        bypass = frame.bypass_sequence_control_flag
        assert frame.virtual_channel_frame_count_length == (
            own.frame_count_octets_expedited if bypass else own.frame_count_octets_sequence_controlled
        )
        count = (sent.spacecraft_id, sent.virtual_channel_id, bypass)
        assert frame.virtual_channel_frame_count == counts[count] % (1 << 8 * frame.virtual_channel_frame_count_length)
        counts[count] += 1
        assert sent.is_only_idle_data == frame.is_only_idle_data
        assert (frame.operational_control_field is not None) == master.operational_control_field
        one = maps[sent.spacecraft_id, sent.virtual_channel_id, bool(bypass)]
        for map_id, event in one.handle_frame(frame):
            assert map_id is not None
            key = (sent.spacecraft_id, sent.virtual_channel_id, map_id, not bypass)
            if isinstance(event, ExtractedPacket):
                assert event.is_complete
                got[key] += [] if event.is_idle else [event.octets]
            elif isinstance(event, OctetStreamPortion):
                got[key].append(event.octets)
            else:
                assert isinstance(event, ServiceDataUnit)
                packets = own.find_map(map_id).service == "packets"
                got[key] += user_packets(event.octets) if packets else [event.octets]
    assert truncated == traffic.truncated
    for key, units in traffic.sent.items():
        if channel.find(*key[:2])[1].find_map(key[2] or 0).service == "octet_stream":
            stream, received = b"".join(units), b"".join(got[key])
            assert stream.startswith(received)
            assert len(received) == len(stream) or channel.fixed_frame_length
        else:
            assert got[key] == units
    if not channel.fixed_frame_length:
        assert traffic.sender.pending_octets == 0


def received(traffic: Traffic) -> Reception:
    return receive(b"".join(frame.octets for frame in traffic.frames), traffic.channel)


def service_of(channel: PhysicalChannel, key: tuple[int, int, int | None]) -> str:
    own = channel.find(key[0], key[1])[1]
    return own.service if key[2] is None else own.find_map(key[2]).service


def keyed(columns: Any, index: int) -> tuple[int, int, int | None]:
    names = ("spacecraft_id", "virtual_channel_id", "map_id")
    spacecraft, virtual, map_id = (int(columns[name][index]) for name in names)
    return spacecraft, virtual, None if map_id < 0 else map_id


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "master channel, virtual channel and MAP demultiplexing")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP packet service, receiving")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "MAP access service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "master channel, virtual channel and MAP demultiplexing")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP packet service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP access service, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames of fixed length, receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames of variable length, receiving")
@pytest.mark.parametrize("kind", ["TC", "USLP"])
@given(seed=st.integers(0, 1 << 48))
@settings(max_examples=120, deadline=None)
def test_what_was_sent_comes_out(kind: str, seed: int) -> None:
    traffic = run(seed, kind)
    # what goes into truncated frames here is no packet
    assume(all(service_of(traffic.channel, key[:3]) == "access" for key in traffic.truncated))
    result = received(traffic)
    assert result.account.lossless, result.account
    assert result.account.totals["records"] == result.account.totals["frames"] == len(traffic.frames)
    packets: dict[Any, list[bytes]] = defaultdict(list)
    units: dict[Any, list[bytes]] = defaultdict(list)
    for index in range(len(result.packets)):
        packets[keyed(result.packets, index)].append(bytes(result.packets.packet_octets(index)))
    assert result.units is not None
    for index, octets in enumerate(result.units):
        units[keyed(result.units, index)].append(bytes(octets))
    expected: dict[Any, list[bytes]] = defaultdict(list)
    for (*key, _), sent in [*traffic.sent.items(), *traffic.truncated.items()]:
        expected[tuple(key)] += sent  # both services of a MAP: which was first is not told
    for key in expected | packets | units:
        service, sent = service_of(traffic.channel, key), expected[key]
        if service == "packets":
            assert Counter(packets[key]) == Counter(sent)
        elif service == "access":
            assert Counter(units[key]) == Counter(sent)
        else:
            got, whole = Counter(b"".join(units[key])), Counter(b"".join(sent))
            assert got <= whole
            assert got == whole or traffic.channel.fixed_frame_length


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "frames back to back, in any split")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frames back to back, in any split")
@pytest.mark.parametrize("kind", ["TC", "USLP"])
def test_any_split_of_the_frames_gives_the_same(kind: str) -> None:
    for seed in range(20):
        traffic = run(seed, kind)
        whole, random, receiver = received(traffic), Random(seed), Receiver(traffic.channel, digest=True)
        octets = b"".join(frame.octets for frame in traffic.frames)
        packets = []
        while octets:
            size = random.randint(1, 90)
            packets += [packet.encode() for packet in receiver.feed(octets[:size]).packets]
            octets = octets[size:]
        packets += [packet.encode() for packet in receiver.finish().packets]
        assert packets == [packet.encode() for packet in whole.packets]
        assert receiver.account.to_dict() == whole.account.to_dict()


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.2", "frame generation, read by another implementation")
@given(seeds)
@settings(max_examples=60, deadline=None)
def test_another_implementation_reads_the_uslp_frames(seed: int) -> None:
    traffic = run(seed, "USLP")
    channel = traffic.channel
    if channel.frame_error_control and channel.frame_error_control_octets == 4:
        return  # it has the 16-bit field only
    shared = {
        "has_insert_zone": bool(channel.insert_zone_octets),
        "insert_zone_len": channel.insert_zone_octets,
        "has_fecf": channel.frame_error_control,
    }
    for sent in traffic.frames:
        ours = UslpTransferFrame.decode(
            sent.octets,
            frame_error_control_present=channel.frame_error_control,
            insert_zone_octets=channel.insert_zone_octets,
        )
        if ours.is_truncated:
            continue
        properties: Any
        if ours.data_field.is_of_fixed_length:
            kind = other.FrameType.FIXED
            properties = other.FixedFrameProperties(fixed_len=len(sent.octets), **shared)
        else:
            kind = other.FrameType.VARIABLE
            properties = other.VarFrameProperties(truncated_frame_len=len(sent.octets), **shared)
        theirs = other.TransferFrame.unpack(sent.octets, kind, properties)
        assert theirs.header.scid == sent.spacecraft_id
        assert theirs.header.vcid == sent.virtual_channel_id
        assert theirs.header.vcf_count == ours.virtual_channel_frame_count or not ours.virtual_channel_frame_count
        assert theirs.tfdf.tfdz == ours.data_field.transfer_frame_data_zone
        assert int(theirs.tfdf.tfdz_contr_rules) == ours.data_field.construction_rule


# -- one thing at a time -----------------------------------------------------------------------------------------------


def link(kind: str, octets: int, own: VirtualChannel, **keys: Any) -> PhysicalChannel:
    master = MasterChannel(spacecraft_id=1, virtual_channels=(own,))
    return PhysicalChannel(frame_type=kind, frame_octets=octets, master_channels=(master,), **keys)  # type: ignore[arg-type]


def packet(octets: int) -> bytes:
    return SpacePacket(application_process_id=1, packet_data_field=bytes(octets - 6)).encode()


def tc_units(sender: Sender) -> list[tuple[int | None, int | None, int]]:
    """(MAP, sequence flags, octets) of each frame that is due."""
    frames = [
        TcTransferFrame.decode(frame.octets, segment_header_present=True, frame_error_control_present=False)
        for frame in sender.frames(99)
    ]
    return [(frame.map_id, frame.sequence_flags, len(frame.transfer_frame_data_unit)) for frame in frames]


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3.1", "blocking of packets")
def test_packets_are_blocked_where_they_may() -> None:
    maps = (Map(map_id=1), Map(map_id=2, blocking=False))
    sender = Sender(link("TC", 46, VirtualChannel(virtual_channel_id=0, segment_header=True, maps=maps)))
    for map_id in (1, 2):
        for _ in range(3):
            sender.packets(1, 0, map_id).send(packet(20))
    assert sorted(tc_units(sender)) == [(1, 3, 20), (1, 3, 40), (2, 3, 20), (2, 3, 20), (2, 3, 20)]


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.2.2.2", "sequence flags: first, continuing, last, unsegmented")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3.1", "segmentation of packets and access data units")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "MAP multiplexing")
def test_a_long_packet_goes_in_segments_and_lets_other_maps_between() -> None:
    own = VirtualChannel(virtual_channel_id=0, segment_header=True, multiplexing="weighted")
    sender = Sender(link("TC", 46, own))
    sender.packets(1, 0, 1).send(packet(100))
    sender.packets(1, 0, 2).send(packet(7))
    assert tc_units(sender) == [(1, 1, 40), (2, 3, 7), (1, 0, 40), (1, 2, 20)]


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "virtual channels without segment header: units of one frame only")
def test_without_segment_headers_a_unit_must_fit() -> None:
    sender = Sender(link("TC", 45, VirtualChannel(virtual_channel_id=0)))
    point = sender.packets(1, 0)
    point.send(packet(40))
    with pytest.raises(EncodeError, match="a unit of 41 octets does not fit into a frame, which takes 40"):
        point.send(packet(41))
    with pytest.raises(ConfigurationError, match="without segment headers there is no map_id"):
        sender.packets(1, 0, 3)
    with pytest.raises(ConfigurationError, match='need cop = "COP-1"'):
        sender.packets(1, 0, sequence_controlled=True)
    with pytest.raises(ProtocolError, match="send them when they are due"):
        sender.emit(1)


@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "sequence-controlled and expedited quality of service")
def test_expedited_data_of_a_map_go_first() -> None:
    sender = Sender(link("USLP", 64, VirtualChannel(virtual_channel_id=3), variable_frame_length=True))
    sender.packets(1, 3, 0, sequence_controlled=True).send(packet(20))
    sender.packets(1, 3, 0, sequence_controlled=False).send(packet(10))
    assert [frame.frame_type for frame in sender.frames(9)] == [FrameType.BD, FrameType.AD]


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.2", "rate limits of MAPs")
def test_a_map_has_a_rate_limit_of_its_own() -> None:
    maps = (Map(map_id=0, maximum_bits_per_second=8 * 21), Map(map_id=1))
    own = VirtualChannel(virtual_channel_id=3, maps=maps)
    sender = Sender(link("USLP", 64, own, variable_frame_length=True))
    for _ in range(3):
        for map_id in (0, 1):
            sender.packets(1, 3, map_id).send(packet(41))
    made = [UslpTransferFrame.decode(f.octets, frame_error_control_present=False) for f in sender.frames(9, 0)]
    assert [frame.map_id for frame in made] == [0, 1, 1, 1]
    assert sender.ready_ns(0) == 2_000_000_000
    assert len(sender.frames(9, 2_000_000_000)) == 1


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.4.1.6", "Only Idle Data frames on virtual channel 63")
@pytest.mark.conforms("CCSDS 732.1-B-3", "annex H", "Only Idle Data sequence of the LFSR")
def test_only_idle_data_of_uslp() -> None:
    """732.1-B-3 annex H: the printed octets."""
    (frame,) = Sender(link("USLP", 31, VirtualChannel(virtual_channel_id=3))).emit(1)
    unit = UslpTransferFrame.decode(frame.octets, frame_error_control_present=False)
    assert unit.is_only_idle_data
    field = unit.data_field
    assert (field.construction_rule, field.uslp_protocol_id) == (ConstructionRule.START_OF_ACCESS_UNIT, 31)
    assert field.transfer_frame_data_zone.hex() == "ffffffff6db6d861451f11f19716723cbe7e00b1"


@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "MAP octet stream service, sending")
def test_an_octet_stream_in_frames_of_fixed_length_waits_until_they_are_full() -> None:
    maps = (Map(map_id=2, service="octet_stream"),)
    sender = Sender(link("USLP", 29, VirtualChannel(virtual_channel_id=3, maps=maps)))
    point = sender.octet_stream(1, 3, 2)
    point.send(bytes(19))
    sender.flush()
    assert sender.next_frame() is None
    assert [frame.is_only_idle_data for frame in sender.emit(1)] == [True]
    point.send(bytes(1))
    (frame,) = sender.frames(9)
    assert UslpTransferFrame.decode(frame.octets, frame_error_control_present=False).data_field.construction_rule == 3


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "virtual channel frame service, sending")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "all frames generation: frame error control of frames made elsewhere")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "virtual channel frame service, sending")
@pytest.mark.parametrize("kind", ["TC", "USLP"])
def test_frames_made_elsewhere(kind: str) -> None:
    keys = {"frame_error_control": True, **({"variable_frame_length": True} if kind == "USLP" else {})}
    sender = Sender(link(kind, 64, VirtualChannel(virtual_channel_id=3), **keys))
    fields = {"spacecraft_id": 1, "virtual_channel_id": 3, "frame_error_control_present": True}
    frame: Any
    if kind == "TC":
        frame = TcTransferFrame(transfer_frame_data_unit=b"abc", frame_sequence_number=7, **fields)  # type: ignore[arg-type]
    else:
        frame = UslpTransferFrame(transfer_frame_data_field=b"\xe0abc", **fields)  # type: ignore[arg-type]
    damaged = frame.encode()[:-1] + b"\0"
    sender.virtual_channel_frames(1, 3).send(damaged)  # its error control is made here
    assert [sent.octets for sent in sender.frames(9)] == [frame.encode()]
    with pytest.raises(EncodeError, match="a frame of spacecraft 2"):
        sender.virtual_channel_frames(1, 3).send(frame.replace(spacecraft_id=2))
    with pytest.raises(EncodeError):
        sender.virtual_channel_frames(1, 3).send(b"abc")
    with pytest.raises(ConfigurationError, match="cannot share"):
        sender.packets(1, 3, *([] if kind == "TC" else [0]))


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.2", "services that the channel does not have refused")
def test_what_uslp_cannot_do_is_named() -> None:
    fixed = Sender(link("USLP", 64, VirtualChannel(virtual_channel_id=3, truncated_frame_octets=10)))
    with pytest.raises(ConfigurationError, match="frames of variable length"):
        fixed.truncated_frames(1, 3, 0)
    with pytest.raises(ConfigurationError, match="map_id is 16"):
        fixed.packets(1, 3, 16)
    with pytest.raises(ConfigurationError, match="name a map_id"):
        fixed.packets(1, 3)
    with pytest.raises(ConfigurationError, match="Only Idle Data"):
        fixed.packets(1, 63, 0)
    own = VirtualChannel(virtual_channel_id=3, cop="COP-1", frame_count_octets_sequence_controlled=2)
    with pytest.raises(ConfigurationError, match="COP-1 counts modulo 256"):
        Sender(link("USLP", 64, own)).packets(1, 3, 0)


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "master channel frame service, sending")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "master channel frame service, sending")
@pytest.mark.parametrize("kind", ["TC", "USLP"])
def test_a_master_channel_made_elsewhere_goes_as_it_is(kind: str) -> None:
    keys = {"frame_error_control": True, **({"variable_frame_length": True} if kind == "USLP" else {})}
    own = VirtualChannel(virtual_channel_id=3, segment_header=kind == "TC")
    inner, outer = Sender(link(kind, 64, own, **keys)), Sender(link(kind, 64, own, **keys))
    inner.packets(1, 3, 0).send(packet(100))
    frames = [frame.octets for frame in inner.frames(9)]
    assert len(frames) == 2
    point = outer.master_channel_frames(1)
    for octets in frames:
        point.send(octets)
    assert [frame.octets for frame in outer.frames(9)] == frames
    with pytest.raises(ConfigurationError):
        outer.packets(1, 3, 0)


@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "insert service, sending and receiving")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.3", "insert zone")
@pytest.mark.conforms("CCSDS 732.1-B-3", "4.1.5", "operational control field")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "master channel OCF service, sending and receiving")
def test_insert_zone_and_control_fields_of_uslp() -> None:
    """Both ends: what is given for each frame comes out of it."""
    master = MasterChannel(
        spacecraft_id=1, operational_control_field=True, virtual_channels=(VirtualChannel(virtual_channel_id=3),)
    )
    channel = PhysicalChannel(
        frame_type="USLP", frame_octets=64, insert_zone_octets=5, frame_error_control=True, master_channels=(master,)
    )
    sender = Sender(channel)
    words = [b"\x01\x00\x00\x01", b"\x81\x00\x00\x02", b"\x01\x00\x00\x03"]
    left = iter(words)
    sender.operational_control_field(1).set(lambda: next(left))
    zones = [b"zone1", b"zone2", b"zone3"]
    for zone in zones:
        sender.insert_zone().send(zone)
    sender.packets(1, 3, 0).send(packet(60))
    frames = sender.emit(3)
    decoded = [
        UslpTransferFrame.decode(frame.octets, frame_error_control_present=True, insert_zone_octets=5)
        for frame in frames
    ]
    assert [frame.insert_zone for frame in decoded] == zones
    assert [frame.operational_control_field for frame in decoded] == words
    assert [frame.is_only_idle_data for frame in decoded] == [False, False, True]
    result = receive(b"".join(frame.octets for frame in frames), channel)
    assert result.frames is not None
    assert bytes(result.frames.insert_zones()) == b"".join(zones)
    assert result.frames.operational_control_fields()[1].astype(">u4").tobytes() == b"".join(words)
    assert [one.encode() for one in result.packets] == [packet(60)]
