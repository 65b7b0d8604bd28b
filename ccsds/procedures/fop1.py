"""FOP-1, the sending end of COP-1.  Source: CCSDS 232.1-B-2 with Corrigendum 1, section 5; its table is `fop1_table`.

One FOP-1 serves one virtual channel.  It has no sockets, no clock and no threads: time is an argument in nanoseconds.

    transfer, direct          what the user asks; both return a request identifier at once
    handle_*                  what arrived: CLCWs, answers of the lower procedures, the end of the timer
    poll_transmit             what the lower procedures are to do next
    poll_event                answers to requests, alerts, suspensions
    poll_timeout              when handle_timeout is to be called
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ccsds.errors import ConfigurationError, ProtocolError
from ccsds.frames.operational_control_field import CLCW, OCTETS, Clcw, Type2Report
from ccsds.layout import Octets
from ccsds.procedures import fop1_primitives as primitives
from ccsds.procedures.cop1 import COP_1, SEQUENCE_NUMBERS, Cop1Frame, FrameType, SetVr, Unlock
from ccsds.procedures.fop1_primitives import (
    Abort,
    Alert,
    AlertReason,
    Directive,
    DirectiveNotification,
    Event,
    Fop1Event,
    Fop1State,
    Notification,
    ServiceType,
    Suspended,
    TimeoutType,
    TransferNotification,
    TransmitRequest,
)
from ccsds.procedures.fop1_table import TABLE, Action

__all__ = ["Fop1", "Fop1Parameters"]

DOCUMENT: Final = "CCSDS 232.1-B-2"
_LONGEST_LIMIT: Final = 255


class Fop1Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The managed parameters of one FOP-1 (232.1-B-2 table 7-1); directives change those of a running one.

    virtual_channel_id: 0 to 63, the one of the CLCWs that are listened to.
    sliding_window_width: K, 1 to 255 and not above PW of the FARM-1 at the other end (5.1.12).
    t1_initial_ns: how long the timer runs; longer than it takes a frame to go up and its CLCW to come back.
    transmission_limit: how often the first outstanding frame may be transmitted, 1 to 255.
    timeout_type: what happens when the timer expires at the limit.
    farm_positive_window_width: PW of the other end, where known: K is checked against it.

    Raises: ConfigurationError: the message names the key.
    """

    virtual_channel_id: int
    sliding_window_width: int
    t1_initial_ns: int
    transmission_limit: int
    timeout_type: TimeoutType = TimeoutType.ALERT
    farm_positive_window_width: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.virtual_channel_id <= 63:
            raise _wrong("virtual_channel_id", self.virtual_channel_id, "0 to 63", "5.3.2")
        positive = self.farm_positive_window_width
        if positive is not None and not 1 <= positive <= SEQUENCE_NUMBERS:
            raise _wrong("farm_positive_window_width", positive, "1 to 256", "6.1.8")
        if not 1 <= self.sliding_window_width <= self.widest_window:
            limits = f"1 to {self.widest_window}"
            raise _wrong("sliding_window_width", self.sliding_window_width, limits, "5.1.12")
        if self.t1_initial_ns < 1:
            raise _wrong("t1_initial_ns", self.t1_initial_ns, "1 or more", "5.1.9")
        if not 1 <= self.transmission_limit <= _LONGEST_LIMIT:
            raise _wrong("transmission_limit", self.transmission_limit, f"1 to {_LONGEST_LIMIT}", "5.1.10")
        if self.timeout_type not in tuple(TimeoutType):
            raise _wrong("timeout_type", self.timeout_type, "0 or 1", "5.1.9")

    @property
    def widest_window(self) -> int:
        """The largest K that the other end permits."""
        return min(self.farm_positive_window_width or SEQUENCE_NUMBERS, SEQUENCE_NUMBERS - 1)


def _wrong(key: str, value: object, limits: str, clause: str) -> ConfigurationError:
    return ConfigurationError(f"FOP-1: {key} is {value!r}, not {limits} [{DOCUMENT} §{clause}]")


@dataclass(frozen=True, slots=True)
class _Request:
    """An FDU, or a directive, that is being worked on."""

    request_id: int
    fdu: bytes = b""
    directive: Directive | None = None


@dataclass(slots=True)
class _Sent:
    """A frame on the Sent_Queue with its To_Be_Retransmitted_Flag (5.1.5)."""

    request: TransmitRequest
    to_be_retransmitted: bool = False


