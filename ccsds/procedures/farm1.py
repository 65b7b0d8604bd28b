"""FARM-1, the receiving end of COP-1.  Source: CCSDS 232.1-B-2 with Corrigendum 1, section 6, table 6-1.

One FARM-1 serves one virtual channel.  It is told of frames that passed the frame validation checks, hands out what it
accepts through `poll_event`, and says in `clcw` what the other end is to know.  No sockets, no clock, no threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from ccsds.errors import ConfigurationError, ProtocolError
from ccsds.frames.operational_control_field import Clcw
from ccsds.procedures.cop1 import COP_1, SEQUENCE_NUMBERS, Cop1Frame, FrameType, SetVr, Unlock, control_command

__all__ = [
    "TABLE",
    "Cell",
    "ClcwReport",
    "ControlCommandExecuted",
    "Event",
    "Farm1",
    "Farm1Event",
    "Farm1Parameters",
    "Farm1State",
    "FduArrived",
    "FrameDiscarded",
]

DOCUMENT: Final = "CCSDS 232.1-B-2"


class Farm1State(Enum):
    """The states of FARM-1 (6.1.2)."""

    OPEN = "S1"
    WAIT = "S2"
    LOCKOUT = "S3"


class Event(Enum):
    """The rows of table 6-1."""

    E1 = "type AD, N(S) = V(R), a buffer is free"
    E2 = "type AD, N(S) = V(R), no buffer is free"
    E3 = "type AD, N(S) in the positive window, N(S) not V(R)"
    E4 = "type AD, N(S) in the negative window"
    E5 = "type AD, N(S) in the lockout area"
    E6 = "type BD"
    E7 = "type BC, Unlock"
    E8 = "type BC, Set V(R)"
    E9 = "invalid frame or control command"
    E10 = "buffer release"
    E11 = "CLCW report time"


class Action(Enum):
    """What a cell asks for (6.2)."""

    ACCEPT = "accept"
    DISCARD = "discard"
    ADVANCE = "V(R) := V(R) + 1"
    SET_VR = "V(R) := V*(R)"
    COUNT_B = "FARM-B_Counter + 1"
    RETRANSMIT_1 = "Retransmit_Flag := 1"
    RETRANSMIT_0 = "Retransmit_Flag := 0"
    WAIT_1 = "Wait_Flag := 1"
    WAIT_0 = "Wait_Flag := 0"
    LOCKOUT_1 = "Lockout_Flag := 1"
    LOCKOUT_0 = "Lockout_Flag := 0"
    REPORT = "report the CLCW"
    IGNORE = "ignore"
    CANNOT_OCCUR = "cannot occur"


class Cell(NamedTuple):
    """What is done, in this order; the next state; how many implementations agree; where the text was read.

    clause: the text states the cell ("table 6-1": the cell as others quote it); partly: it states a part.
    """

    actions: tuple[Action, ...]
    next_state: Farm1State
    implementations: int
    clause: str = ""
    partly: str = ""


S1, S2, S3 = Farm1State
(
    _ACCEPT,
    _DISCARD,
    _ADVANCE,
    _SET_VR,
    _COUNT_B,
    _RETRANSMIT_1,
    _RETRANSMIT_0,
    _WAIT_1,
    _WAIT_0,
    _LOCKOUT_1,
    _LOCKOUT_0,
    _REPORT,
    _IGNORE,
    _CANNOT_OCCUR,
) = Action

# Wait_Flag is a variable of its own: it survives the step from Wait to Lockout (E5), until E7 or E10 clears it.
TABLE: Final[Mapping[tuple[Event, Farm1State], Cell]] = MappingProxyType(
    {
        (Event.E1, S1): Cell((_ACCEPT, _ADVANCE, _RETRANSMIT_0), S1, 9, "6.1.8"),
        (Event.E1, S2): Cell((_CANNOT_OCCUR,), S2, 3),
        (Event.E1, S3): Cell((_DISCARD,), S3, 7),
        (Event.E2, S1): Cell((_DISCARD, _RETRANSMIT_1, _WAIT_1), S2, 6, "table 6-1"),
        (Event.E2, S2): Cell((_DISCARD,), S2, 6),
        (Event.E2, S3): Cell((_DISCARD,), S3, 6),
        (Event.E3, S1): Cell((_DISCARD, _RETRANSMIT_1), S1, 9, "6.1.8"),
        (Event.E3, S2): Cell((_DISCARD,), S2, 7),
        (Event.E3, S3): Cell((_DISCARD,), S3, 8),
        (Event.E4, S1): Cell((_DISCARD,), S1, 8, "6.1.8"),
        (Event.E4, S2): Cell((_DISCARD,), S2, 7),
        (Event.E4, S3): Cell((_DISCARD,), S3, 7),
        (Event.E5, S1): Cell((_DISCARD, _LOCKOUT_1), S3, 9, "6.1.8"),
        (Event.E5, S2): Cell((_DISCARD, _LOCKOUT_1), S3, 7),
        (Event.E5, S3): Cell((_DISCARD,), S3, 7),
        (Event.E6, S1): Cell((_ACCEPT, _COUNT_B), S1, 7, "6.1.6"),
        (Event.E6, S2): Cell((_ACCEPT, _COUNT_B), S2, 6, "6.1.6"),
        (Event.E6, S3): Cell((_ACCEPT, _COUNT_B), S3, 6, "6.1.6"),
        (Event.E7, S1): Cell((_COUNT_B, _RETRANSMIT_0), S1, 8, "6.1.5"),
        (Event.E7, S2): Cell((_COUNT_B, _RETRANSMIT_0, _WAIT_0), S1, 8, "table 6-1"),
        (Event.E7, S3): Cell((_COUNT_B, _RETRANSMIT_0, _WAIT_0, _LOCKOUT_0), S1, 8, partly="6.1.5"),
        (Event.E8, S1): Cell((_COUNT_B, _RETRANSMIT_0, _SET_VR), S1, 8, "6.1.5"),
        (Event.E8, S2): Cell((_COUNT_B, _RETRANSMIT_0, _WAIT_0, _SET_VR), S1, 7, "table 6-1"),
        (Event.E8, S3): Cell((_COUNT_B,), S3, 8, "6.3.2"),
        (Event.E9, S1): Cell((_DISCARD,), S1, 5, partly="6.3.2"),
        (Event.E9, S2): Cell((_DISCARD,), S2, 4, partly="6.3.2"),
        (Event.E9, S3): Cell((_DISCARD,), S3, 4, partly="6.3.2"),
        (Event.E10, S1): Cell((_IGNORE,), S1, 5),
        (Event.E10, S2): Cell((_WAIT_0,), S1, 6, partly="6.3.2"),
        (Event.E10, S3): Cell((_WAIT_0,), S3, 2, "table 6-1"),
        (Event.E11, S1): Cell((_REPORT,), S1, 3, "6.2.4"),
        (Event.E11, S2): Cell((_REPORT,), S2, 2, "6.2.4"),
        (Event.E11, S3): Cell((_REPORT,), S3, 2, "6.2.4"),
    }
)


class Farm1Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The managed parameters of one FARM-1 (232.1-B-2 table 7-1, 6.1.8.3 with Corrigendum 1).

    virtual_channel_id: 0 to 63, reported in the CLCW.
    sliding_window_width: W.  With retransmission even, 2 to 254; without, 1 to 256.
    retransmission: frames that were lost are sent again (6.1.8.3.1: PW = NW = W/2), or they are not (6.1.8.3.2).
    positive_window_width: PW, only without retransmission: 1 to W; NW is the rest.  By default all of W.

    Raises: ConfigurationError: the message names the key.
    """

    virtual_channel_id: int
    sliding_window_width: int
    retransmission: bool = True
    positive_window_width: int | None = None

    def __post_init__(self) -> None:
        width, positive = self.sliding_window_width, self.positive_window_width
        if not 0 <= self.virtual_channel_id <= 63:
            raise _wrong("virtual_channel_id", self.virtual_channel_id, "0 to 63", "6.1.1")
        if self.retransmission:
            if not 2 <= width <= 254 or width % 2:
                raise _wrong("sliding_window_width", width, "an even number, 2 to 254", "6.1.8.3.1")
            if positive is not None and positive * 2 != width:
                raise _wrong("positive_window_width", positive, "half of sliding_window_width", "6.1.8.3.1")
            return
        if not 1 <= width <= SEQUENCE_NUMBERS:
            raise _wrong("sliding_window_width", width, "1 to 256", "6.1.8.3.2")
        if positive is not None and not 1 <= positive <= width:
            raise _wrong("positive_window_width", positive, "1 to sliding_window_width", "6.1.8.3.2")

    @property
    def window_widths(self) -> tuple[int, int]:
        """(PW, NW), the positive and the negative part of the window."""
        half = self.sliding_window_width // 2 if self.retransmission else self.sliding_window_width
        positive = half if self.positive_window_width is None else self.positive_window_width
        return positive, self.sliding_window_width - positive


