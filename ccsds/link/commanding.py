"""Commands up, CLCWs down: a sender, its CLTUs, COP-1 closed over the downlink, and a trace of all of it.

Sources: CCSDS 232.0-B-4, 231.0-B-4 section 7, 232.1-B-2.  No socket, no clock: time is an argument in nanoseconds.

    session = CommandSession("demo-uplink", "demo-downlink")
    session.begin(virtual_channel_id, now_ns=now)          # AD service starts with the first CLCW
    session.send(packet, virtual_channel_id=0, map_id=0, now_ns=now)
    for octets in session.poll_radiate(now): ...           # to the transmitter
    session.handle_downlink(octets, now_ns=now)            # from the receiver
    session.poll_timeout(); session.handle_timeout(now); session.poll_event()
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Literal

import msgspec

from ccsds.errors import ConfigurationError, DecodeError, EncodeError, ProtocolError
from ccsds.frames.operational_control_field import Clcw, Type2Report, decode_operational_control_field
from ccsds.frames.tc import TcTransferFrame
from ccsds.layout import Octets
from ccsds.link.command_trace import AlertRaised, ClcwChanged, CommandStep, DirectiveStep, Step, TraceEvent
from ccsds.link.managed_parameters import Mission, PhysicalChannel
from ccsds.link.missions import load_mission
from ccsds.link.receiver import Receiver
from ccsds.link.sender import ChannelEvent, Sender, SentFrame, UnitNotification
from ccsds.procedures.cop1 import COP_1, FrameType
from ccsds.procedures.fop1_primitives import (
    Alert,
    Directive,
    DirectiveNotification,
    Fop1State,
    InitiateAdWithClcwCheck,
    InitiateAdWithUnlock,
    Notification,
    SetVs,
    Suspended,
)
from ccsds.procedures.plop import CarrierModulationMode, Radiated

__all__ = ["Command", "CommandSession", "DownlinkCounters", "physical_channel_of"]

Mode = Literal["AD", "BD"]
_STEPS: dict[Notification, Step] = {
    Notification.POSITIVE_CONFIRM: "acknowledged",
    Notification.NEGATIVE_CONFIRM: "unconfirmed",
    Notification.REJECT: "refused",
}


class DownlinkCounters(msgspec.Struct, kw_only=True):
    """What the frames that came down had in their OCFs; the sum of all but `frames` is the number of OCFs."""

    frames: int = 0
    clcws: int = 0
    """of virtual channels that are commanded here; FOP-1 got those of channels with a COP"""
    clcws_of_other_channels: int = 0
    clcws_of_another_cop: int = 0
    type_2_reports: int = 0
    undecodable: int = 0


class Command(msgspec.Struct, kw_only=True):
    """One command and how far it is.

    step: the last one of the trace (see `CommandStep`).  transmissions: how often its last frame was sent.
    is_done: nothing more will come: its step is a final one, or it is expedited and radiated.
    """

    command: int
    virtual_channel_id: int
    map_id: int | None
    mode: Mode
    name: str
    octets: int
    step: Step = "accepted"
    transmissions: int = 0
    alert: str | None = None

    @property
    def is_successful(self) -> bool:
        """Acknowledged, or radiated where nobody acknowledges."""
        return self.step == ("acknowledged" if self.mode == "AD" else "radiated")

    @property
    def is_done(self) -> bool:
        """Nothing more will come."""
        return self.is_successful or self.step in ("refused", "unconfirmed", "withdrawn")


def physical_channel_of(mission: Mission | PhysicalChannel | str | Path) -> PhysicalChannel:
    """The physical channel of a profile.  Raises: ConfigurationError: it has none."""
    found = load_mission(mission) if isinstance(mission, str | Path) else mission
    channel = found.physical_channel if isinstance(found, Mission) else found
    if channel is None:
        raise ConfigurationError("this mission has packets only; a link needs a physical channel")
    return channel


class CommandSession:
    """One commanding session with one spacecraft.

    Args:   uplink: TC frames (or USLP frames) with `command_coding`: the profile that the spacecraft has too.
            downlink: where the CLCWs come from; None: none come, so that AD service has no acknowledgements.
            spacecraft_id: which one, where the uplink profile lists several.
    Raises: ConfigurationError: the profiles do not hold, or do not say what is needed.

    Attributes: sender, commands (by number), clcws (the last one by virtual channel), counters, cltus (how many),
        failed_directives (rejected, or confirmed negatively).
    """

    def __init__(
        self,
        uplink: Mission | PhysicalChannel | str | Path,
        downlink: Mission | PhysicalChannel | str | Path | None = None,
        *,
        spacecraft_id: int | None = None,
    ) -> None:
        self.uplink = physical_channel_of(uplink)
        if self.uplink.command_coding is None:
            raise ConfigurationError("the uplink profile has no [physical_channel.command_coding], so there is no CLTU")
        self.spacecraft_id = _spacecraft(self.uplink, spacecraft_id)
        self.sender = Sender(self.uplink)
        self._coding = self.uplink.command_coding
        self._encoder = self._coding.encoder()
        self._operations = self._coding.physical_layer_operations()
        self.downlink = None if downlink is None else physical_channel_of(downlink)
        self._receiver = None if self.downlink is None else Receiver(self.downlink)
        self.commands: dict[int, Command] = {}
        self.clcws: dict[int, Clcw] = {}
        self.counters = DownlinkCounters()
        self.cltus = 0
        self.failed_directives = 0
        self._by_unit: dict[int, Command] = {}
        self._channels: set[int] = set()
        self._beginning: dict[int, bool] = {}
        self._directives: dict[tuple[int, int], str] = {}
        self._unanswered: set[tuple[int, int]] = set()
        self._last_directive: dict[int, str] = {}
        self._alerts: dict[int, Alert] = {}
        self._events: deque[TraceEvent] = deque()
        self._packets: deque[bytes] = deque()
        self._frames: deque[SentFrame] = deque()
        self._closed = False

    # -- what the user asks --------------------------------------------------------------------------------------------

    def begin(self, virtual_channel_id: int, *, unlock: bool = False, now_ns: int) -> None:
        """Start AD service as soon as a CLCW of the channel has come, in step with FARM-1 whatever it went through.

        V(S) is set to the N(R) of that CLCW and the service initiated with CLCW check; with Unlock where Lockout,
        Wait or Retransmit is set, or where `unlock` asks for it.  Where AD service is on already nothing happens.
        """
        self._require_open()
        control = self.sender.sequence_control(self.spacecraft_id, virtual_channel_id)
        self._channels.add(virtual_channel_id)
        if control.fop.state is Fop1State.INITIAL:
            if self._receiver is None:
                raise ConfigurationError(
                    "AD service begins with a CLCW, and there is no downlink: name one, send in mode BD, or direct "
                    "InitiateAdWithoutClcwCheck"
                )
            self._beginning[virtual_channel_id] = unlock

    def direct(self, virtual_channel_id: int, directive: Directive, *, now_ns: int) -> int:
        """A directive to the FOP-1 of a virtual channel (CCSDS 232.1-B-2 table 4-1); returns its identifier."""
        self._require_open()
        control = self.sender.sequence_control(self.spacecraft_id, virtual_channel_id)
        self._channels.add(virtual_channel_id)
        name = _directive_name(directive)
        self._directive_step(virtual_channel_id, name, "given", now_ns)
        self._last_directive[virtual_channel_id] = name
        identifier = control.direct(directive, now_ns=now_ns)
        self._directives[virtual_channel_id, identifier] = name
        self._unanswered.add((virtual_channel_id, identifier))
        self._collect(now_ns)
        return identifier

    def send(
        self,
        packet: Any,
        *,
        virtual_channel_id: int,
        map_id: int | None = None,
        mode: Mode = "AD",
        name: str = "",
        now_ns: int,
    ) -> int:
        """A packet (octets, or what encodes to them) or, where the service is access, a data unit; gives its number.

        Raises: ConfigurationError: the managed parameters say otherwise.  EncodeError: no valid packet.
                QueueFullError: no room for now; nothing is taken.
        """
        self._require_open()
        parameters = self.uplink.find(self.spacecraft_id, virtual_channel_id)[1]
        service = parameters.service if map_id is None else parameters.find_map(map_id).service
        point = self.sender.access if service == "access" else self.sender.packets
        access = point(self.spacecraft_id, virtual_channel_id, map_id, sequence_controlled=mode == "AD")
        octets = packet.encode() if hasattr(packet, "encode") and not isinstance(packet, str) else bytes(packet)
        unit = access.send(octets)
        if self.uplink.fixed_frame_length:
            access.flush()
        return self._take(unit, octets, virtual_channel_id, map_id, mode, name, now_ns)

    def send_frame(self, octets: Octets, *, name: str = "", now_ns: int) -> int:
        """A TC frame made elsewhere, sent as it is and first: past COP-1, so that nothing but radiation is traced.

        Raises: DecodeError: no TC frame.  EncodeError: one of another spacecraft, or too long for this link.
        """
        self._require_open()
        if self.uplink.frame_type != "TC":
            raise ConfigurationError("frames made elsewhere are sent over TC links only")
        taken = bytes(octets)
        frame = TcTransferFrame.decode(
            taken, segment_header_present=False, frame_error_control_present=self.uplink.frame_error_control
        )
        if frame.spacecraft_id != self.spacecraft_id:
            raise EncodeError(f"this frame is for spacecraft {frame.spacecraft_id}, not {self.spacecraft_id}")
        if len(taken) > self.uplink.frame_octets:
            raise EncodeError(f"a frame of {len(taken)} octets is over frame_octets, {self.uplink.frame_octets}")
        unit = -1 - len(self.commands)  # access points count theirs up from 0
        self._frames.append(SentFrame(taken, self.spacecraft_id, frame.virtual_channel_id, (unit,)))
        return self._take(unit, taken, frame.virtual_channel_id, None, "BD", name, now_ns)

    def idle(self, octets: int) -> list[bytes]:
        """Idle sequence, to keep a carrier of PLOP-2 modulated; nothing with PLOP-1, or before the first CLTU."""
        if self._operations.procedure == 1 or not self._operations.in_session:
            return []
        return _blocks(self._operations.idle(octets))

    def close(self, *, now_ns: int) -> None:
        """The session ends: commands that are not done are withdrawn, or unconfirmed where they were radiated."""
        if self._closed:
            return
        self._closed = True
        for command in self.commands.values():
            if not command.is_done:
                self._command_step(command, "unconfirmed" if command.transmissions else "withdrawn", now_ns)
        if self._operations.in_session:
            self._operations.end_session()

    # -- towards the transmitter ---------------------------------------------------------------------------------------

    def poll_radiate(self, now_ns: int, *, maximum: int = 64) -> list[bytes]:
        """What is to be radiated now, at most `maximum` CLTUs, in blocks that go out whole.

        A block holds one CLTU, or its repetitions one by one, with the sequences of the PLOP around it.  With PLOP-1
        the carrier is unmodulated between blocks.
        """
        blocks: list[bytes] = []
        for _ in range(0 if self._closed else maximum):
            frame = self._frames.popleft() if self._frames else self.sender.next_frame(now_ns)
            if frame is None:
                break
            steps = [] if self._operations.in_session else self._operations.begin_session()
            cltu = self._encoder.encode(frame.octets)
            steps += self._operations.transmit(cltu, repetitions=self._coding.repetitions)
            blocks += _blocks(steps)
            self.cltus += 1
            self._radiated(frame, now_ns)
            self._collect(now_ns)
        return blocks

    # -- what arrives --------------------------------------------------------------------------------------------------

    def handle_downlink(self, octets: Octets, *, now_ns: int) -> None:
        """Octets of the downlink: CADUs in pieces of any size, or, without markers, one frame each time."""
        if self._receiver is None or self.downlink is None:
            raise ProtocolError("this session was made without a downlink")
        taken = bytes(octets)
        if self.downlink.synchronization is None:
            import numpy as np

            ends = np.array([0, len(taken)], np.uint64)
            batch = self._receiver.feed_records(taken, ends, np.array([now_ns], np.int64))
        else:
            batch = self._receiver.feed(taken, reception_time_ns=now_ns)
        self._packets.extend(bytes(batch.packets.packet_octets(at)) for at in range(len(batch.packets)))
        if batch.frames is not None and len(batch.frames):
            self.counters.frames += len(batch.frames.accepted)
            frames, words = batch.frames.operational_control_fields()
            for spacecraft_id, word in zip(frames["spacecraft_id"].tolist(), words.tolist(), strict=True):
                self.handle_operational_control_field(spacecraft_id, word.to_bytes(4, "big"), now_ns=now_ns)

    def handle_operational_control_field(self, spacecraft_id: int, octets: Octets, *, now_ns: int) -> None:
        """One OCF, for those who have a receiver of their own; what is not for us is counted and ignored."""
        try:
            report = decode_operational_control_field(octets)
        except DecodeError:
            self.counters.undecodable += 1
            return
        if isinstance(report, Type2Report):
            self.counters.type_2_reports += 1
        elif report.cop_in_effect != COP_1:
            self.counters.clcws_of_another_cop += 1
        elif spacecraft_id != self.spacecraft_id or report.virtual_channel_id not in self._channels:
            self.counters.clcws_of_other_channels += 1
            if spacecraft_id == self.spacecraft_id:
                self._note(report, now_ns, ours=False)
        else:
            self.counters.clcws += 1
            self._note(report, now_ns, ours=True)
            self._begin_with(report, now_ns)
            self.sender.handle_operational_control_field(octets, now_ns=now_ns)
            self._collect(now_ns)

    def handle_timeout(self, now_ns: int) -> None:
        """The instant that `poll_timeout` named has come; too early a call does nothing."""
        if not self._closed:
            self.sender.handle_timeout(now_ns)
            self._collect(now_ns)

    def poll_timeout(self) -> int | None:
        """When `handle_timeout` is due; None while no timer runs."""
        return None if self._closed else self.sender.poll_timeout()

    def ready_ns(self, now_ns: int) -> int | None:
        """When `poll_radiate` gives what a rate limit holds back; None where nothing is held back."""
        return self.sender.ready_ns(now_ns)

    def poll_event(self) -> TraceEvent | None:
        """The next event of the trace, or None."""
        return self._events.popleft() if self._events else None

    def poll_packet(self) -> bytes | None:
        """The next packet that came down, or None."""
        return self._packets.popleft() if self._packets else None

    # -- how things stand ----------------------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Nothing more will come of any command or directive."""
        is_answered = not self._unanswered and not self._beginning
        return is_answered and all(command.is_done for command in self.commands.values())

    @property
    def is_successful(self) -> bool:
        """Every command is acknowledged, or radiated where it is expedited, and no directive failed."""
        directed = not (self._unanswered or self._beginning or self.failed_directives)
        return directed and all(command.is_successful for command in self.commands.values())

    @property
    def is_stuck(self) -> bool:
        """What is not done waits for an AD service that has ended, by an alert for instance: only `begin` helps."""
        if self.is_done or self._unanswered or self._beginning or self._frames:
            return False
        open_ = [command for command in self.commands.values() if not command.is_done]
        return all(
            command.mode == "AD" and self.state(command.virtual_channel_id) is Fop1State.INITIAL for command in open_
        )

    def state(self, virtual_channel_id: int) -> Fop1State:
        """The state of the FOP-1 of a virtual channel."""
        return self.sender.sequence_control(self.spacecraft_id, virtual_channel_id).fop.state

    # -- within --------------------------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self._closed:
            raise ProtocolError("this session is closed")

    def _take(
        self, unit: int, octets: bytes, channel: int, map_id: int | None, mode: Mode, name: str, now_ns: int
    ) -> int:
        number = len(self.commands) + 1
        command = Command(
            command=number, virtual_channel_id=channel, map_id=map_id, mode=mode, name=name, octets=len(octets)
        )
        self.commands[number] = self._by_unit[unit] = command
        self._channels.add(channel)
        self._command_step(command, "accepted", now_ns, octets=len(octets), name=name)
        return number

    def _radiated(self, frame: SentFrame, now_ns: int) -> None:
        channel = frame.virtual_channel_id
        if frame.frame_type is FrameType.BC:
            name = self._last_directive.get(channel, "control command")
            self._directive_step(channel, name, "radiated", now_ns, cltu=self.cltus)
        for unit in frame.units:
            command = self._by_unit[unit]
            command.transmissions += 1
            self._command_step(
                command,
                "radiated",
                now_ns,
                cltu=self.cltus,
                transmission=command.transmissions,
                repetitions=self._coding.repetitions,
            )

    def _note(self, clcw: Clcw, now_ns: int, *, ours: bool) -> None:
        if self.clcws.get(clcw.virtual_channel_id) == clcw:
            return
        self.clcws[clcw.virtual_channel_id] = clcw
        names = ClcwChanged.__struct_fields__
        known = {name: getattr(clcw, name) for name in names if name in Clcw.__struct_fields__}
        self._events.append(ClcwChanged(time_ns=now_ns, spacecraft_id=self.spacecraft_id, ours=ours, **known))

    def _begin_with(self, clcw: Clcw, now_ns: int) -> None:
        channel = clcw.virtual_channel_id
        if channel not in self._beginning:
            return
        unlock = self._beginning.pop(channel)
        self.direct(channel, SetVs(clcw.report_value), now_ns=now_ns)
        unlock = unlock or bool(clcw.lockout_flag or clcw.wait_flag or clcw.retransmit_flag)
        self.direct(channel, InitiateAdWithUnlock() if unlock else InitiateAdWithClcwCheck(), now_ns=now_ns)

    def _collect(self, now_ns: int) -> None:
        events: list[ChannelEvent] = []
        while (event := self.sender.poll_event()) is not None:
            events.append(event)
        for _, channel, told in events:  # first: what comes with an alert is told with its name
            if isinstance(told, Alert):
                self._alert(channel, told, now_ns)
        for _, channel, told in events:
            if isinstance(told, UnitNotification):
                self._hear(told, now_ns)
            elif isinstance(told, DirectiveNotification):
                name = self._directives.get((channel, told.request_id)) or self._last_directive.get(channel, "")
                self._directive_step(channel, name, told.notification.value, now_ns)
                self._answered(channel, told)
            elif isinstance(told, Suspended):
                self._directive_step(channel, f"resume-ad would go on in S{told.suspend_state}", "suspended", now_ns)
        self._alerts.clear()

    def _answered(self, channel: int, told: DirectiveNotification) -> None:
        if told.notification is Notification.ACCEPT:
            return
        self._unanswered.discard((channel, told.request_id))
        if told.notification is not Notification.POSITIVE_CONFIRM:
            self.failed_directives += 1

    def _alert(self, channel: int, alert: Alert, now_ns: int) -> None:
        self._alerts[channel] = alert
        self._events.append(
            AlertRaised(
                time_ns=now_ns,
                spacecraft_id=self.spacecraft_id,
                virtual_channel_id=channel,
                alert=alert.reason.name,
                reason=alert.reason.value,
                event=alert.event.name,
                state=alert.state.value,
            )
        )

    def _hear(self, told: UnitNotification, now_ns: int) -> None:
        command = self._by_unit[told.unit_id]
        step = _STEPS.get(told.notification)
        if step is None or command.step == step:  # accept says no more than radiated does
            return
        alert = self._alerts.get(command.virtual_channel_id)
        command.alert = alert.reason.name if alert else None
        why = {} if alert is None else {"alert": alert.reason.name, "reason": alert.reason.value}
        self._command_step(command, step, now_ns, **why)

    def _command_step(self, command: Command, step: Step, now_ns: int, **more: Any) -> None:
        command.step = step
        self._events.append(
            CommandStep(
                time_ns=now_ns,
                spacecraft_id=self.spacecraft_id,
                virtual_channel_id=command.virtual_channel_id,
                command=command.command,
                mode=command.mode,
                map_id=command.map_id,
                step=step,
                **more,
            )
        )

    def _directive_step(self, channel: int, name: str, step: str, now_ns: int, cltu: int | None = None) -> None:
        self._events.append(
            DirectiveStep(
                time_ns=now_ns,
                spacecraft_id=self.spacecraft_id,
                virtual_channel_id=channel,
                directive=name,
                step=step,
                cltu=cltu,
            )
        )