class Fop1:
    """The sending end of COP-1 on one virtual channel.  It begins in Initial; a directive starts AD service.

    Attributes: state; transmitter_sequence_number V(S); expected_acknowledgement NN(R); sliding_window_width K;
    t1_initial_ns, transmission_limit, timeout_type; transmission_count; suspend_state SS (0 to 4);
    ignored_operational_control_fields, how many were of another virtual channel, another COP or of type 2.
    """

    def __init__(
        self,
        parameters: Fop1Parameters,
        *,
        transmitter_sequence_number: int = 0,
        _modulus: int = SEQUENCE_NUMBERS,  # for tests that walk through every state: a small ring
    ) -> None:
        if not 0 <= transmitter_sequence_number < _modulus:
            limits = f"0 to {_modulus - 1}"
            raise _wrong("transmitter_sequence_number", transmitter_sequence_number, limits, "5.1.3")
        self.parameters = parameters
        self.state = Fop1State.INITIAL
        self.transmitter_sequence_number = transmitter_sequence_number
        self.expected_acknowledgement = transmitter_sequence_number
        self.sliding_window_width = parameters.sliding_window_width
        self.t1_initial_ns = parameters.t1_initial_ns
        self.transmission_limit = parameters.transmission_limit
        self.timeout_type = parameters.timeout_type
        self.transmission_count = 1
        self.suspend_state = 0
        self.ignored_operational_control_fields = 0
        self._modulus = _modulus
        self._wait_queue: _Request | None = None
        self._sent_queue: deque[_Sent] = deque()
        self._ready = dict.fromkeys(FrameType, True)
        self._timer: int | None = None
        self._next_request_id = 1
        self._initiating: _Request | None = None
        self._bd_request_id = 0
        self._transmissions: deque[TransmitRequest | Abort] = deque()
        self._events: deque[Fop1Event] = deque()
        # what the event at hand brought with it
        self._request: _Request | None = None
        self._report_value = 0
        self._event = Event.E40
        self._now_ns = 0

    # -- what the user asks --------------------------------------------------------------------------------------------

    def transfer(self, fdu: bytes, *, service: ServiceType = ServiceType.AD, now_ns: int) -> int:
        """Request to transfer a frame data unit (3.2.2); the answers carry the identifier that is returned.

        type AD: accept when it is first transmitted, a positive confirm when FARM-1 acknowledged it; a negative one
        means that it is not known whether it arrived; reject: it was never sent.  While one FDU waits, others are
        rejected (`is_wait_queue_free`).  type BD: accept when it is passed on and again when the lower layer took it.
        """
        request = self._new_request(fdu=bytes(fdu))
        if service is ServiceType.BD:
            self._step(Event.E21 if self._ready[FrameType.BD] else Event.E22, now_ns, request)
        else:
            self._step(Event.E19 if self._wait_queue is None else Event.E20, now_ns, request)
        return request.request_id

    def direct(self, directive: Directive, *, now_ns: int) -> int:
        """Request a directive (table 4-1); a value that is out of range makes it invalid, and it is rejected."""
        request = self._new_request(directive=directive)
        self._step(self._classify_directive(directive), now_ns, request)
        return request.request_id

    # -- what arrives --------------------------------------------------------------------------------------------------

    def handle_operational_control_field(self, octets: Octets, *, now_ns: int) -> None:
        """The four octets of an OCF.  Reports of type 2, of another COP or another virtual channel are ignored.

        A word of our virtual channel and COP with another CLCW version number is E15.
        Raises: TruncatedError, ValueError: the caller gave fewer or more than four octets.
        """
        if len(octets) > OCTETS:
            raise ValueError(f"an operational control field has {OCTETS} octets, not {len(octets)}")
        word = CLCW.unpack(octets)
        if word["control_word_type"] or not self._is_ours(word["cop_in_effect"], word["virtual_channel_id"]):
            self.ignored_operational_control_fields += 1
        elif word["clcw_version_number"]:
            self._step(Event.E15, now_ns)
        else:
            self.handle_clcw(Clcw.decode(octets), now_ns=now_ns)

    def handle_clcw(self, clcw: Clcw | Type2Report, *, now_ns: int) -> None:
        """A CLCW, in the order of reception.  Others than of our virtual channel and COP-1 are ignored (5.3.2)."""
        if isinstance(clcw, Type2Report) or not self._is_ours(clcw.cop_in_effect, clcw.virtual_channel_id):
            self.ignored_operational_control_fields += 1
            return
        self._report_value = clcw.report_value
        self._step(self._classify_clcw(clcw), now_ns)

    def handle_lower_layer_response(self, frame_type: FrameType, *, accepted: bool, now_ns: int) -> None:
        """The answer of the lower procedures to a TransmitRequest of this type (E41 to E46).

        Raises: ProtocolError: no request of this type waits for an answer.
        """
        if self._ready[frame_type]:
            raise ProtocolError(f"FOP-1: no type-{frame_type.name} frame waits for an answer [{DOCUMENT} §5.1.7]")
        if not accepted:
            # The table alerts and leaves the flag; then no frame of this type could ever be sent again.
            self._ready[frame_type] = True
        self._step(_RESPONSES[frame_type][0 if accepted else 1], now_ns)

    def handle_timeout(self, now_ns: int) -> None:
        """The instant that `poll_timeout` named has come; too early a call does nothing."""
        if self._timer is None or now_ns < self._timer:
            return
        self._timer = None
        below = self.transmission_count < self.transmission_limit
        alerts = self.timeout_type is TimeoutType.ALERT
        self._step((Event.E16 if alerts else Event.E104) if below else (Event.E17 if alerts else Event.E18), now_ns)

    # -- what to do next, and how things stand -------------------------------------------------------------------------

    def poll_transmit(self) -> TransmitRequest | Abort | None:
        """What the lower procedures are to do next, or None."""
        return self._transmissions.popleft() if self._transmissions else None

    def poll_event(self) -> Fop1Event | None:
        """What the higher procedures are to know next, or None."""
        return self._events.popleft() if self._events else None

    def poll_timeout(self) -> int | None:
        """When `handle_timeout` is due, in nanoseconds; None while the timer does not run."""
        return self._timer

    @property
    def is_wait_queue_free(self) -> bool:
        """True where a type-AD FDU would not be rejected for want of room."""
        return self._wait_queue is None

    @property
    def outstanding_frames(self) -> int:
        """How many frames are on the Sent_Queue, a control command included."""
        return len(self._sent_queue)

    @property
    def is_stalled(self) -> bool:
        """True where frames are outstanding, or an FDU waits, and no timer runs that would bring them on.

        By the table the timer is not started again when it expires in Retransmit with Wait (E16 and E104 in S3), so
        that only a CLCW, a further FDU or a directive moves FOP-1 on.  After a Suspend this is the normal state.
        """
        return self._timer is None and (bool(self._sent_queue) or self._wait_queue is not None)

    # -- which event it is ---------------------------------------------------------------------------------------------

    def _new_request(self, fdu: bytes = b"", directive: Directive | None = None) -> _Request:
        self._next_request_id += 1
        return _Request(self._next_request_id - 1, fdu, directive)

    def _is_ours(self, cop_in_effect: int, virtual_channel_id: int) -> bool:
        return cop_in_effect == COP_1 and virtual_channel_id == self.parameters.virtual_channel_id

    def _classify_clcw(self, clcw: Clcw) -> Event:
        modulus, first = self._modulus, self.expected_acknowledgement
        outstanding = (self.transmitter_sequence_number - first) % modulus
        acknowledged = (clcw.report_value - first) % modulus
        if clcw.lockout_flag:
            return Event.E14
        if acknowledged > outstanding or clcw.report_value >= modulus:
            return Event.E13
        if acknowledged == outstanding:
            if clcw.retransmit_flag:
                return Event.E4
            return Event.E3 if clcw.wait_flag else Event.E2 if acknowledged else Event.E1
        if not clcw.retransmit_flag:
            return Event.E7 if clcw.wait_flag else Event.E6 if acknowledged else Event.E5
        if self.transmission_limit == 1:
            return Event.E101 if acknowledged else Event.E102
        if acknowledged:
            return Event.E9 if clcw.wait_flag else Event.E8
        if self.transmission_count < self.transmission_limit:
            return Event.E11 if clcw.wait_flag else Event.E10
        return Event.E103 if clcw.wait_flag else Event.E12

    def _classify_directive(self, directive: Directive) -> Event:
        if not self._is_valid(directive):
            return Event.E40
        bc_ready = self._ready[FrameType.BC]
        match directive:
            case primitives.InitiateAdWithUnlock():
                return Event.E25 if bc_ready else Event.E26
            case primitives.InitiateAdWithSetVr():
                return Event.E27 if bc_ready else Event.E28
            case primitives.ResumeAd():
                return _RESUMPTIONS[self.suspend_state]
            case _:
                return _DIRECTIVES[type(directive)]

    def _is_valid(self, directive: Directive) -> bool:
        match directive:
            case primitives.InitiateAdWithSetVr(value) | primitives.SetVs(value):
                return _is_in(value, 0, self._modulus - 1)
            case primitives.SetSlidingWindowWidth(value):
                return _is_in(value, 1, self.parameters.widest_window)
            case primitives.SetTransmissionLimit(value):
                return _is_in(value, 1, _LONGEST_LIMIT)
            case primitives.SetT1Initial(value):
                return isinstance(value, int) and value >= 1
            case primitives.SetTimeoutType(value):
                return value in tuple(TimeoutType)
            case _:
                return type(directive) in _DIRECTIVES or isinstance(
                    directive, primitives.InitiateAdWithUnlock | primitives.ResumeAd
                )

    # -- the table at work ---------------------------------------------------------------------------------------------

    def _step(self, event: Event, now_ns: int, request: _Request | None = None) -> None:
        cell = TABLE[event, self.state]
        self._event, self._now_ns, self._request = event, now_ns, request
        for action in cell.actions:
            _PERFORM[action](self, *action.value[1:])
        self.state = cell.next_state

    def _answer(self, request: _Request, notification: Notification) -> None:
        kind = TransferNotification if request.directive is None else DirectiveNotification
        self._events.append(kind(request.request_id, notification))

    def _accept(self) -> None:
        if self._request is None:  # E45: the answer of the lower layer to the BD request
            self._events.append(TransferNotification(self._bd_request_id, Notification.ACCEPT))
            return
        self._answer(self._request, Notification.ACCEPT)
        if self._event in _INITIATIONS:
            if self._initiating is not None:  # suspended in S4, and now replaced: no request stays without its answer
                self._answer(self._initiating, Notification.NEGATIVE_CONFIRM)
            self._initiating = self._request

    def _reject(self) -> None:
        assert self._request is not None
        self._answer(self._request, Notification.REJECT)

    def _confirm(self) -> None:
        """Confirm the directive at hand, or the initiation that a CLCW or the directive itself completed."""
        request = self._request or self._initiating
        assert request is not None
        self._answer(request, Notification.POSITIVE_CONFIRM)
        if request is self._initiating:
            self._initiating = None

    def _ignore(self) -> None:
        pass

    def _cannot_occur(self) -> None:
        raise AssertionError(f"FOP-1: {self._event.name} in {self.state.name}, which its own events exclude")

    def _alert(self, reason: AlertReason) -> None:
        self._timer = None
        self._purge()
        if self._initiating is not None:
            self._answer(self._initiating, Notification.NEGATIVE_CONFIRM)
            self._initiating = None
        self._events.append(Alert(reason, self._event, self.state))

    def _suspend(self, suspend_state: int) -> None:
        self.suspend_state = suspend_state
        self._events.append(Suspended(suspend_state))

    def _purge(self) -> None:
        """Purge the Sent_Queue, then the Wait_Queue (5.2.2, 5.2.3); NN(R) stays as it is."""
        for sent in self._sent_queue:
            if sent.request.frame.frame_type is FrameType.AD:
                self._events.append(TransferNotification(sent.request.request_id, Notification.NEGATIVE_CONFIRM))
        self._sent_queue.clear()
        if self._wait_queue is not None:
            self._answer(self._wait_queue, Notification.REJECT)
            self._wait_queue = None

    def _initialize(self) -> None:
        self._purge()
        self.transmission_count = 1
        self.suspend_state = 0

    def _resume(self) -> None:
        self._start_timer()
        self.suspend_state = 0

    def _start_timer(self) -> None:
        self._timer = self._now_ns + self.t1_initial_ns

    def _cancel_timer(self) -> None:
        self._timer = None

    def _add_to_wait_queue(self) -> None:
        self._wait_queue = self._request

    def _look_for_fdu(self) -> None:
        """Transmit what is to be retransmitted, or else the waiting FDU where the window has room (5.2)."""
        if not self._ready[FrameType.AD]:
            return
        for sent in self._sent_queue:
            if sent.to_be_retransmitted:
                sent.to_be_retransmitted = False
                self._pass_on(sent.request)
                return
        outstanding = (self.transmitter_sequence_number - self.expected_acknowledgement) % self._modulus
        if self._wait_queue is not None and outstanding < self.sliding_window_width:
            request, self._wait_queue = self._wait_queue, None
            self._answer(request, Notification.ACCEPT)
            self._transmit_ad(request)

    def _transmit_ad(self, request: _Request) -> None:
        number = self.transmitter_sequence_number
        frame = Cop1Frame(frame_type=FrameType.AD, octets=request.fdu, frame_sequence_number=number)
        self.transmitter_sequence_number = (number + 1) % self._modulus
        self._queue_and_pass_on(TransmitRequest(frame, request.request_id))

    def _queue_and_pass_on(self, request: TransmitRequest) -> None:
        if not self._sent_queue:
            self.transmission_count = 1
        self._sent_queue.append(_Sent(request))
        self._start_timer()
        self._pass_on(request)

    def _pass_on(self, request: TransmitRequest) -> None:
        self._ready[request.frame.frame_type] = False
        self._transmissions.append(request)

    def _look_for_directive(self) -> None:
        if self._ready[FrameType.BC] and self._sent_queue and self._sent_queue[0].to_be_retransmitted:
            self._sent_queue[0].to_be_retransmitted = False
            self._pass_on(self._sent_queue[0].request)

    def _remove_acknowledged(self) -> None:
        """Confirm what lies before N(R), and move NN(R) there, also over frames that were purged."""
        first, modulus = self.expected_acknowledgement, self._modulus
        acknowledged = (self._report_value - first) % modulus
        while self._sent_queue:
            request = self._sent_queue[0].request
            if (request.frame.frame_sequence_number - first) % modulus >= acknowledged:
                break
            self._sent_queue.popleft()
            self._events.append(TransferNotification(request.request_id, Notification.POSITIVE_CONFIRM))
        self.expected_acknowledgement = self._report_value
        self.transmission_count = 1

    def _release_bc(self) -> None:
        self._sent_queue.clear()

    def _initiate_retransmission(self, _: FrameType) -> None:
        """Abort, count, restart the timer and mark the whole Sent_Queue: frames of type AD, or one of type BC."""
        self._transmissions.append(Abort())
        self.transmission_count += 1
        self._start_timer()
        for sent in self._sent_queue:
            sent.to_be_retransmitted = True

    def _transmit_command(self, command: Unlock | SetVr) -> None:
        assert self._request is not None
        frame = Cop1Frame(frame_type=FrameType.BC, octets=command.encode())
        self._queue_and_pass_on(TransmitRequest(frame, self._request.request_id))

    def _transmit_unlock(self) -> None:
        self._transmit_command(Unlock())

    def _transmit_set_vr(self) -> None:
        self._transmit_command(SetVr(self._argument()))

    def _transmit_bd(self) -> None:
        assert self._request is not None
        self._bd_request_id = self._request.request_id
        frame = Cop1Frame(frame_type=FrameType.BD, octets=self._request.fdu)
        self._pass_on(TransmitRequest(frame, self._request.request_id))

    def _set_ready(self, frame_type: FrameType) -> None:
        self._ready[frame_type] = True

    # -- directives that set values ------------------------------------------------------------------------------------

    def _argument(self) -> Any:
        """The value that the directive at hand carries; each has one field."""
        assert self._request is not None
        directive: Any = self._request.directive
        return getattr(directive, directive.__slots__[0])

    def _vs_from_directive(self) -> None:
        self.transmitter_sequence_number = self._argument()

    def _nnr_from_directive(self) -> None:
        self.expected_acknowledgement = self._argument()

    def _set_vs_unless_suspended(self) -> None:
        if self.suspend_state:
            self._reject()
            return
        self._accept()
        self._vs_from_directive()
        self._nnr_from_directive()
        self._confirm()

    def _set_window(self) -> None:
        self.sliding_window_width = self._argument()

    def _set_t1(self) -> None:
        self.t1_initial_ns = self._argument()

    def _set_limit(self) -> None:
        self.transmission_limit = self._argument()

    def _set_timeout_type(self) -> None:
        self.timeout_type = TimeoutType(self._argument())


def _is_in(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and lowest <= value <= highest


_INITIATIONS: Final = (Event.E23, Event.E24, Event.E25, Event.E27)
_RESUMPTIONS: Final = (Event.E30, Event.E31, Event.E32, Event.E33, Event.E34)
_RESPONSES: Final = {
    FrameType.AD: (Event.E41, Event.E42),
    FrameType.BC: (Event.E43, Event.E44),
    FrameType.BD: (Event.E45, Event.E46),
}
_DIRECTIVES: Final[Mapping[type, Event]] = {
    primitives.InitiateAdWithoutClcwCheck: Event.E23,
    primitives.InitiateAdWithClcwCheck: Event.E24,
    primitives.TerminateAd: Event.E29,
    primitives.SetVs: Event.E35,
    primitives.SetSlidingWindowWidth: Event.E36,
    primitives.SetT1Initial: Event.E37,
    primitives.SetTransmissionLimit: Event.E38,
    primitives.SetTimeoutType: Event.E39,
}
_PERFORM: Final[Mapping[Action, Callable[..., None]]] = {
    action: getattr(Fop1, f"_{action.value[0]}") for action in Action
}
