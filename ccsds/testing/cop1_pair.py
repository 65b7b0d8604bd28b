"""FOP-1 and FARM-1 over a simulated link, with a user who commands and the account of what became of it.

The clock jumps from event to event, so that years of simulated time take seconds.  The frames on this link are not TC
frames but the least that carries what COP-1 needs, with a frame error control field; damaged ones are found by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ccsds.frames.error_control import append_frame_error_control, frame_error_control
from ccsds.frames.operational_control_field import Clcw
from ccsds.procedures.cop1 import Cop1Frame, FrameType
from ccsds.procedures.farm1 import Farm1, Farm1Parameters, Farm1State, FduArrived
from ccsds.procedures.fop1 import Fop1, Fop1Parameters
from ccsds.procedures.fop1_primitives import (
    Alert,
    Directive,
    DirectiveNotification,
    Fop1State,
    InitiateAdWithClcwCheck,
    InitiateAdWithUnlock,
    Notification,
    ResumeAd,
    SetTransmissionLimit,
    SetVs,
    Suspended,
    TerminateAd,
    TransferNotification,
    TransmitRequest,
)
from ccsds.testing.simulated_link import LinkQuality, SimulatedLink

__all__ = ["Cop1Pair", "PairAccount", "PairSettings"]

_TYPES = tuple(FrameType)


def frame_octets(frame: Cop1Frame) -> bytes:
    """Type, number, data and a frame error control field."""
    body = bytes((_TYPES.index(frame.frame_type), frame.frame_sequence_number)) + frame.octets
    return append_frame_error_control(body)


def frame_from(octets: bytes) -> Cop1Frame | None:
    """The frame, or None where it is damaged."""
    if frame_error_control(octets):
        return None
    return Cop1Frame(frame_type=_TYPES[octets[0]], frame_sequence_number=octets[1], octets=octets[2:-2])


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettings:
    """What a run is made of.

    fdus: how many frame data units of type AD the user wants delivered.  After a Suspend the user allows one more
        transmission and resumes; a service in which no timer runs is ended after as long as the timer.
    clcw_period_ns: how often FARM-1 reports.
    buffer_frames: how many accepted frames the spacecraft can hold; one is worked off every `work_off_ns`.
    recovers: after an Alert the user lets the link run empty and initiates again; otherwise the run ends there.
    """

    fop1: Fop1Parameters
    farm1: Farm1Parameters
    uplink: LinkQuality
    downlink: LinkQuality
    fdus: int
    clcw_period_ns: int
    buffer_frames: int = 1 << 30
    work_off_ns: int = 0
    recovers: bool = True


@dataclass(slots=True)
class PairAccount:
    """What became of a run; FDUs are numbered from 0 in the order in which they were first asked for.

    delivered: in the order in which FARM-1 accepted them.  positive, negative: confirmed by FOP-1.
    """

    delivered: list[int] = field(default_factory=list)
    positive: list[int] = field(default_factory=list)
    negative: list[int] = field(default_factory=list)
    alerts: Counter[str] = field(default_factory=Counter)
    suspensions: int = 0
    rejections: int = 0
    frames_sent: int = 0
    events: int = 0
    stalls: int = 0
    ended_ns: int = 0

    def complaints(self, fdus: int, *, is_finished: bool = True) -> Iterator[str]:
        """What contradicts the promise: each FDU once and in order, or the user knows that it is not so.

        is_finished: False for a run that was stopped while FDUs were on their way.
        """
        if self.delivered != sorted(set(self.delivered)):
            yield f"delivered twice or out of order: {self.delivered}"
        lost = set(self.positive) - set(self.delivered)
        if lost:
            yield f"confirmed but never delivered: {sorted(lost)}"
        if self.negative and not self.alerts:
            yield "confirmed negatively without an alert"
        if not self.alerts and self.delivered != list(range(len(self.delivered))):
            yield "one is missing, and no alert"
        if not is_finished:
            return
        unknown = set(range(fdus)) - set(self.positive) - set(self.negative)
        if unknown:
            yield f"neither confirmed nor refused: {sorted(unknown)}"
        if not self.alerts and len(self.delivered) != fdus:
            yield "not all delivered, and no alert"


class Cop1Pair:
    """Both ends, the two directions of the link, and the user.  `run` to the end, or `step` by step."""

    def __init__(self, settings: PairSettings, *, seed: int) -> None:
        self.settings = settings
        self.fop = Fop1(settings.fop1)
        self.farm = Farm1(settings.farm1)
        self.uplink = SimulatedLink(settings.uplink, seed=2 * seed)
        self.downlink = SimulatedLink(settings.downlink, seed=2 * seed + 1)
        self.account = PairAccount()
        self.now_ns = 0
        self.is_finished = False
        self._wanted = list(range(settings.fdus - 1, -1, -1))  # the next one is last
        self._asked: dict[int, int] = {}
        self._buffered = 0
        self._last_report = 0
        self._next_clcw_ns = settings.clcw_period_ns
        self._next_work_ns: int | None = None
        self._recover_ns: int | None = None
        self._give_up_ns: int | None = None
        # Not with Set V(R): a copy of it that comes late would set V(R) back.
        self._direct(InitiateAdWithClcwCheck())

    def run(self, *, until_ns: int | None = None) -> PairAccount:
        """Go on until every FDU has its answer, or the given instant has come."""
        while not self.is_finished and (until_ns is None or self.now_ns < until_ns):
            self.step()
        self.account.ended_ns = self.now_ns
        return self.account

    def step(self) -> None:
        """Go to the next instant at which something happens, and let it happen."""
        due = (
            self.fop.poll_timeout(),
            self.uplink.poll_timeout(),
            self.downlink.poll_timeout(),
            self._next_work_ns,
            self._recover_ns,
            self._give_up_ns,
            self._next_clcw_ns,
        )
        self.now_ns = now = max(self.now_ns, min(instant for instant in due if instant is not None))
        self.account.events += 1
        for octets in self.uplink.receive(now_ns=now):
            self._frame_arrives(octets)
        self._work_off(now)
        for octets in self.downlink.receive(now_ns=now):
            self._clcw_arrives(octets)
        if self._next_clcw_ns <= now:
            self._next_clcw_ns += self.settings.clcw_period_ns
            word = self.farm.clcw().encode()
            self.downlink.send(append_frame_error_control(word), now_ns=now)
        self.fop.handle_timeout(now)
        if self._recover_ns is not None and self._recover_ns <= now:
            self._recover_ns = None
            self._direct(SetVs(self._last_report))
            self._direct(InitiateAdWithUnlock())
        if self._give_up_ns is not None and self._give_up_ns <= now:
            self._give_up_ns = None
            self._direct(TerminateAd())
        self._serve()
        self._watch()

    # -- the spacecraft ------------------------------------------------------------------------------------------------

    def _frame_arrives(self, octets: bytes) -> None:
        frame = frame_from(octets)
        if frame is None:
            self.farm.handle_invalid_frame()
        else:
            waits = self.farm.state is Farm1State.WAIT
            free = self._buffered < self.settings.buffer_frames and not waits
            self.farm.handle_frame(frame, buffer_free=free)
        while (event := self.farm.poll_event()) is not None:
            if isinstance(event, FduArrived) and event.frame.frame_type is FrameType.AD:
                self.account.delivered.append(int.from_bytes(event.frame.octets, "big"))
                self._buffered += 1
                if self._next_work_ns is None and self.settings.work_off_ns:
                    self._next_work_ns = self.now_ns + self.settings.work_off_ns

    def _work_off(self, now_ns: int) -> None:
        if self._next_work_ns is None or self._next_work_ns > now_ns:
            return
        self._buffered -= 1
        self._next_work_ns = now_ns + self.settings.work_off_ns if self._buffered else None
        self.farm.handle_buffer_release()

    # -- the ground ----------------------------------------------------------------------------------------------------

    def _clcw_arrives(self, octets: bytes) -> None:
        if not frame_error_control(octets):
            clcw = Clcw.decode(octets[:4])
            self._last_report = clcw.report_value
            self.fop.handle_clcw(clcw, now_ns=self.now_ns)

    def _direct(self, directive: Directive) -> None:
        self.fop.direct(directive, now_ns=self.now_ns)

    def _serve(self) -> None:
        """Carry frames and answers until nothing is left to do at this instant."""
        while True:
            self._ask()
            request = self.fop.poll_transmit()
            event = self.fop.poll_event()
            if request is None and event is None:
                break
            if isinstance(request, TransmitRequest):
                self.account.frames_sent += 1
                self.uplink.send(frame_octets(request.frame), now_ns=self.now_ns)
                self.fop.handle_lower_layer_response(request.frame.frame_type, accepted=True, now_ns=self.now_ns)
            if event is not None:
                self._hear(event)
        confirmed = len(self.account.positive) + len(self.account.negative)
        self.is_finished = self.is_finished or confirmed == self.settings.fdus

    def _watch(self) -> None:
        """A service in which no timer runs may stay so for ever: give it as long as the timer, then end it."""
        if not self.fop.is_stalled or self.fop.state is Fop1State.INITIAL:
            self._give_up_ns = None
        elif self._give_up_ns is None:
            self.account.stalls += 1
            self._give_up_ns = self.now_ns + self.fop.t1_initial_ns

    def _ask(self) -> None:
        serving = self.fop.state in (
            Fop1State.ACTIVE,
            Fop1State.RETRANSMIT_WITHOUT_WAIT,
            Fop1State.RETRANSMIT_WITH_WAIT,
        )
        if self._wanted and serving and self.fop.is_wait_queue_free:
            fdu = self._wanted.pop()
            self._asked[self.fop.transfer(fdu.to_bytes(4, "big"), now_ns=self.now_ns)] = fdu

    def _hear(self, event: TransferNotification | DirectiveNotification | Alert | Suspended) -> None:
        match event:
            case TransferNotification(identifier, Notification.POSITIVE_CONFIRM):
                self.account.positive.append(self._asked.pop(identifier))
            case TransferNotification(identifier, Notification.NEGATIVE_CONFIRM):
                self.account.negative.append(self._asked.pop(identifier))
            case TransferNotification(identifier, Notification.REJECT):
                self.account.rejections += 1
                self._wanted.append(self._asked.pop(identifier))
            case Alert(reason):
                self.account.alerts[reason.name] += 1
                # What is still on its way would be taken for frames and reports of the new service.
                longest = self.settings.uplink.longest_delay_ns + self.settings.downlink.longest_delay_ns
                self._recover_ns = self.now_ns + 2 * longest + 3 * self.settings.clcw_period_ns
                if not self.settings.recovers:
                    self.is_finished = True
            case Suspended():
                # At the limit nothing is sent again, whatever the timer or a CLCW says: Resume alone would go round.
                self.account.suspensions += 1
                self._direct(SetTransmissionLimit(min(255, self.fop.transmission_limit + 1)))
                self._direct(ResumeAd())
            case _:
                pass