def _wrong(key: str, value: object, limits: str, clause: str) -> ConfigurationError:
    return ConfigurationError(f"FARM-1: {key} is {value!r}, not {limits} [{DOCUMENT} §{clause}]")


@dataclass(frozen=True, slots=True)
class FduArrived:
    """A frame data unit for the higher procedures (6.2.2)."""

    frame: Cop1Frame


@dataclass(frozen=True, slots=True)
class FrameDiscarded:
    """A frame that was not accepted, and why; `frame` is None where it was invalid before FARM-1 saw it."""

    frame: Cop1Frame | None
    event: Event


@dataclass(frozen=True, slots=True)
class ControlCommandExecuted:
    """A control command was counted and, unless it was Set V(R) in Lockout, `executed`."""

    command: Unlock | SetVr
    executed: bool


@dataclass(frozen=True, slots=True)
class ClcwReport:
    """The word that is due at a report time (6.2.4)."""

    clcw: Clcw


Farm1Event = FduArrived | FrameDiscarded | ControlCommandExecuted | ClcwReport


class Farm1:
    """The receiving end of COP-1 on one virtual channel.

    It begins Open, with V(R) = 0; `receiver_sequence_number` gives another V(R).
    """

    def __init__(
        self,
        parameters: Farm1Parameters,
        *,
        receiver_sequence_number: int = 0,
        _modulus: int = SEQUENCE_NUMBERS,  # for tests that walk through every state: a small ring
    ) -> None:
        if not 0 <= receiver_sequence_number < _modulus:
            raise _wrong("receiver_sequence_number", receiver_sequence_number, f"0 to {_modulus - 1}", "6.1.7")
        self.parameters = parameters
        self.state = Farm1State.OPEN
        self.receiver_sequence_number = receiver_sequence_number
        self.lockout_flag = 0
        self.wait_flag = 0
        self.retransmit_flag = 0
        self.farm_b_counter = 0
        self._modulus = _modulus
        self._positive, self._negative = parameters.window_widths
        self._events: deque[Farm1Event] = deque()

    # -- what arrives --------------------------------------------------------------------------------------------------

    def handle_frame(self, frame: Cop1Frame, *, buffer_free: bool = True) -> None:
        """A frame that passed the frame validation checks.

        buffer_free: whether the higher procedures can take a type-AD frame now.  After a frame was refused for want of
        a buffer, `handle_buffer_release` comes before the next free buffer is offered.

        Raises: ProtocolError: a buffer is offered in Wait, before its release was signalled.
        """
        self._step(self._classify(frame, buffer_free), frame)

    def handle_invalid_frame(self) -> None:
        """A frame that did not pass the frame validation checks; it is discarded and changes nothing."""
        self._step(Event.E9, None)

    def handle_buffer_release(self) -> None:
        """The higher procedures can take frames again."""
        self._step(Event.E10, None)

    def handle_report_time(self) -> None:
        """A CLCW is due; it comes out of `poll_event`."""
        self._step(Event.E11, None)

    # -- what to do next, and how things stand -------------------------------------------------------------------------

    def poll_event(self) -> Farm1Event | None:
        """What happened next, or None."""
        return self._events.popleft() if self._events else None

    def clcw(self, *, no_rf_available: bool = False, no_bit_lock: bool = False, status_field: int = 0) -> Clcw:
        """The report as of now (232.0-B-4 4.2); what FARM-1 cannot know of the receiver is given."""
        return Clcw(
            virtual_channel_id=self.parameters.virtual_channel_id,
            report_value=self.receiver_sequence_number,
            cop_in_effect=COP_1,
            status_field=status_field,
            no_rf_available_flag=int(no_rf_available),
            no_bit_lock_flag=int(no_bit_lock),
            lockout_flag=self.lockout_flag,
            wait_flag=self.wait_flag,
            retransmit_flag=self.retransmit_flag,
            farm_b_counter=self.farm_b_counter & 3,
        )

    def window(self, frame_sequence_number: int) -> Event:
        """Where a type-AD frame lies that is not the next one: E3, E4 or E5 (6.1.8)."""
        ahead = (frame_sequence_number - self.receiver_sequence_number) % self._modulus
        if ahead < self._positive:
            return Event.E3
        return Event.E4 if self._modulus - ahead <= self._negative else Event.E5

    # -- the table at work ---------------------------------------------------------------------------------------------

    def _classify(self, frame: Cop1Frame, buffer_free: bool) -> Event:
        if frame.frame_type is FrameType.BD:
            return Event.E6
        if frame.frame_type is FrameType.BC:
            command = control_command(frame.octets)
            if command is None or (isinstance(command, SetVr) and command.receiver_sequence_number >= self._modulus):
                return Event.E9
            return Event.E7 if isinstance(command, Unlock) else Event.E8
        if not 0 <= frame.frame_sequence_number < self._modulus:
            return Event.E9
        if frame.frame_sequence_number == self.receiver_sequence_number:
            return Event.E1 if buffer_free else Event.E2
        return self.window(frame.frame_sequence_number)

    def _step(self, event: Event, frame: Cop1Frame | None) -> None:
        cell = TABLE[event, self.state]
        for action in cell.actions:
            _PERFORM[action](self, event, frame)
        if frame is not None and event in (Event.E7, Event.E8):
            command = control_command(frame.octets)
            assert command is not None
            self._events.append(ControlCommandExecuted(command, executed=len(cell.actions) > 1))
        self.state = cell.next_state

    def _accept(self, _: Event, frame: Cop1Frame | None) -> None:
        assert frame is not None
        self._events.append(FduArrived(frame))

    def _discard(self, event: Event, frame: Cop1Frame | None) -> None:
        self._events.append(FrameDiscarded(frame, event))

    def _advance(self, _: Event, __: Cop1Frame | None) -> None:
        self.receiver_sequence_number = (self.receiver_sequence_number + 1) % self._modulus

    def _set_vr(self, _: Event, frame: Cop1Frame | None) -> None:
        assert frame is not None
        self.receiver_sequence_number = frame.octets[-1]

    def _count_b(self, _: Event, __: Cop1Frame | None) -> None:
        self.farm_b_counter = (self.farm_b_counter + 1) % SEQUENCE_NUMBERS

    def _report(self, _: Event, __: Cop1Frame | None) -> None:
        self._events.append(ClcwReport(self.clcw()))

    def _ignore(self, _: Event, __: Cop1Frame | None) -> None:
        pass

    def _cannot_occur(self, event: Event, _: Cop1Frame | None) -> None:
        raise ProtocolError(
            f"FARM-1: {event.name} ({event.value}) in {self.state.name}: "
            f"signal the buffer release first [{DOCUMENT} table 6-1]"
        )


def _flag(name: str, value: int) -> Callable[[Farm1, Event, Cop1Frame | None], None]:
    def set_flag(farm: Farm1, _: Event, __: Cop1Frame | None) -> None:
        setattr(farm, name, value)

    return set_flag


_PERFORM: Final[Mapping[Action, Callable[[Farm1, Event, Cop1Frame | None], None]]] = {
    Action.ACCEPT: Farm1._accept,
    Action.DISCARD: Farm1._discard,
    Action.ADVANCE: Farm1._advance,
    Action.SET_VR: Farm1._set_vr,
    Action.COUNT_B: Farm1._count_b,
    Action.RETRANSMIT_1: _flag("retransmit_flag", 1),
    Action.RETRANSMIT_0: _flag("retransmit_flag", 0),
    Action.WAIT_1: _flag("wait_flag", 1),
    Action.WAIT_0: _flag("wait_flag", 0),
    Action.LOCKOUT_1: _flag("lockout_flag", 1),
    Action.LOCKOUT_0: _flag("lockout_flag", 0),
    Action.REPORT: Farm1._report,
    Action.IGNORE: Farm1._ignore,
    Action.CANNOT_OCCUR: Farm1._cannot_occur,
}
