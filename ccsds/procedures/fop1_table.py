"""Table 5-1: what FOP-1 does and where it goes, for every event in every state.  Source: CCSDS 232.1-B-2, section 5.3.

One line per cell, rows in the order of the table.  A cell says how many independent implementations do the same (0: the
choice is ours) and, where its text was read, the clause that states it, or a part of it: the prose, never table 5-1
itself, of which no readable copy was found.  docs/cop1.md has what was read, other readings and the reasons.

Purging does not set NN(R), so the cells of S4 and S5 that others call not applicable can be met.  S4: what acknowledges
frames is ALERT[SYNCH] by table 4-4; the rest is left to the timer.  S5: ignored, as everything there that does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from ccsds.procedures.cop1 import FrameType
from ccsds.procedures.fop1_primitives import AlertReason, Event, Fop1State

__all__ = ["TABLE", "Action", "Cell"]


class Action(Enum):
    """What a cell asks for (5.2): the method of Fop1 that does it, and its argument."""

    ACCEPT = ("accept",)
    REJECT = ("reject",)
    CONFIRM = ("confirm",)
    IGNORE = ("ignore",)
    CANNOT_OCCUR = ("cannot_occur",)
    INITIALIZE = ("initialize",)
    RESUME = ("resume",)
    START_TIMER = ("start_timer",)
    CANCEL_TIMER = ("cancel_timer",)
    ADD_TO_WAIT_QUEUE = ("add_to_wait_queue",)
    LOOK_FOR_FDU = ("look_for_fdu",)
    LOOK_FOR_DIRECTIVE = ("look_for_directive",)
    REMOVE_ACKNOWLEDGED = ("remove_acknowledged",)
    RELEASE_BC = ("release_bc",)
    RETRANSMIT_AD = ("initiate_retransmission", FrameType.AD)
    RETRANSMIT_BC = ("initiate_retransmission", FrameType.BC)
    TRANSMIT_UNLOCK = ("transmit_unlock",)
    TRANSMIT_SET_VR = ("transmit_set_vr",)
    TRANSMIT_BD = ("transmit_bd",)
    AD_READY = ("set_ready", FrameType.AD)
    BC_READY = ("set_ready", FrameType.BC)
    BD_READY = ("set_ready", FrameType.BD)
    VS_FROM_VR = ("vs_from_directive",)
    NNR_FROM_VR = ("nnr_from_directive",)
    SET_VS_UNLESS_SUSPENDED = ("set_vs_unless_suspended",)
    SET_WINDOW = ("set_window",)
    SET_T1 = ("set_t1",)
    SET_LIMIT = ("set_limit",)
    SET_TIMEOUT_TYPE = ("set_timeout_type",)
    SUSPEND_1 = ("suspend", 1)
    SUSPEND_2 = ("suspend", 2)
    SUSPEND_3 = ("suspend", 3)
    SUSPEND_4 = ("suspend", 4)
    ALERT_LIMIT = ("alert", AlertReason.LIMIT)
    ALERT_T1 = ("alert", AlertReason.T1)
    ALERT_LOCKOUT = ("alert", AlertReason.LOCKOUT)
    ALERT_SYNCH = ("alert", AlertReason.SYNCH)
    ALERT_NNR = ("alert", AlertReason.NNR)
    ALERT_CLCW = ("alert", AlertReason.CLCW)
    ALERT_LLIF = ("alert", AlertReason.LLIF)
    ALERT_TERM = ("alert", AlertReason.TERM)


class Cell(NamedTuple):
    """What is done, in this order; the next state; how many implementations agree; where the text was read.

    clause: the text states the cell, the definitions of the actions (5.2) taken with it; partly: it states a part.
    """

    actions: tuple[Action, ...]
    next_state: Fop1State
    implementations: int
    clause: str = ""
    partly: str = ""

    @property
    def is_choice(self) -> bool:
        """True where neither the table as known nor other implementations say what to do, or not with one voice."""
        return self.implementations == 0


A, E = Action, Event
S1, S2, S3, S4, S5, S6 = Fop1State

TABLE: Final[Mapping[tuple[Event, Fop1State], Cell]] = MappingProxyType(
    {
        (E.E1, S1): Cell((A.IGNORE,), S1, 8),
        (E.E1, S2): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E1, S3): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E1, S4): Cell((A.CONFIRM, A.CANCEL_TIMER), S1, 5, partly="5.1.2"),
        (E.E1, S5): Cell((A.CONFIRM, A.RELEASE_BC, A.CANCEL_TIMER), S1, 4, partly="5.1.2"),
        (E.E1, S6): Cell((A.IGNORE,), S6, 8),
        (E.E2, S1): Cell((A.REMOVE_ACKNOWLEDGED, A.CANCEL_TIMER, A.LOOK_FOR_FDU), S1, 7, partly="5.1.9"),
        (E.E2, S2): Cell((A.REMOVE_ACKNOWLEDGED, A.CANCEL_TIMER, A.LOOK_FOR_FDU), S1, 6, partly="5.1.9"),
        (E.E2, S3): Cell((A.REMOVE_ACKNOWLEDGED, A.CANCEL_TIMER, A.LOOK_FOR_FDU), S1, 6, partly="5.1.9"),
        (E.E2, S4): Cell((A.ALERT_SYNCH,), S6, 0, "table 4-4"),
        (E.E2, S5): Cell((A.IGNORE,), S5, 0),
        (E.E2, S6): Cell((A.IGNORE,), S6, 7),
        (E.E3, S1): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E3, S2): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E3, S3): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E3, S4): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E3, S5): Cell((A.ALERT_CLCW,), S6, 7, partly="table 4-4"),
        (E.E3, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E4, S1): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E4, S2): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E4, S3): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E4, S4): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E4, S5): Cell((A.IGNORE,), S5, 8),
        (E.E4, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E5, S1): Cell((A.IGNORE,), S1, 8),
        (E.E5, S2): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E5, S3): Cell((A.ALERT_SYNCH,), S6, 8, "table 4-4"),
        (E.E5, S4): Cell((A.IGNORE,), S4, 0),
        (E.E5, S5): Cell((A.IGNORE,), S5, 0),
        (E.E5, S6): Cell((A.IGNORE,), S6, 8),
        (E.E6, S1): Cell((A.REMOVE_ACKNOWLEDGED, A.LOOK_FOR_FDU), S1, 8, partly="5.1.7"),
        (E.E6, S2): Cell((A.REMOVE_ACKNOWLEDGED, A.LOOK_FOR_FDU), S1, 8, partly="5.1.7"),
        (E.E6, S3): Cell((A.REMOVE_ACKNOWLEDGED, A.LOOK_FOR_FDU), S1, 8, partly="5.1.7"),
        (E.E6, S4): Cell((A.ALERT_SYNCH,), S6, 0, "table 4-4"),
        (E.E6, S5): Cell((A.IGNORE,), S5, 0),
        (E.E6, S6): Cell((A.IGNORE,), S6, 7),
        (E.E7, S1): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E7, S2): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E7, S3): Cell((A.ALERT_CLCW,), S6, 8, partly="table 4-4"),
        (E.E7, S4): Cell((A.ALERT_CLCW,), S6, 0, partly="table 4-4"),
        (E.E7, S5): Cell((A.ALERT_CLCW,), S6, 0, partly="table 4-4"),
        (E.E7, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E101, S1): Cell((A.REMOVE_ACKNOWLEDGED, A.ALERT_LIMIT), S6, 8, "table 4-4"),
        (E.E101, S2): Cell((A.REMOVE_ACKNOWLEDGED, A.ALERT_LIMIT), S6, 8, "table 4-4"),
        (E.E101, S3): Cell((A.REMOVE_ACKNOWLEDGED, A.ALERT_LIMIT), S6, 8, "table 4-4"),
        (E.E101, S4): Cell((A.ALERT_SYNCH,), S6, 0, "table 4-4"),
        (E.E101, S5): Cell((A.IGNORE,), S5, 0),
        (E.E101, S6): Cell((A.IGNORE,), S6, 7, partly="4.3.2"),
        (E.E102, S1): Cell((A.ALERT_LIMIT,), S6, 7, "table 4-4"),
        (E.E102, S2): Cell((A.ALERT_LIMIT,), S6, 7, "table 4-4"),
        (E.E102, S3): Cell((A.ALERT_LIMIT,), S6, 7, "table 4-4"),
        (E.E102, S4): Cell((A.IGNORE,), S4, 0),
        (E.E102, S5): Cell((A.IGNORE,), S5, 0),
        (E.E102, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E8, S1): Cell((A.REMOVE_ACKNOWLEDGED, A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.10"),
        (E.E8, S2): Cell((A.REMOVE_ACKNOWLEDGED, A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.10"),
        (E.E8, S3): Cell((A.REMOVE_ACKNOWLEDGED, A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.10"),
        (E.E8, S4): Cell((A.ALERT_SYNCH,), S6, 0, "table 4-4"),
        (E.E8, S5): Cell((A.IGNORE,), S5, 0),
        (E.E8, S6): Cell((A.IGNORE,), S6, 7),
        (E.E9, S1): Cell((A.REMOVE_ACKNOWLEDGED,), S3, 8, partly="5.1.7"),
        (E.E9, S2): Cell((A.REMOVE_ACKNOWLEDGED,), S3, 8, partly="5.1.7"),
        (E.E9, S3): Cell((A.REMOVE_ACKNOWLEDGED,), S3, 8, partly="5.1.7"),
        (E.E9, S4): Cell((A.ALERT_SYNCH,), S6, 0, "table 4-4"),
        (E.E9, S5): Cell((A.IGNORE,), S5, 0),
        (E.E9, S6): Cell((A.IGNORE,), S6, 7),
        (E.E10, S1): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.10"),
        (E.E10, S2): Cell((A.IGNORE,), S2, 8),
        (E.E10, S3): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 7, partly="5.1.10"),
        (E.E10, S4): Cell((A.IGNORE,), S4, 0),
        (E.E10, S5): Cell((A.IGNORE,), S5, 0),
        (E.E10, S6): Cell((A.IGNORE,), S6, 8),
        (E.E11, S1): Cell((A.IGNORE,), S3, 8),
        (E.E11, S2): Cell((A.IGNORE,), S3, 8),
        (E.E11, S3): Cell((A.IGNORE,), S3, 8),
        (E.E11, S4): Cell((A.IGNORE,), S4, 0),
        (E.E11, S5): Cell((A.IGNORE,), S5, 0),
        (E.E11, S6): Cell((A.IGNORE,), S6, 7),
        (E.E12, S1): Cell((A.IGNORE,), S2, 8),
        (E.E12, S2): Cell((A.IGNORE,), S2, 8),
        (E.E12, S3): Cell((A.IGNORE,), S2, 8),
        (E.E12, S4): Cell((A.IGNORE,), S4, 0),
        (E.E12, S5): Cell((A.IGNORE,), S5, 0),
        (E.E12, S6): Cell((A.IGNORE,), S6, 7),
        (E.E103, S1): Cell((A.IGNORE,), S3, 8),
        (E.E103, S2): Cell((A.IGNORE,), S3, 8),
        (E.E103, S3): Cell((A.IGNORE,), S3, 8),
        (E.E103, S4): Cell((A.IGNORE,), S4, 0),
        (E.E103, S5): Cell((A.IGNORE,), S5, 0),
        (E.E103, S6): Cell((A.IGNORE,), S6, 7),
        (E.E13, S1): Cell((A.ALERT_NNR,), S6, 8, "table 4-4"),
        (E.E13, S2): Cell((A.ALERT_NNR,), S6, 8, "table 4-4"),
        (E.E13, S3): Cell((A.ALERT_NNR,), S6, 8, "table 4-4"),
        (E.E13, S4): Cell((A.ALERT_NNR,), S6, 8, "table 4-4"),
        (E.E13, S5): Cell((A.IGNORE,), S5, 8),
        (E.E13, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E14, S1): Cell((A.ALERT_LOCKOUT,), S6, 8, "table 4-4"),
        (E.E14, S2): Cell((A.ALERT_LOCKOUT,), S6, 8, "table 4-4"),
        (E.E14, S3): Cell((A.ALERT_LOCKOUT,), S6, 8, "table 4-4"),
        (E.E14, S4): Cell((A.ALERT_LOCKOUT,), S6, 8, "table 4-4"),
        (E.E14, S5): Cell((A.IGNORE,), S5, 8),
        (E.E14, S6): Cell((A.IGNORE,), S6, 8, partly="4.3.2"),
        (E.E15, S1): Cell((A.ALERT_CLCW,), S6, 6),
        (E.E15, S2): Cell((A.ALERT_CLCW,), S6, 6),
        (E.E15, S3): Cell((A.ALERT_CLCW,), S6, 6),
        (E.E15, S4): Cell((A.ALERT_CLCW,), S6, 6),
        (E.E15, S5): Cell((A.ALERT_CLCW,), S6, 6),
        (E.E15, S6): Cell((A.IGNORE,), S6, 6, partly="4.3.2"),
        (E.E16, S1): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S1, 8, partly="5.1.9"),
        (E.E16, S2): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.9"),
        (E.E16, S3): Cell((A.IGNORE,), S3, 8),
        (E.E16, S4): Cell((A.ALERT_T1,), S6, 8),
        (E.E16, S5): Cell((A.RETRANSMIT_BC, A.LOOK_FOR_DIRECTIVE), S5, 7, partly="5.1.9"),
        (E.E16, S6): Cell((A.CANNOT_OCCUR,), S6, 2),
        (E.E104, S1): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S1, 8, partly="5.1.9"),
        (E.E104, S2): Cell((A.RETRANSMIT_AD, A.LOOK_FOR_FDU), S2, 8, partly="5.1.9"),
        (E.E104, S3): Cell((A.IGNORE,), S3, 8),
        (E.E104, S4): Cell((A.SUSPEND_4,), S6, 8),
        (E.E104, S5): Cell((A.RETRANSMIT_BC, A.LOOK_FOR_DIRECTIVE), S5, 6, partly="5.1.9"),
        (E.E104, S6): Cell((A.CANNOT_OCCUR,), S6, 2),
        (E.E17, S1): Cell((A.ALERT_T1,), S6, 8, "table 4-4"),
        (E.E17, S2): Cell((A.ALERT_T1,), S6, 8, "table 4-4"),
        (E.E17, S3): Cell((A.ALERT_T1,), S6, 8, "table 4-4"),
        (E.E17, S4): Cell((A.ALERT_T1,), S6, 8, "table 4-4"),
        (E.E17, S5): Cell((A.ALERT_T1,), S6, 8, "table 4-4"),
        (E.E17, S6): Cell((A.CANNOT_OCCUR,), S6, 2),
        (E.E18, S1): Cell((A.SUSPEND_1,), S6, 7, "4.3.3"),
        (E.E18, S2): Cell((A.SUSPEND_2,), S6, 7, "4.3.3"),
        (E.E18, S3): Cell((A.SUSPEND_3,), S6, 7, "4.3.3"),
        (E.E18, S4): Cell((A.SUSPEND_4,), S6, 8),
        (E.E18, S5): Cell((A.ALERT_T1,), S6, 7, "table 4-4"),
        (E.E18, S6): Cell((A.CANNOT_OCCUR,), S6, 2),
        (E.E19, S1): Cell((A.ADD_TO_WAIT_QUEUE, A.LOOK_FOR_FDU), S1, 8),
        (E.E19, S2): Cell((A.ADD_TO_WAIT_QUEUE, A.LOOK_FOR_FDU), S2, 8),
        (E.E19, S3): Cell((A.ADD_TO_WAIT_QUEUE,), S3, 8),
        (E.E19, S4): Cell((A.REJECT,), S4, 7),
        (E.E19, S5): Cell((A.REJECT,), S5, 7),
        (E.E19, S6): Cell((A.REJECT,), S6, 7, partly="5.1.2"),
        (E.E20, S1): Cell((A.REJECT,), S1, 7),
        (E.E20, S2): Cell((A.REJECT,), S2, 7),
        (E.E20, S3): Cell((A.REJECT,), S3, 7),
        (E.E20, S4): Cell((A.REJECT,), S4, 7),
        (E.E20, S5): Cell((A.REJECT,), S5, 7),
        (E.E20, S6): Cell((A.REJECT,), S6, 7, partly="5.1.2"),
        (E.E21, S1): Cell((A.ACCEPT, A.TRANSMIT_BD), S1, 5, "4.4"),
        (E.E21, S2): Cell((A.ACCEPT, A.TRANSMIT_BD), S2, 5, "4.4"),
        (E.E21, S3): Cell((A.ACCEPT, A.TRANSMIT_BD), S3, 5, "4.4"),
        (E.E21, S4): Cell((A.ACCEPT, A.TRANSMIT_BD), S4, 5, "4.4"),
        (E.E21, S5): Cell((A.ACCEPT, A.TRANSMIT_BD), S5, 5, "4.4"),
        (E.E21, S6): Cell((A.ACCEPT, A.TRANSMIT_BD), S6, 5, "4.4"),
        (E.E22, S1): Cell((A.REJECT,), S1, 5, "4.4"),
        (E.E22, S2): Cell((A.REJECT,), S2, 5, "4.4"),
        (E.E22, S3): Cell((A.REJECT,), S3, 5, "4.4"),
        (E.E22, S4): Cell((A.REJECT,), S4, 5, "4.4"),
        (E.E22, S5): Cell((A.REJECT,), S5, 5, "4.4"),
        (E.E22, S6): Cell((A.REJECT,), S6, 5, "4.4"),
        (E.E23, S1): Cell((A.REJECT,), S1, 7),
        (E.E23, S2): Cell((A.REJECT,), S2, 7),
        (E.E23, S3): Cell((A.REJECT,), S3, 7),
        (E.E23, S4): Cell((A.REJECT,), S4, 7),
        (E.E23, S5): Cell((A.REJECT,), S5, 7),
        (E.E23, S6): Cell((A.ACCEPT, A.INITIALIZE, A.CONFIRM), S1, 5, partly="5.1.2"),
        (E.E24, S1): Cell((A.REJECT,), S1, 7),
        (E.E24, S2): Cell((A.REJECT,), S2, 7),
        (E.E24, S3): Cell((A.REJECT,), S3, 7),
        (E.E24, S4): Cell((A.REJECT,), S4, 7),
        (E.E24, S5): Cell((A.REJECT,), S5, 7),
        (E.E24, S6): Cell((A.ACCEPT, A.INITIALIZE, A.START_TIMER), S4, 4),
        (E.E25, S1): Cell((A.REJECT,), S1, 7),
        (E.E25, S2): Cell((A.REJECT,), S2, 7),
        (E.E25, S3): Cell((A.REJECT,), S3, 7),
        (E.E25, S4): Cell((A.REJECT,), S4, 7),
        (E.E25, S5): Cell((A.REJECT,), S5, 7),
        (E.E25, S6): Cell((A.ACCEPT, A.INITIALIZE, A.TRANSMIT_UNLOCK), S5, 5),
        (E.E26, S1): Cell((A.REJECT,), S1, 6),
        (E.E26, S2): Cell((A.REJECT,), S2, 6),
        (E.E26, S3): Cell((A.REJECT,), S3, 6),
        (E.E26, S4): Cell((A.REJECT,), S4, 6),
        (E.E26, S5): Cell((A.REJECT,), S5, 6),
        (E.E26, S6): Cell((A.REJECT,), S6, 6),
        (E.E27, S1): Cell((A.REJECT,), S1, 7),
        (E.E27, S2): Cell((A.REJECT,), S2, 7),
        (E.E27, S3): Cell((A.REJECT,), S3, 7),
        (E.E27, S4): Cell((A.REJECT,), S4, 7),
        (E.E27, S5): Cell((A.REJECT,), S5, 7),
        (E.E27, S6): Cell((A.ACCEPT, A.INITIALIZE, A.VS_FROM_VR, A.NNR_FROM_VR, A.TRANSMIT_SET_VR), S5, 3),
        (E.E28, S1): Cell((A.REJECT,), S1, 6),
        (E.E28, S2): Cell((A.REJECT,), S2, 6),
        (E.E28, S3): Cell((A.REJECT,), S3, 6),
        (E.E28, S4): Cell((A.REJECT,), S4, 6),
        (E.E28, S5): Cell((A.REJECT,), S5, 6),
        (E.E28, S6): Cell((A.REJECT,), S6, 6),
        (E.E29, S1): Cell((A.ACCEPT, A.ALERT_TERM, A.CONFIRM), S6, 4, partly="5.1.2"),
        (E.E29, S2): Cell((A.ACCEPT, A.ALERT_TERM, A.CONFIRM), S6, 4, partly="5.1.2"),
        (E.E29, S3): Cell((A.ACCEPT, A.ALERT_TERM, A.CONFIRM), S6, 4, partly="5.1.2"),
        (E.E29, S4): Cell((A.ACCEPT, A.ALERT_TERM, A.CONFIRM), S6, 4, partly="5.1.2"),
        (E.E29, S5): Cell((A.ACCEPT, A.ALERT_TERM, A.CONFIRM), S6, 4, partly="5.1.2"),
        (E.E29, S6): Cell((A.ACCEPT, A.CONFIRM), S6, 5, partly="4.1"),
        (E.E30, S1): Cell((A.REJECT,), S1, 7),
        (E.E30, S2): Cell((A.REJECT,), S2, 7),
        (E.E30, S3): Cell((A.REJECT,), S3, 7),
        (E.E30, S4): Cell((A.REJECT,), S4, 7),
        (E.E30, S5): Cell((A.REJECT,), S5, 7),
        (E.E30, S6): Cell((A.REJECT,), S6, 7),
        (E.E31, S1): Cell((A.CANNOT_OCCUR,), S1, 2),
        (E.E31, S2): Cell((A.CANNOT_OCCUR,), S2, 2),
        (E.E31, S3): Cell((A.CANNOT_OCCUR,), S3, 2),
        (E.E31, S4): Cell((A.CANNOT_OCCUR,), S4, 2),
        (E.E31, S5): Cell((A.CANNOT_OCCUR,), S5, 2),
        (E.E31, S6): Cell((A.ACCEPT, A.RESUME, A.CONFIRM), S1, 4, "4.3.3"),
        (E.E32, S1): Cell((A.CANNOT_OCCUR,), S1, 2),
        (E.E32, S2): Cell((A.CANNOT_OCCUR,), S2, 2),
        (E.E32, S3): Cell((A.CANNOT_OCCUR,), S3, 2),
        (E.E32, S4): Cell((A.CANNOT_OCCUR,), S4, 2),
        (E.E32, S5): Cell((A.CANNOT_OCCUR,), S5, 2),
        (E.E32, S6): Cell((A.ACCEPT, A.RESUME, A.CONFIRM), S2, 4, "4.3.3"),
        (E.E33, S1): Cell((A.CANNOT_OCCUR,), S1, 2),
        (E.E33, S2): Cell((A.CANNOT_OCCUR,), S2, 2),
        (E.E33, S3): Cell((A.CANNOT_OCCUR,), S3, 2),
        (E.E33, S4): Cell((A.CANNOT_OCCUR,), S4, 2),
        (E.E33, S5): Cell((A.CANNOT_OCCUR,), S5, 2),
        (E.E33, S6): Cell((A.ACCEPT, A.RESUME, A.CONFIRM), S3, 4, "4.3.3"),
        (E.E34, S1): Cell((A.CANNOT_OCCUR,), S1, 2),
        (E.E34, S2): Cell((A.CANNOT_OCCUR,), S2, 2),
        (E.E34, S3): Cell((A.CANNOT_OCCUR,), S3, 2),
        (E.E34, S4): Cell((A.CANNOT_OCCUR,), S4, 2),
        (E.E34, S5): Cell((A.CANNOT_OCCUR,), S5, 2),
        (E.E34, S6): Cell((A.ACCEPT, A.RESUME, A.CONFIRM), S4, 4, "4.3.3"),
        (E.E35, S1): Cell((A.REJECT,), S1, 7),
        (E.E35, S2): Cell((A.REJECT,), S2, 7),
        (E.E35, S3): Cell((A.REJECT,), S3, 7),
        (E.E35, S4): Cell((A.REJECT,), S4, 7),
        (E.E35, S5): Cell((A.REJECT,), S5, 7),
        (E.E35, S6): Cell((A.SET_VS_UNLESS_SUSPENDED,), S6, 4),
        (E.E36, S1): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S1, 5),
        (E.E36, S2): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S2, 5),
        (E.E36, S3): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S3, 5),
        (E.E36, S4): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S4, 5),
        (E.E36, S5): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S5, 5),
        (E.E36, S6): Cell((A.ACCEPT, A.SET_WINDOW, A.CONFIRM), S6, 5),
        (E.E37, S1): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S1, 5),
        (E.E37, S2): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S2, 5),
        (E.E37, S3): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S3, 5),
        (E.E37, S4): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S4, 5),
        (E.E37, S5): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S5, 5),
        (E.E37, S6): Cell((A.ACCEPT, A.SET_T1, A.CONFIRM), S6, 5),
        (E.E38, S1): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S1, 5),
        (E.E38, S2): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S2, 5),
        (E.E38, S3): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S3, 5),
        (E.E38, S4): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S4, 5),
        (E.E38, S5): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S5, 5),
        (E.E38, S6): Cell((A.ACCEPT, A.SET_LIMIT, A.CONFIRM), S6, 5),
        (E.E39, S1): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S1, 5),
        (E.E39, S2): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S2, 5),
        (E.E39, S3): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S3, 5),
        (E.E39, S4): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S4, 5),
        (E.E39, S5): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S5, 5),
        (E.E39, S6): Cell((A.ACCEPT, A.SET_TIMEOUT_TYPE, A.CONFIRM), S6, 5),
        (E.E40, S1): Cell((A.REJECT,), S1, 5, "4.1"),
        (E.E40, S2): Cell((A.REJECT,), S2, 5, "4.1"),
        (E.E40, S3): Cell((A.REJECT,), S3, 5, "4.1"),
        (E.E40, S4): Cell((A.REJECT,), S4, 5, "4.1"),
        (E.E40, S5): Cell((A.REJECT,), S5, 5, "4.1"),
        (E.E40, S6): Cell((A.REJECT,), S6, 5, "4.1"),
        (E.E41, S1): Cell((A.AD_READY, A.LOOK_FOR_FDU), S1, 6, partly="5.1.5"),
        (E.E41, S2): Cell((A.AD_READY, A.LOOK_FOR_FDU), S2, 6, partly="5.1.5"),
        (E.E41, S3): Cell((A.AD_READY,), S3, 6),
        (E.E41, S4): Cell((A.AD_READY,), S4, 6),
        (E.E41, S5): Cell((A.AD_READY,), S5, 6),
        (E.E41, S6): Cell((A.AD_READY,), S6, 6),
        (E.E42, S1): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E42, S2): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E42, S3): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E42, S4): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E42, S5): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E42, S6): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E43, S1): Cell((A.BC_READY,), S1, 6),
        (E.E43, S2): Cell((A.BC_READY,), S2, 6),
        (E.E43, S3): Cell((A.BC_READY,), S3, 6),
        (E.E43, S4): Cell((A.BC_READY,), S4, 6),
        (E.E43, S5): Cell((A.BC_READY, A.LOOK_FOR_DIRECTIVE), S5, 6, partly="5.1.5"),
        (E.E43, S6): Cell((A.BC_READY,), S6, 6),
        (E.E44, S1): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E44, S2): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E44, S3): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E44, S4): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E44, S5): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E44, S6): Cell((A.ALERT_LLIF,), S6, 7, partly="4.3.2"),
        (E.E45, S1): Cell((A.BD_READY, A.ACCEPT), S1, 2),
        (E.E45, S2): Cell((A.BD_READY, A.ACCEPT), S2, 2),
        (E.E45, S3): Cell((A.BD_READY, A.ACCEPT), S3, 2),
        (E.E45, S4): Cell((A.BD_READY, A.ACCEPT), S4, 2),
        (E.E45, S5): Cell((A.BD_READY, A.ACCEPT), S5, 2),
        (E.E45, S6): Cell((A.BD_READY, A.ACCEPT), S6, 2),
        (E.E46, S1): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E46, S2): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E46, S3): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E46, S4): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E46, S5): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
        (E.E46, S6): Cell((A.ALERT_LLIF,), S6, 6, partly="4.3.2"),
    }
)
