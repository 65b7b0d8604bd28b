"""States, events and service primitives of FOP-1: what is asked of it and what it answers.

Source: CCSDS 232.1-B-2 sections 3.2, 4.3, 4.4 and 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import ClassVar

from ccsds.procedures.cop1 import Cop1Frame, FrameType

__all__ = [
    "Abort",
    "Alert",
    "AlertReason",
    "Directive",
    "DirectiveNotification",
    "Event",
    "Fop1Event",
    "Fop1State",
    "InitiateAdWithClcwCheck",
    "InitiateAdWithSetVr",
    "InitiateAdWithUnlock",
    "InitiateAdWithoutClcwCheck",
    "Notification",
    "ResumeAd",
    "ServiceType",
    "SetSlidingWindowWidth",
    "SetT1Initial",
    "SetTimeoutType",
    "SetTransmissionLimit",
    "SetVs",
    "Suspended",
    "TerminateAd",
    "TimeoutType",
    "TransferNotification",
    "TransmitRequest",
]


class Fop1State(Enum):
    """The states of FOP-1 (5.1.2)."""

    ACTIVE = "S1"
    RETRANSMIT_WITHOUT_WAIT = "S2"
    RETRANSMIT_WITH_WAIT = "S3"
    INITIALIZING_WITHOUT_BC_FRAME = "S4"
    INITIALIZING_WITH_BC_FRAME = "S5"
    INITIAL = "S6"


class Event(Enum):
    """The rows of table 5-1.  L, R, W: the flags of the CLCW; N(R): its report value."""

    E1 = "CLCW: L0, N(R) = V(S), R0, W0, N(R) = NN(R)"
    E2 = "CLCW: L0, N(R) = V(S), R0, W0, N(R) not NN(R)"
    E3 = "CLCW: L0, N(R) = V(S), R0, W1"
    E4 = "CLCW: L0, N(R) = V(S), R1"
    E5 = "CLCW: L0, NN(R) <= N(R) < V(S), R0, W0, N(R) = NN(R)"
    E6 = "CLCW: L0, NN(R) <= N(R) < V(S), R0, W0, N(R) not NN(R)"
    E7 = "CLCW: L0, NN(R) <= N(R) < V(S), R0, W1"
    E101 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, limit 1, N(R) not NN(R)"
    E102 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, limit 1, N(R) = NN(R)"
    E8 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W0, limit > 1, N(R) not NN(R)"
    E9 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W1, limit > 1, N(R) not NN(R)"
    E10 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W0, limit > 1, N(R) = NN(R), count < limit"
    E11 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W1, limit > 1, N(R) = NN(R), count < limit"
    E12 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W0, limit > 1, N(R) = NN(R), count >= limit"
    E103 = "CLCW: L0, NN(R) <= N(R) < V(S), R1, W1, limit > 1, N(R) = NN(R), count >= limit"
    E13 = "CLCW: L0, N(R) < NN(R) or N(R) > V(S)"
    E14 = "CLCW: L1"
    E15 = "CLCW: invalid pattern"
    E16 = "timer expired, count < limit, timeout type 0"
    E104 = "timer expired, count < limit, timeout type 1"
    E17 = "timer expired, count >= limit, timeout type 0"
    E18 = "timer expired, count >= limit, timeout type 1"
    E19 = "request to transfer an FDU, type AD, wait queue empty"
    E20 = "request to transfer an FDU, type AD, wait queue not empty"
    E21 = "request to transfer an FDU, type BD, BD_Out ready"
    E22 = "request to transfer an FDU, type BD, BD_Out not ready"
    E23 = "initiate AD service without CLCW check"
    E24 = "initiate AD service with CLCW check"
    E25 = "initiate AD service with Unlock, BC_Out ready"
    E26 = "initiate AD service with Unlock, BC_Out not ready"
    E27 = "initiate AD service with Set V(R), BC_Out ready"
    E28 = "initiate AD service with Set V(R), BC_Out not ready"
    E29 = "terminate AD service"
    E30 = "resume AD service, suspend state 0"
    E31 = "resume AD service, suspend state 1"
    E32 = "resume AD service, suspend state 2"
    E33 = "resume AD service, suspend state 3"
    E34 = "resume AD service, suspend state 4"
    E35 = "set V(S)"
    E36 = "set FOP sliding window width"
    E37 = "set T1 initial"
    E38 = "set transmission limit"
    E39 = "set timeout type"
    E40 = "invalid directive"
    E41 = "lower layer accepted a type-AD frame"
    E42 = "lower layer rejected a type-AD frame"
    E43 = "lower layer accepted a type-BC frame"
    E44 = "lower layer rejected a type-BC frame"
    E45 = "lower layer accepted a type-BD frame"
    E46 = "lower layer rejected a type-BD frame"


class ServiceType(Enum):
    """The service that a frame data unit asks for (3.2.2)."""

    AD = FrameType.AD
    """Sequence-controlled."""
    BD = FrameType.BD
    """Expedited."""


class TimeoutType(IntEnum):
    """What happens when the timer expires at the transmission limit (5.1.9)."""

    ALERT = 0
    SUSPEND = 1


class AlertReason(Enum):
    """The reason codes of an Alert (table 4-4)."""

    LIMIT = "a CLCW asked for a retransmission and the transmission limit is 1"
    T1 = "the timer expired and the transmission limit is reached"
    LOCKOUT = "FARM-1 reports Lockout"
    SYNCH = "the CLCW does not fit what was sent: the two ends are out of step"
    NNR = "the CLCW acknowledges frames that are not outstanding"
    CLCW = "the CLCW has Wait without Retransmit, or is no valid word"
    LLIF = "the lower layer rejected a frame"
    TERM = "AD service was terminated on request"


# -- directives (table 4-1) --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InitiateAdWithoutClcwCheck:
    """Begin AD service at once, trusting that V(S) and V(R) agree."""


@dataclass(frozen=True, slots=True)
class InitiateAdWithClcwCheck:
    """Begin AD service once a CLCW shows that V(S) and V(R) agree."""


@dataclass(frozen=True, slots=True)
class InitiateAdWithUnlock:
    """Send Unlock, and begin AD service once a CLCW shows that FARM-1 is Open and in step."""


@dataclass(frozen=True, slots=True)
class InitiateAdWithSetVr:
    """Set V(S) and, by a control command, V(R); begin AD service once a CLCW shows that FARM-1 followed."""

    receiver_sequence_number: int


@dataclass(frozen=True, slots=True)
class TerminateAd:
    """End AD service; what is outstanding is confirmed negatively."""


@dataclass(frozen=True, slots=True)
class ResumeAd:
    """Go on after a Suspend."""


@dataclass(frozen=True, slots=True)
class SetVs:
    """Set V(S) and NN(R), in Initial and not suspended."""

    transmitter_sequence_number: int


@dataclass(frozen=True, slots=True)
class SetSlidingWindowWidth:
    """Set K, the number of frames that may be outstanding."""

    width: int


@dataclass(frozen=True, slots=True)
class SetT1Initial:
    """Set how long the timer runs, in nanoseconds; it takes effect at the next start."""

    t1_initial_ns: int


@dataclass(frozen=True, slots=True)
class SetTransmissionLimit:
    """Set how often the first outstanding frame may be transmitted."""

    limit: int


@dataclass(frozen=True, slots=True)
class SetTimeoutType:
    """Set what happens when the timer expires at the limit."""

    timeout_type: TimeoutType


Directive = (
    InitiateAdWithoutClcwCheck
    | InitiateAdWithClcwCheck
    | InitiateAdWithUnlock
    | InitiateAdWithSetVr
    | TerminateAd
    | ResumeAd
    | SetVs
    | SetSlidingWindowWidth
    | SetT1Initial
    | SetTransmissionLimit
    | SetTimeoutType
)

# -- answers to the higher procedures ----------------------------------------------------------------------------------


class Notification(Enum):
    """How a request fares (tables 4-2, 4-5 and 4-6)."""

    ACCEPT = "accept"
    REJECT = "reject"
    POSITIVE_CONFIRM = "positive confirm"
    NEGATIVE_CONFIRM = "negative confirm"


@dataclass(frozen=True, slots=True)
class TransferNotification:
    """The answer to a request to transfer a frame data unit.

    A negative confirm means that it is not known whether the FDU arrived (4.4.2).
    """

    request_id: int
    notification: Notification


@dataclass(frozen=True, slots=True)
class DirectiveNotification:
    """The answer to a directive."""

    request_id: int
    notification: Notification


@dataclass(frozen=True, slots=True)
class Alert:
    """AD service ended by itself or on request; `state` and `event` are the cell that said so."""

    reason: AlertReason
    event: Event
    state: Fop1State


@dataclass(frozen=True, slots=True)
class Suspended:
    """AD service stopped at the transmission limit; ResumeAd goes on in the state that `suspend_state` names."""

    suspend_state: int


Fop1Event = TransferNotification | DirectiveNotification | Alert | Suspended

# -- requests to the lower procedures ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransmitRequest:
    """A frame to be sent; the lower procedures answer each one with accept or reject.

    request_id: of the FDU or the directive that it comes from.
    """

    frame: Cop1Frame
    request_id: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Frames of types AD and BC that are accepted but not yet on their way need not be sent: they will come again."""

    NOTE: ClassVar[str] = "a frame that is dropped for this reason is answered with accept all the same"