def _spacecraft(channel: PhysicalChannel, wanted: int | None) -> int:
    known = [master.spacecraft_id for master in channel.master_channels]
    if wanted is None and len(known) != 1:
        raise ConfigurationError(f"name a spacecraft_id: the uplink profile lists {len(known)}")
    if wanted is not None and known and wanted not in known:
        raise ConfigurationError(f"spacecraft {wanted} is not among {', '.join(map(str, known))} of the uplink profile")
    return known[0] if wanted is None else wanted


def _directive_name(directive: Directive) -> str:
    """As the command line spells it: InitiateAdWithSetVr(5) is initiate-ad-with-set-vr=5."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(directive).__name__)
    values = [str(getattr(directive, name)) for name in type(directive).__slots__]
    return "=".join([words.lstrip("-"), *values])


def _blocks(steps: list[Radiated]) -> list[bytes]:
    """Octets that go out without a break; an unmodulated carrier, or the end of a CLTU and its idle, ends a block."""
    blocks: list[bytes] = []
    block, holds_cltu = b"", False
    for step in steps:
        begins = step.mode is CarrierModulationMode.TELECOMMAND_DATA and holds_cltu
        if block and (begins or step.mode is CarrierModulationMode.UNMODULATED):
            blocks.append(block)
            block, holds_cltu = b"", False
        block += step.octets
        holds_cltu = holds_cltu or step.mode is CarrierModulationMode.TELECOMMAND_DATA
    return [*blocks, block] if block else blocks
