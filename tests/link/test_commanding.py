"""CommandSession against Spacecraft over a link that loses, doubles, damages and delays."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccsds.errors import ConfigurationError, DecodeError, ProtocolError
from ccsds.frames.operational_control_field import Clcw
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.link.command_trace import (
    AlertRaised,
    ClcwChanged,
    CommandStep,
    DirectiveStep,
    TraceEvent,
    trace_from_lines,
    trace_line,
)
from ccsds.link.commanding import CommandSession, physical_channel_of
from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.packets.space_packet import PacketType, SpacePacket
from ccsds.procedures.fop1_primitives import (
    Fop1State,
    InitiateAdWithoutClcwCheck,
    InitiateAdWithSetVr,
    ResumeAd,
    SetTransmissionLimit,
    SetVs,
    TerminateAd,
)
from ccsds.testing.simulated_link import LinkQuality, SimulatedLink
from ccsds.testing.spacecraft import (
    HOUSEKEEPING,
    HOUSEKEEPING_APPLICATION_PROCESS_ID,
    VERIFICATION,
    VERIFICATION_APPLICATION_PROCESS_ID,
    Spacecraft,
)

MS = 1_000_000
DOWNLINKS = ("demo-downlink", "demo-downlink-aos", "demo-downlink-uslp")
CODINGS: dict[str, dict[str, Any]] = {
    "BCH, correcting, PLOP-2": {"code": "BCH", "mode": "correct", "idle_octets": 8},
    "BCH, detecting, PLOP-1, randomized": {"code": "BCH", "mode": "detect", "plop": 1, "randomizer": True},
    "LDPC (128,64)": {"code": "LDPC (128,64)", "idle_octets": 16},
    "LDPC (512,256), PLOP-1, twice": {"code": "LDPC (512,256)", "plop": 1, "repetitions": 2, "idle_octets": 64},
}
GOOD = LinkQuality(delay_ns=100 * MS)
BAD = LinkQuality(delay_ns=100 * MS, jitter_ns=20 * MS, loss=0.15, duplication=0.1, corruption=0.15)


def uplink(coding: dict[str, Any] | None = None, **cop: Any) -> PhysicalChannel:
    channel = physical_channel_of("demo-uplink")
    tree = msgspec.to_builtins(channel)
    if coding is not None:
        tree["command_coding"] = coding
    for virtual_channel in tree["master_channels"][0]["virtual_channels"]:
        virtual_channel["cop_1"] |= cop
    found = mission_from_dict({"name": "test", "physical_channel": tree}).physical_channel
    assert found is not None
    return found


def packet(number: int, octets: int = 8) -> bytes:
    return SpacePacket(
        application_process_id=100,
        packet_type=PacketType.TELECOMMAND,
        packet_sequence_count=number % 16384,
        packet_data_field=number.to_bytes(4, "big") + bytes(octets),
    ).encode()


def number_of(octets: bytes) -> int:
    return int.from_bytes(octets[6:10], "big")


class Pass:
    """Both ends; the clock jumps in steps of 20 ms, and a frame comes down in each fifth."""

    def __init__(
        self, up: PhysicalChannel, down: str, quality: LinkQuality, seed: int, spacecraft: Spacecraft | None = None
    ) -> None:
        self.session = CommandSession(up, down)
        self.spacecraft = spacecraft or Spacecraft(up, down)
        self.up = SimulatedLink(quality, seed=2 * seed)
        self.down = SimulatedLink(quality, seed=2 * seed + 1)
        self.now = 0
        self.trace: list[TraceEvent] = []
        self.delivered: dict[int, list[int]] = defaultdict(list)

    def step(self) -> None:
        self.now += 20 * MS
        for octets in self.up.receive(now_ns=self.now):
            self.spacecraft.handle_uplink(octets, now_ns=self.now)
        while (command := self.spacecraft.poll_command()) is not None:
            self.delivered[command.virtual_channel_id].append(number_of(command.octets))
        if self.now % (100 * MS) == 0:
            self.down.send(self.spacecraft.next_frame(self.now), now_ns=self.now)
        for octets in self.down.receive(now_ns=self.now):
            self.session.handle_downlink(octets, now_ns=self.now)
        self.session.handle_timeout(self.now)
        blocks = self.session.poll_radiate(self.now)
        for octets in blocks or self.session.idle(64):
            self.up.send(octets, now_ns=self.now)
        while (event := self.session.poll_event()) is not None:
            self.trace.append(event)

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * 1e9)
        while self.now < end and not (self.session.is_done and self.session.commands):
            self.step()

    def steps_of(self, command: int) -> list[str]:
        return [event.step for event in self.trace if isinstance(event, CommandStep) and event.command == command]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("down", DOWNLINKS)
@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "PLOP-1 and PLOP-2 around the CLTUs of a session")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6.2.4", "CLCWs in TM, AOS and USLP frames close COP-1")
def test_every_command_arrives_once_and_in_order(down: str, coding: str) -> None:
    play = Pass(uplink(CODINGS[coding]), down, GOOD, 1)
    for channel in (0, 1):
        play.session.begin(channel, now_ns=0)
        for number in range(12):
            play.session.send(packet(number, 40 * number), virtual_channel_id=channel, map_id=0, now_ns=0)
    play.run(60)
    assert play.session.is_successful
    assert play.delivered == {0: list(range(12)), 1: list(range(12))}
    for command in play.session.commands:
        assert play.steps_of(command) == ["accepted", "radiated", "acknowledged"]
    assert play.session.counters.frames and not play.session.counters.clcws_of_other_channels


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("coding", CODINGS)
def test_over_a_bad_link_all_arrive_in_order_or_there_is_an_alert(coding: str, seed: int) -> None:
    down = DOWNLINKS[seed % 3]
    play = Pass(uplink(CODINGS[coding]), down, BAD, seed)
    play.session.begin(0, now_ns=0)
    for number in range(40):
        play.session.send(packet(number, 11 * number), virtual_channel_id=0, map_id=0, now_ns=0)
    play.run(300)
    play.session.close(now_ns=play.now)
    while (event := play.session.poll_event()) is not None:
        play.trace.append(event)
    got = play.delivered[0]
    assert got == sorted(set(got)), "twice, or out of order"
    acknowledged = [c.command - 1 for c in play.session.commands.values() if c.step == "acknowledged"]
    assert set(acknowledged) <= set(got), "acknowledged and never delivered"
    alerts = [event for event in play.trace if isinstance(event, AlertRaised)]
    assert play.session.is_successful or alerts
    assert alerts or got == list(range(40))
    assert max(command.transmissions for command in play.session.commands.values()) > 1


def test_a_retransmission_is_traced_with_its_number() -> None:
    play = Pass(uplink(), "demo-downlink", GOOD, 1)
    play.session.begin(0, now_ns=0)
    play.run(2)
    assert play.session.state(0) is Fop1State.ACTIVE
    play.up.quality = LinkQuality(delay_ns=0, loss=1.0)
    number = play.session.send(packet(1), virtual_channel_id=0, map_id=0, name="lost once", now_ns=play.now)
    play.step()
    play.up.quality = GOOD
    play.run(10)
    own = [event for event in play.trace if isinstance(event, CommandStep) and event.command == number]
    assert [event.step for event in own] == ["accepted", "radiated", "radiated", "acknowledged"]
    assert [event.transmission for event in own] == [None, 1, 2, None]
    assert own[0].name == "lost once" and own[0].octets == 18
    assert own[1].cltu != own[2].cltu


def test_a_dead_uplink_ends_in_an_alert_that_names_the_command() -> None:
    play = Pass(uplink(transmission_limit=2), "demo-downlink", GOOD, 1)
    play.session.begin(0, now_ns=0)
    play.run(2)
    play.up.quality = LinkQuality(delay_ns=0, loss=1.0)
    for number in range(9):  # one more than the window takes, each too long to share a frame
        play.session.send(packet(number, 200), virtual_channel_id=0, map_id=0, now_ns=play.now)
    assert not play.session.is_stuck
    play.run(20)
    (alert,) = [event for event in play.trace if isinstance(event, AlertRaised)]
    assert (alert.alert, alert.state) == ("T1", "S1")
    told = [event for event in play.trace if isinstance(event, CommandStep) and event.step == "unconfirmed"]
    assert [(event.command, event.alert) for event in told] == [(number, "T1") for number in range(1, 9)]
    assert "timer" in (told[0].reason or "")
    assert play.session.is_stuck and not play.session.is_done  # the ninth waits for another service
    play.up.quality = GOOD
    play.session.begin(0, now_ns=play.now)
    play.run(20)
    assert play.session.commands[9].step == "acknowledged" and play.delivered[0] == [8]
    assert play.session.is_done and not play.session.is_successful


@pytest.mark.conforms("CCSDS 232.1-B-2", "5, 6", "initiate AD with Unlock: a FARM-1 in Lockout")
def test_begin_unlocks_a_farm_in_lockout_and_takes_over_its_count() -> None:
    up = uplink()
    first = Pass(up, "demo-downlink", GOOD, 1)
    first.session.direct(0, SetVs(100), now_ns=0)
    first.session.direct(0, InitiateAdWithoutClcwCheck(), now_ns=0)
    first.session.send(packet(1), virtual_channel_id=0, map_id=0, now_ns=0)
    first.run(5)
    assert first.spacecraft.clcws()[0].lockout_flag and not first.session.is_successful
    second = Pass(up, "demo-downlink", GOOD, 2, first.spacecraft)
    second.session.begin(0, now_ns=0)
    for number in range(3):
        second.session.send(packet(number), virtual_channel_id=0, map_id=0, now_ns=0)
    second.run(10)
    assert second.session.is_successful and second.delivered[0] == [0, 1, 2]
    told = [(event.directive, event.step) for event in second.trace if isinstance(event, DirectiveStep)]
    assert ("initiate-ad-with-unlock", "radiated") in told
    assert ("initiate-ad-with-unlock", "positive confirm") in told
    assert second.spacecraft.counters.control_commands == 1
    third = Pass(up, "demo-downlink", GOOD, 3, first.spacecraft)  # V(R) is 3 now, and V(S) began at 0
    third.session.begin(0, now_ns=0)
    third.session.send(packet(9), virtual_channel_id=0, map_id=0, now_ns=0)
    third.run(10)
    assert third.session.is_successful and third.delivered[0] == [9]


def test_directives_set_vr_and_terminate() -> None:
    play = Pass(uplink(), "demo-downlink", GOOD, 1)
    play.session.direct(0, InitiateAdWithSetVr(77), now_ns=0)
    play.session.send(packet(4), virtual_channel_id=0, map_id=0, now_ns=0)
    play.run(10)
    assert play.session.is_successful and play.spacecraft.clcws()[0].report_value == 78
    play.session.direct(0, TerminateAd(), now_ns=play.now)
    assert play.session.state(0) is Fop1State.INITIAL
    play.step()
    told = [(event.directive, event.step) for event in play.trace if isinstance(event, DirectiveStep)]
    assert ("initiate-ad-with-set-vr=77", "positive confirm") in told and ("terminate-ad", "given") in told


def test_expedited_commands_are_done_when_radiated_and_need_no_service() -> None:
    play = Pass(uplink(), "demo-downlink", GOOD, 1)
    for number in range(5):
        play.session.send(packet(number), virtual_channel_id=0, map_id=3, mode="BD", now_ns=0)
    play.run(1)
    assert play.session.is_successful and play.steps_of(5) == ["accepted", "radiated"]
    for _ in range(20):
        play.step()
    assert play.delivered[0] == [0, 1, 2, 3, 4]
    assert play.session.clcws[0].farm_b_counter == play.spacecraft.farms[0].farm_b_counter % 4 != 0


def test_other_words_are_counted_and_reach_no_fop() -> None:
    session = CommandSession("demo-uplink", "demo-downlink")
    session.begin(0, now_ns=0)
    for spacecraft_id, word in (
        (42, Clcw(virtual_channel_id=0, report_value=0, cop_in_effect=2).encode()),
        (42, Clcw(virtual_channel_id=5, report_value=0).encode()),
        (43, Clcw(virtual_channel_id=0, report_value=0).encode()),
        (42, b"\xc0\0\0\0"),
        (42, b"\x60\0\0\0"),
    ):
        session.handle_operational_control_field(spacecraft_id, word, now_ns=1)
    counters = session.counters
    assert (counters.clcws_of_another_cop, counters.clcws_of_other_channels) == (1, 2)
    assert (counters.type_2_reports, counters.undecodable, counters.clcws) == (1, 1, 0)
    assert session.state(0) is Fop1State.INITIAL and not session.poll_radiate(1)
    (event,) = [session.poll_event()]
    assert isinstance(event, ClcwChanged) and event.virtual_channel_id == 5 and not event.ours
    session.handle_operational_control_field(42, Clcw(virtual_channel_id=0, report_value=0).encode(), now_ns=2)
    assert counters.clcws == 1 and session.state(0) is not Fop1State.INITIAL


@pytest.mark.parametrize("down", DOWNLINKS)
def test_housekeeping_and_verification_come_down_as_documented(down: str) -> None:
    play = Pass(uplink(), down, GOOD, 1)
    play.session.begin(1, now_ns=0)
    sent = packet(7, 100)
    play.session.send(sent, virtual_channel_id=1, map_id=2, now_ns=0)
    for _ in range(200):
        play.step()
    packets = []
    while (octets := play.session.poll_packet()) is not None:
        packets.append(SpacePacket.decode(octets))
    (echo,) = [p for p in packets if p.application_process_id == VERIFICATION_APPLICATION_PROCESS_ID]
    values = VERIFICATION.unpack(echo.packet_data_field)
    assert (values["virtual_channel_id"], values["map_id"], values["sequence_controlled"]) == (1, 2, 1)
    assert values["command_octets"] == len(sent) and echo.packet_data_field[VERIFICATION.octets :] == sent[:64]
    reports = [p for p in packets if p.application_process_id == HOUSEKEEPING_APPLICATION_PROCESS_ID]
    assert len(reports) >= 3
    assert [p.packet_sequence_count for p in reports] == list(range(len(reports)))
    last = HOUSEKEEPING.unpack(reports[-1].packet_data_field)
    assert last["commands"] == last["accepted_frames"] == 1 and last["uptime_ms"] >= 2000


def test_any_octets_leave_both_ends_standing() -> None:
    spacecraft, session = Spacecraft(), CommandSession("demo-uplink", "demo-downlink")
    noise = bytes((7 * number * number + number // 3) % 256 for number in range(5000))
    spacecraft.handle_uplink(noise, now_ns=0)
    session.handle_downlink(noise, now_ns=0)
    assert spacecraft.poll_command() is None and session.poll_packet() is None
    assert spacecraft.counters.octets == 5000


def test_the_trace_keeps_its_form() -> None:
    """What is written down in docs/commanding.md: names, kinds and defaults do not change."""
    lines = [
        '{"kind":"command","time_ns":5,"spacecraft_id":42,"virtual_channel_id":0,"command":1,"mode":"AD",'
        '"step":"radiated","map_id":0,"cltu":3,"transmission":2}',
        '{"kind":"alert","time_ns":6,"spacecraft_id":42,"virtual_channel_id":0,"alert":"T1","reason":"r",'
        '"event":"E17","state":"S1"}',
        '{"kind":"directive","time_ns":7,"spacecraft_id":42,"virtual_channel_id":0,"directive":"unlock",'
        '"step":"given"}',
        '{"kind":"clcw","time_ns":8,"spacecraft_id":42,"virtual_channel_id":0,"report_value":4,"lockout_flag":0,'
        '"wait_flag":0,"retransmit_flag":1,"farm_b_counter":2,"no_rf_available_flag":0,"no_bit_lock_flag":0,'
        '"ours":true}',
    ]
    events = list(trace_from_lines(lines))
    assert [type(event) for event in events] == [CommandStep, AlertRaised, DirectiveStep, ClcwChanged]
    assert [trace_line(event) for event in events] == lines
    assert list(trace_from_lines(["", '{"kind":"later","a":1}'])) == []


@pytest.mark.parametrize("line", ["no json", "[]", '{"kind":"clcw"}', '{"a":1}'])
def test_a_broken_trace_names_its_line(line: str) -> None:
    with pytest.raises(DecodeError, match="line 2"):
        list(trace_from_lines(["\n", line]))


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ConfigurationError, match="command_coding"):
        CommandSession("demo-downlink", "demo-downlink")
    with pytest.raises(ConfigurationError, match="TC frames"):
        Spacecraft("demo-downlink")
    with pytest.raises(ConfigurationError, match="fixed length"):
        Spacecraft("demo-uplink", "demo-uplink")
    with pytest.raises(ConfigurationError, match="spacecraft 7 is not among 42"):
        CommandSession("demo-uplink", spacecraft_id=7)
    session = CommandSession("demo-uplink")
    with pytest.raises(ConfigurationError, match="no downlink"):
        session.begin(0, now_ns=0)
    with pytest.raises(ProtocolError, match="without a downlink"):
        session.handle_downlink(b"", now_ns=0)
    session.send(packet(1), virtual_channel_id=0, map_id=0, now_ns=0)
    session.close(now_ns=1)
    assert session.commands[1].step == "withdrawn" and session.is_done
    with pytest.raises(ProtocolError, match="closed"):
        session.send(packet(1), virtual_channel_id=0, map_id=0, now_ns=2)


def test_a_frame_made_elsewhere_goes_out_as_it_is() -> None:
    from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame

    frame = TcTransferFrame(
        spacecraft_id=42,
        virtual_channel_id=1,
        transfer_frame_data_unit=packet(3),
        bypass_flag=1,
        sequence_flags=SegmentSequenceFlags.UNSEGMENTED,
        map_id=0,
        frame_error_control_present=True,
    )
    play = Pass(uplink(), "demo-downlink", GOOD, 1)
    play.session.send_frame(frame.encode(), now_ns=0)
    for _ in range(20):
        play.step()
    assert play.session.is_successful and play.delivered[1] == [3]


def test_uslp_frames_go_up_as_cltus_too() -> None:
    tree = msgspec.to_builtins(physical_channel_of("demo-uplink"))
    tree |= {"frame_type": "USLP", "variable_frame_length": True}
    for channel in tree["master_channels"][0]["virtual_channels"]:
        channel["segment_header"] = False
    up = mission_from_dict({"name": "test", "physical_channel": tree}).physical_channel
    assert up is not None and up.command_coding is not None
    session, decoder = CommandSession(up, "demo-downlink"), up.command_coding.decoder()
    session.begin(0, now_ns=0)
    session.send(packet(5), virtual_channel_id=0, map_id=0, now_ns=0)
    assert session.poll_radiate(0) == []
    session.handle_operational_control_field(42, Clcw(virtual_channel_id=0, report_value=9).encode(), now_ns=1)
    (cltu,) = [cltu for octets in session.poll_radiate(2) for cltu in decoder.feed(octets)]
    frame, _ = UslpTransferFrame.decode_from(cltu.octets, frame_error_control_present=True)
    assert frame.virtual_channel_frame_count == 9 and frame.data_field.portion[1] == packet(5)
    session.handle_operational_control_field(42, Clcw(virtual_channel_id=0, report_value=10).encode(), now_ns=3)
    assert session.is_successful


def test_the_profiles_ship() -> None:
    import ccsds

    assert {"demo-uplink", *DOWNLINKS} <= set(ccsds.mission_names())
    assert Path(ccsds.__file__).with_name("missions").joinpath("demo-uplink.toml").exists()


def test_the_page_lists_the_fields_of_both_packets_in_order() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "commanding.md").read_text(encoding="utf-8")
    for layout in (HOUSEKEEPING, VERIFICATION):
        places = [page.index(f"`{name}`", page.index(f"`{layout.names[0]}`")) for name in layout.names]
        assert places == sorted(places)


def test_a_suspended_service_is_traced_and_resumes() -> None:
    play = Pass(uplink(transmission_limit=2, timeout_type="suspend"), "demo-downlink", GOOD, 1)
    play.session.begin(0, now_ns=0)
    play.run(2)
    play.up.quality = LinkQuality(delay_ns=0, loss=1.0)
    play.session.send(packet(1), virtual_channel_id=0, map_id=0, now_ns=play.now)
    for _ in range(400):
        play.step()
    assert "suspended" in [event.step for event in play.trace if isinstance(event, DirectiveStep)]
    assert play.session.is_stuck and not [event for event in play.trace if isinstance(event, AlertRaised)]
    play.up.quality = GOOD
    play.session.direct(0, SetTransmissionLimit(9), now_ns=play.now)
    play.session.direct(0, ResumeAd(), now_ns=play.now)
    play.run(20)
    assert play.session.is_successful and play.delivered[0] == [1]
