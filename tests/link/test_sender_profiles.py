"""Both ends from one profile: every mission that ships, published frames, and any order of calls step by step."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ccsds
from ccsds.link.managed_parameters import Cop1, Map, MasterChannel, PhysicalChannel, VirtualChannel
from ccsds.link.receiver import Receiver
from ccsds.link.sender import Sender
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.fop1_primitives import InitiateAdWithSetVr, InitiateAdWithUnlock
from ccsds.testing import load_vectors

CHANNELS = {name: ccsds.load_mission(name).physical_channel for name in ccsds.mission_names()}
MISSIONS = [name for name, channel in CHANNELS.items() if channel is not None and channel.frame_type in ("TM", "AOS")]


@pytest.mark.conforms("CCSDS 132.0-B-3", "5", "both ends from one set of managed parameters")
@pytest.mark.conforms("CCSDS 732.0-B-5", "5", "both ends from one set of managed parameters")
@pytest.mark.parametrize("name", MISSIONS)
@pytest.mark.parametrize("coded", [False, True])
def test_a_profile_serves_both_ends(name: str, coded: bool) -> None:
    channel = ccsds.load_mission(name).physical_channel
    assert channel is not None
    channel = channel if coded else channel.uncoded()
    random, sender = Random(name), Sender(channel)
    spacecraft = channel.master_channels[0].spacecraft_id if channel.master_channels else 5
    master = channel.find(spacecraft, 0)[0]
    sent: dict[int, list[bytes]] = {}
    own = [one for one in master.virtual_channels if one.virtual_channel_id != 63] or [
        VirtualChannel(virtual_channel_id=1)
    ]
    if any(one.has_operational_control_field(master) for one in [*own, VirtualChannel(virtual_channel_id=63)]):
        sender.operational_control_field(spacecraft).set(b"\x81\0\0\0")
    for one in own:
        if one.secondary_header_octets is not None:
            sender.secondary_header(spacecraft, one.virtual_channel_id).set(bytes(one.secondary_header_octets - 1))
        for count in range(30 if one.service == "packets" else 0):
            data = random.randbytes(random.randint(1, min(2000, one.maximum_packet_octets - 6)))
            packet = SpacePacket(application_process_id=9, packet_sequence_count=count, packet_data_field=data).encode()
            sender.packets(spacecraft, one.virtual_channel_id).send(packet)
            sent.setdefault(one.virtual_channel_id, []).append(packet)
        if one.service == "access":
            point = sender.access(spacecraft, one.virtual_channel_id)
            point.send(random.randbytes(point.unit_octets or 1))
    sender.flush()
    frames = [*sender.frames(1 << 20)]
    carries_idle = not (channel.frame_type == "TM" and channel.find(spacecraft, 7)[1].service != "packets")
    frames += sender.emit(3) if carries_idle else []
    line = bytes(sender.cadus(frames))
    receiver = Receiver(channel)
    batches = [receiver.feed(line), receiver.finish()]
    assert receiver.account.lossless, receiver.account
    assert receiver.account.totals["frames"] == len(frames)
    for id_, packets in sent.items():
        got = [
            packet.encode() for batch in batches for packet in batch.packets[batch.packets["virtual_channel_id"] == id_]
        ]
        assert got == packets


# -- published frames --------------------------------------------------------------------------------------------------


def is_intact(case: dict[str, Any]) -> bool:
    """One case has a wrong error control field on purpose; a sender makes none such."""
    return ccsds.TcTransferFrame.decode(bytes.fromhex(case["octets"]), **case["managed"], check=False).is_intact


INTACT = [case for case in load_vectors("232.0-B-4/tc_transfer_frame.toml") if is_intact(case)]


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.3.3", "control commands Unlock and Set V(R)")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "frame generation: published frames, octet for octet")
@pytest.mark.parametrize("case", INTACT, ids=lambda case: case["id"])
def test_published_tc_frames(case: dict[str, Any]) -> None:
    """Commands of COP-1 as it sends them, and data through the access point that makes the same frame."""
    octets = bytes.fromhex(case["octets"])
    frame = ccsds.TcTransferFrame.decode(octets, **case["managed"])
    cop_1 = Cop1(sliding_window_width=1, farm_sliding_window_width=2, t1_initial_ms=1, transmission_limit=1)
    own = VirtualChannel(
        virtual_channel_id=frame.virtual_channel_id,
        service="access",
        segment_header=frame.segment_header_present,
        cop="COP-1" if frame.control_command_flag else None,
        cop_1=cop_1 if frame.control_command_flag else None,
        maps=() if frame.map_id is None else (Map(map_id=frame.map_id, service="access"),),
    )
    channel = PhysicalChannel(
        frame_type="TC",
        frame_octets=1024,
        frame_error_control=frame.frame_error_control_present,
        master_channels=(MasterChannel(spacecraft_id=frame.spacecraft_id, virtual_channels=(own,)),),
    )
    sender, key = Sender(channel), (frame.spacecraft_id, frame.virtual_channel_id)
    if frame.control_command_flag:
        command = frame.control_command
        unlock = type(command).__name__ == "Unlock"
        directive = InitiateAdWithUnlock() if unlock else InitiateAdWithSetVr(octets[-3])
        sender.sequence_control(*key).direct(directive, now_ns=0)
    else:
        sender.access(*key, frame.map_id, sequence_controlled=False).send(frame.transfer_frame_data_unit)
    (made,) = sender.frames(9)
    # The expedited frames of others may have a number; ours have zero there, as 232.0-B-4 4.1.2.8 wants it.
    expected = octets if not frame.frame_sequence_number else frame.replace(frame_sequence_number=0).encode()
    assert made.octets.hex() == expected.hex()


# -- any order of calls ------------------------------------------------------------------------------------------------


class OneLink(RuleBasedStateMachine):
    """A sender and a receiver of one channel; after every step the receiver has had exactly what the frames carried."""

    @initialize(
        kind=st.sampled_from(["TM", "AOS"]), octets=st.integers(20, 80), versions=st.sampled_from([(0, 7), (0,)])
    )
    def begin(self, kind: Any, octets: int, versions: Any) -> None:
        channels = tuple(VirtualChannel(virtual_channel_id=id_, valid_packet_versions=versions) for id_ in (0, 1))
        master = MasterChannel(spacecraft_id=3, virtual_channels=channels, multiplexing="weighted")
        self.channel = PhysicalChannel(frame_type=kind, frame_octets=octets, master_channels=(master,))
        self.sender, self.receiver = Sender(self.channel), Receiver(self.channel)
        self.sent: dict[int, dict[int, bytes]] = {0: {}, 1: {}}
        self.due: dict[int, list[bytes]] = {0: [], 1: []}
        self.got: dict[int, list[bytes]] = {0: [], 1: []}
        self.frames = 0

    def carry(self, frames: list[ccsds.SentFrame]) -> None:
        for frame in frames:
            for unit in frame.units:
                self.due[frame.virtual_channel_id].append(self.sent[frame.virtual_channel_id].pop(unit))
        self.frames += len(frames)
        batch = self.receiver.feed(b"".join(frame.octets for frame in frames))
        for id_ in (0, 1):
            rows = batch.packets["virtual_channel_id"] == id_
            self.got[id_] += [packet.encode() for packet in batch.packets[rows]]

    @rule(id_=st.integers(0, 1), data=st.binary(min_size=1, max_size=120))
    def send(self, id_: int, data: bytes) -> None:
        packet = SpacePacket(application_process_id=id_, packet_data_field=data).encode()
        self.sent[id_][self.sender.packets(3, id_).send(packet)] = packet

    @rule(id_=st.integers(0, 1))
    def flush(self, id_: int) -> None:
        self.sender.packets(3, id_).flush()

    @rule(count=st.integers(1, 4))
    def take_due(self, count: int) -> None:
        self.carry(self.sender.frames(count))

    @rule(count=st.integers(1, 4))
    def take_always(self, count: int) -> None:
        self.carry(self.sender.emit(count))

    @precondition(lambda self: not any(self.sent.values()))
    @rule(id_=st.integers(0, 1), sizes=st.lists(st.integers(7, 90), max_size=5))
    def send_batch(self, id_: int, sizes: list[int]) -> None:
        packets = [SpacePacket(application_process_id=5, packet_data_field=bytes(size - 6)).encode() for size in sizes]
        before = self.sender._link._unit_id
        offsets = np.cumsum([0, *sizes]).astype(np.uint64)
        made = bytes(self.sender.send_batch(3, id_, b"".join(packets), offsets))
        source = self.sender._master(3).find(id_).source
        waiting = {unit for _, unit in source._ends}
        for number, packet in enumerate(packets, before + 1):
            if number in waiting:
                self.sent[id_][number] = packet
            else:
                self.due[id_].append(packet)
        self.frames += len(made) // self.channel.frame_octets
        batch = self.receiver.feed(made)
        self.got[id_] += [packet.encode() for packet in batch.packets]

    @invariant()
    def what_ended_has_arrived(self) -> None:
        if not hasattr(self, "sender"):
            return
        assert self.got == self.due
        waiting = sum(len(packet) for packets in self.sent.values() for packet in packets.values())
        assert self.sender.pending_octets <= waiting
        account = self.receiver.account
        assert account.lossless
        assert account.totals["frames"] == self.frames

    def teardown(self) -> None:
        if hasattr(self, "sender"):
            self.sender.flush()
            self.carry(self.sender.frames(1 << 20))
            assert not any(self.sent.values())
            assert self.got == self.due


TestOneLink = OneLink.TestCase
TestOneLink.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
