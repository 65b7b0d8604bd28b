"""Sender with COP-1 against FARM-1: real TC and USLP frames over a link that loses, doubles and damages them."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest

from ccsds.errors import ConfigurationError, DecodeError
from ccsds.frames.error_control import append_frame_error_control, frame_error_control
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.link.managed_parameters import Cop1, Map, MasterChannel, PhysicalChannel, VirtualChannel, mission_from_dict
from ccsds.link.sender import Sender, UnitNotification
from ccsds.link.sending.sequence_control import fop1_parameters
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.cop1 import Cop1Frame, FrameType
from ccsds.procedures.farm1 import Farm1, Farm1Parameters, FduArrived
from ccsds.procedures.fop1_primitives import (
    Alert,
    Fop1State,
    InitiateAdWithClcwCheck,
    InitiateAdWithoutClcwCheck,
    InitiateAdWithUnlock,
    Notification,
    ResumeAd,
    SetTransmissionLimit,
    SetVs,
    Suspended,
)
from ccsds.procedures.segmentation import Reassembler, packets_of
from ccsds.testing.simulated_link import LinkQuality, SimulatedLink

MS = 1_000_000
SPACECRAFT, CHANNEL = 5, 2
GOOD = LinkQuality(delay_ns=100 * MS)
BAD = LinkQuality(delay_ns=100 * MS, jitter_ns=20 * MS, loss=0.15, duplication=0.1, corruption=0.1)


def link(kind: str, *, fixed: bool = False, timeout_type: str = "alert", limit: int = 6) -> PhysicalChannel:
    cop_1 = Cop1(
        sliding_window_width=8,
        farm_sliding_window_width=32,
        t1_initial_ms=500,
        transmission_limit=limit,
        timeout_type=timeout_type,  # type: ignore[arg-type]
    )
    own = VirtualChannel(
        virtual_channel_id=CHANNEL,
        cop="COP-1",
        cop_1=cop_1,
        segment_header=kind == "TC",
        multiplexing="weighted",
        maps=tuple(Map(map_id=id_) for id_ in (1, 2)),
    )
    return PhysicalChannel(
        frame_type=kind,  # type: ignore[arg-type]
        frame_octets=60,
        frame_error_control=True,
        variable_frame_length=kind == "USLP" and not fixed,
        master_channels=(MasterChannel(spacecraft_id=SPACECRAFT, virtual_channels=(own,)),),
    )


def packet(number: int, octets: int) -> bytes:
    data = number.to_bytes(4, "big") + bytes(octets)
    return SpacePacket(application_process_id=1, packet_data_field=data).encode()


class Spacecraft:
    """FARM-1 behind real frames, and what it hands on: packets by MAP and service."""

    def __init__(self, channel: PhysicalChannel) -> None:
        self.channel = channel
        self.farm = Farm1(Farm1Parameters(virtual_channel_id=CHANNEL, sliding_window_width=32))
        self.numbers: dict[FrameType, list[int]] = defaultdict(list)
        self.in_progress: dict[tuple[FrameType, int], Reassembler] = defaultdict(Reassembler)

    def receive(self, octets: bytes) -> None:
        try:
            frame, map_id, flags, data = self._decode(octets)
        except DecodeError:
            self.farm.handle_invalid_frame()
            return
        self.farm.handle_frame(frame)
        while (event := self.farm.poll_event()) is not None:
            if isinstance(event, FduArrived):
                assert event.frame is frame
                self._deliver(frame.frame_type, map_id, flags, data)

    def _decode(self, octets: bytes) -> tuple[Cop1Frame, int, SegmentSequenceFlags, bytes]:
        if self.channel.frame_type == "TC":
            tc = TcTransferFrame.decode(octets, segment_header_present=True, frame_error_control_present=True)
            frame = Cop1Frame.received(
                bypass_flag=tc.bypass_flag,
                control_command_flag=tc.control_command_flag,
                frame_sequence_number=tc.frame_sequence_number,
                octets=tc.transfer_frame_data_unit,
            )
            flags = SegmentSequenceFlags.UNSEGMENTED if tc.sequence_flags is None else tc.sequence_flags
            return frame, tc.map_id or 0, flags, tc.transfer_frame_data_unit
        uslp = UslpTransferFrame.decode(octets, frame_error_control_present=True)
        field = uslp.data_field
        is_command = bool(uslp.protocol_control_command_flag)
        frame = Cop1Frame.received(
            bypass_flag=uslp.bypass_sequence_control_flag,
            control_command_flag=uslp.protocol_control_command_flag,
            frame_sequence_number=uslp.virtual_channel_frame_count,
            octets=field.portion[1] if is_command else uslp.transfer_frame_data_field,
        )
        if is_command:
            assert field.uslp_protocol_id == 1
        return frame, uslp.map_id, *field.portion

    def _deliver(self, frame_type: FrameType, map_id: int, flags: SegmentSequenceFlags, data: bytes) -> None:
        for event in self.in_progress[frame_type, map_id].handle_segment(flags, data):
            found, rest = packets_of(getattr(event, "octets", b""))
            if type(event).__name__ == "ServiceDataUnit":
                assert not rest
                self.numbers[frame_type] += [int.from_bytes(one[6:10], "big") for one in found]


class Pass:
    """Ground and spacecraft; the clock jumps in steps of 10 ms."""

    def __init__(self, channel: PhysicalChannel, quality: LinkQuality, seed: int) -> None:
        self.sender = Sender(channel, queue_octets=1 << 24)
        self.spacecraft = Spacecraft(channel)
        self.uplink = SimulatedLink(quality, seed=2 * seed)
        self.downlink = SimulatedLink(quality, seed=2 * seed + 1)
        self.now = 0
        self.notified: dict[int, list[Notification]] = defaultdict(list)
        self.alerts: Counter[str] = Counter()
        self.suspensions = 0
        self.recover_ns: int | None = None
        self.frames: Counter[FrameType | None] = Counter()
        self.last_report = 0
        self.control = self.sender.sequence_control(SPACECRAFT, CHANNEL)

    def step(self) -> None:
        self.now += 10 * MS
        for octets in self.uplink.receive(now_ns=self.now):
            self.spacecraft.receive(octets)
        if self.now % (100 * MS) == 0:
            word = self.spacecraft.farm.clcw().encode()
            self.downlink.send(append_frame_error_control(word), now_ns=self.now)
        for octets in self.downlink.receive(now_ns=self.now):
            if not frame_error_control(octets):
                self.last_report = octets[3]
                self.sender.handle_operational_control_field(octets[:4], now_ns=self.now)
        due = self.sender.poll_timeout()
        if due is not None and due <= self.now:
            self.sender.handle_timeout(self.now)
        if self.recover_ns is not None and self.now >= self.recover_ns:
            self.recover_ns = None
            self.control.direct(SetVs(self.last_report), now_ns=self.now)
            self.control.direct(InitiateAdWithUnlock(), now_ns=self.now)
        for frame in self.sender.frames(3, self.now):
            self.frames[frame.frame_type] += 1
            self.uplink.send(frame.octets, now_ns=self.now)
        self._hear()

    def _hear(self) -> None:
        while (happened := self.sender.poll_event()) is not None:
            assert happened[:2] == (SPACECRAFT, CHANNEL)
            event = happened.event
            if isinstance(event, UnitNotification):
                self.notified[event.unit_id].append(event.notification)
            elif isinstance(event, Alert):
                self.alerts[event.reason.name] += 1
                self.recover_ns = self.now + 2000 * MS
            elif isinstance(event, Suspended):
                self.suspensions += 1
                limit = min(255, self.control.fop.transmission_limit + 1)
                self.control.direct(SetTransmissionLimit(limit), now_ns=self.now)
                self.control.direct(ResumeAd(), now_ns=self.now)

    def last(self, unit: int) -> Notification | None:
        return self.notified[unit][-1] if self.notified[unit] else None


def run(made: Pass, units: list[int], seconds: int) -> None:
    final = (Notification.POSITIVE_CONFIRM, Notification.NEGATIVE_CONFIRM, Notification.REJECT)
    while made.now < seconds * 1000 * MS:
        made.step()
        if all(made.last(unit) in final for unit in units):
            return
    raise AssertionError(f"not done after {seconds} s: {made.alerts}, {made.control.fop.state}")


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "COP management service: directives and notifications")
@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "sequence-controlled (type-A) service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "3.2", "sequence-controlled service over TC and USLP frames")
@pytest.mark.conforms("CCSDS 732.1-B-3", "3", "COP management service with COP-1")
@pytest.mark.conforms(
    "CCSDS 232.0-B-4",
    "4.4",
    "frame acceptance by FARM-1",
    partial="a procedure of its own; the receiving chain accepts every valid frame",
)
@pytest.mark.conforms(
    "CCSDS 732.1-B-3",
    "4.3",
    "frame acceptance by FARM-1",
    partial="a procedure of its own; the receiving chain accepts every valid frame",
)
@pytest.mark.parametrize("kind", ["TC", "USLP"])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("timeout_type", ["alert", "suspend"])
def test_every_packet_arrives_once_and_in_order_or_the_user_knows(kind: str, seed: int, timeout_type: str) -> None:
    random = Random(seed)
    made = Pass(link(kind, timeout_type=timeout_type, limit=random.choice([2, 6, 30])), BAD if seed else GOOD, seed)
    made.control.direct(InitiateAdWithClcwCheck(), now_ns=0)
    points = [made.sender.packets(SPACECRAFT, CHANNEL, map_id) for map_id in (1, 2)]
    sent: dict[int, tuple[int, int]] = {}
    for number in range(40):
        which = random.randrange(2)
        sent[points[which].send(packet(number, random.choice([0, 10, 30, 150])))] = number, which
    run(made, list(sent), 3600)
    delivered = made.spacecraft.numbers[FrameType.AD]
    assert len(set(delivered)) == len(delivered)
    confirmed = [number for unit, (number, _) in sent.items() if made.last(unit) is Notification.POSITIVE_CONFIRM]
    assert set(confirmed) <= set(delivered)
    for which in (0, 1):
        mine = {number for number, map_ in sent.values() if map_ == which}
        assert [number for number in delivered if number in mine] == sorted(mine & set(delivered))
    if not made.alerts:
        assert sorted(delivered) == sorted(confirmed) == list(range(40))
    else:
        assert timeout_type == "alert" or made.alerts.keys() != {"T1"}
    if not seed:
        assert not made.alerts
        assert not made.suspensions
    assert made.sender.pending_octets == 0


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "expedited (type-B) service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "3.2", "expedited service beside a sequence-controlled one that does not run")
@pytest.mark.parametrize("kind", ["TC", "USLP"])
def test_expedited_packets_go_without_a_service(kind: str) -> None:
    made = Pass(link(kind), GOOD, 1)
    waiting = made.sender.packets(SPACECRAFT, CHANNEL, 1)
    waiting.send(packet(1, 10))
    expedited = made.sender.packets(SPACECRAFT, CHANNEL, 1, sequence_controlled=False)
    unit = expedited.send(packet(2, 100))
    for _ in range(30):
        made.step()
    assert made.spacecraft.numbers == {FrameType.BD: [2]}
    assert set(made.notified) == {unit}
    assert made.last(unit) is Notification.ACCEPT
    assert waiting.pending_octets == len(packet(1, 10))
    made.control.direct(InitiateAdWithoutClcwCheck(), now_ns=made.now)
    for _ in range(30):
        made.step()
    assert made.spacecraft.numbers[FrameType.AD] == [1]


@pytest.mark.conforms("CCSDS 232.0-B-4", "3", "COP management service: directives and notifications")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with Unlock")
@pytest.mark.parametrize(("kind", "fixed"), [("TC", False), ("USLP", False), ("USLP", True)])
def test_control_commands_reach_farm_1(kind: str, fixed: bool) -> None:
    made = Pass(link(kind, fixed=fixed), GOOD, 1)
    made.spacecraft.farm.handle_frame(Cop1Frame(frame_type=FrameType.AD, octets=b"x", frame_sequence_number=128))
    assert made.spacecraft.farm.clcw().lockout_flag
    made.spacecraft.farm.poll_event()
    made.control.direct(InitiateAdWithUnlock(), now_ns=0)
    for _ in range(100):
        made.step()
    assert not made.spacecraft.farm.clcw().lockout_flag
    assert made.control.fop.state is Fop1State.ACTIVE
    assert made.frames[FrameType.BC] == 1


def test_a_packet_that_has_gone_in_part_is_given_up_after_an_alert() -> None:
    made = Pass(link("TC", limit=1), LinkQuality(delay_ns=0, loss=1.0), 1)
    made.control.direct(InitiateAdWithoutClcwCheck(), now_ns=0)
    point = made.sender.packets(SPACECRAFT, CHANNEL, 1)
    long, short = point.send(packet(1, 2000)), point.send(packet(2, 10))
    for _ in range(100):
        made.step()
    assert made.alerts == {"T1": 1}
    assert made.notified == {long: [Notification.NEGATIVE_CONFIRM]}
    assert point.pending_octets == len(packet(2, 10))
    made.uplink.quality = made.downlink.quality = GOOD
    for _ in range(300):
        made.step()
    assert made.last(short) is Notification.POSITIVE_CONFIRM
    assert made.spacecraft.numbers[FrameType.AD] == [2]


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 sliding window")
def test_the_window_is_kept() -> None:
    made = Pass(link("TC"), LinkQuality(delay_ns=10_000 * MS), 1)
    made.control.direct(InitiateAdWithoutClcwCheck(), now_ns=0)
    point = made.sender.packets(SPACECRAFT, CHANNEL, 1)
    for number in range(30):
        point.send(packet(number, 40))
    for _ in range(40):
        made.step()
    assert made.frames == {FrameType.AD: 8}
    assert made.control.fop.outstanding_frames == 8


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: sliding window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: T1 initial")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: transmission limit")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 managed parameter: sliding window width")
def test_the_profile_has_the_parameters_of_both_ends() -> None:
    own = {"virtual_channel_id": 3, "cop": "COP-1", "segment_header": True}
    table = {
        "sliding_window_width": 10,
        "farm_sliding_window_width": 20,
        "t1_initial_ms": 5000,
        "transmission_limit": 3,
    }

    def load(**changes: Any) -> PhysicalChannel:
        channel = {**own, "cop_1": {**table, **changes}}
        tree = {
            "frame_type": "TC",
            "frame_octets": 100,
            "master_channels": [{"spacecraft_id": 1, "virtual_channels": [channel]}],
        }
        made = mission_from_dict({"name": "x", "physical_channel": tree}).physical_channel
        assert made is not None
        return made

    parameters = fop1_parameters(load().find(1, 3)[1])
    assert (parameters.sliding_window_width, parameters.t1_initial_ns, parameters.transmission_limit) == (
        10,
        5_000_000_000,
        3,
    )
    assert parameters.widest_window == 10
    with pytest.raises(ConfigurationError, match="sliding_window_width is over half"):
        load(sliding_window_width=11)
    with pytest.raises(ConfigurationError, match="farm_sliding_window_width is even"):
        load(farm_sliding_window_width=21)
    with pytest.raises(ConfigurationError, match="needs cop_1"):
        bare = VirtualChannel(virtual_channel_id=3, cop="COP-1", segment_header=True)
        master = MasterChannel(spacecraft_id=1, virtual_channels=(bare,))
        Sender(PhysicalChannel(frame_type="TC", frame_octets=100, master_channels=(master,))).packets(1, 3, 0)
