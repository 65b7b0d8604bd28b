"""FOP-1: every cell of the table against a twin that follows the published cells token by token; runs; refusals."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccsds.errors import ConfigurationError, ProtocolError, TruncatedError
from ccsds.frames.operational_control_field import Clcw, Type2Report
from ccsds.procedures import fop1_primitives as p
from ccsds.procedures.cop1 import FrameType, SetVr, Unlock
from ccsds.procedures.fop1 import Fop1, Fop1Parameters
from ccsds.procedures.fop1_primitives import Event, Fop1State, Notification, ServiceType, TimeoutType
from ccsds.procedures.fop1_table import TABLE, Action
from ccsds.testing import load_vectors
from ccsds.testing.reference_fop1 import CANNOT_OCCUR, CELLS, CHOICES, ReferenceFop1, published

CASES = load_vectors("232.1-B-2/fop1.toml")
RUNS = [case for case in CASES if case["kind"] == "run"]
T1 = 1000
TOKENS = {
    "IGN": "IGNORE", "RM": "REMOVE_ACKNOWLEDGED", "CAN": "CANCEL_TIMER", "LOOK": "LOOK_FOR_FDU",
    "LOOKD": "LOOK_FOR_DIRECTIVE", "RTX": "RETRANSMIT_AD", "RTXBC": "RETRANSMIT_BC", "ADDW": "ADD_TO_WAIT_QUEUE",
    "REJ": "REJECT", "ACC": "ACCEPT", "CONF": "CONFIRM", "INIT": "INITIALIZE", "START": "START_TIMER",
    "TXUNL": "TRANSMIT_UNLOCK", "TXSVR": "TRANSMIT_SET_VR", "TXBD": "TRANSMIT_BD", "RES": "RESUME",
    "REL": "RELEASE_BC", "ADRDY": "AD_READY", "BCRDY": "BC_READY", "BDRDY": "BD_READY", "K:=q": "SET_WINDOW",
    "T1:=q": "SET_T1", "LIM:=q": "SET_LIMIT", "TT:=q": "SET_TIMEOUT_TYPE", "VS:=V*R": "VS_FROM_VR",
    "NNR:=V*R": "NNR_FROM_VR", "SS=0: ACC VS:=V*S NNR:=V*S CONF; else REJ": "SET_VS_UNLESS_SUSPENDED",
    **{f"SUSP[{number}]": f"SUSPEND_{number}" for number in (1, 2, 3, 4)},
    **{f"ALERT[{reason.name}]": f"ALERT_{reason.name}" for reason in p.AlertReason},
}  # fmt: skip

DIRECTIVES: dict[str, Any] = {
    "E23": lambda value: p.InitiateAdWithoutClcwCheck(),
    "E24": lambda value: p.InitiateAdWithClcwCheck(),
    "E25": lambda value: p.InitiateAdWithUnlock(),
    "E27": p.InitiateAdWithSetVr,
    "E29": lambda value: p.TerminateAd(),
    "E30": lambda value: p.ResumeAd(),
    "E35": p.SetVs,
    "E36": p.SetSlidingWindowWidth,
    "E37": p.SetT1Initial,
    "E38": p.SetTransmissionLimit,
    "E39": lambda value: p.SetTimeoutType(TimeoutType(value)),
    "E40": lambda value: p.SetSlidingWindowWidth(0),
}


def said(fop: Fop1) -> list[tuple[Any, ...]]:
    """What FOP-1 told the higher procedures, in the twin's words."""
    words: list[tuple[Any, ...]] = []
    for event in iter(fop.poll_event, None):
        match event:
            case p.TransferNotification(identifier, notification) | p.DirectiveNotification(identifier, notification):
                words.append((identifier, notification.value))
            case p.Alert(reason, at, state):
                words.append(("alert", reason.name, at.name, state.value))
            case p.Suspended(number):
                words.append(("suspend", number))
    return words


def out(fop: Fop1) -> list[tuple[Any, ...]]:
    """What FOP-1 asked of the lower procedures, in the twin's words."""
    words: list[tuple[Any, ...]] = []
    for request in iter(fop.poll_transmit, None):
        if isinstance(request, p.Abort):
            words.append(("abort",))
        else:
            frame = request.frame
            words.append((frame.frame_type.name, frame.frame_sequence_number, request.request_id, frame.octets))
    return words


def variables(fop: Fop1) -> tuple[Any, ...]:
    return (
        fop.state.value,
        fop.transmitter_sequence_number,
        fop.expected_acknowledgement,
        fop.sliding_window_width,
        fop.t1_initial_ns,
        fop.transmission_limit,
        int(fop.timeout_type),
        fop.transmission_count,
        fop.suspend_state,
        fop.poll_timeout(),
        fop.is_wait_queue_free,
        fop.outstanding_frames,
    )


def twin_variables(twin: ReferenceFop1) -> tuple[Any, ...]:
    return (
        *(twin.state, twin.vs, twin.nn, twin.k, twin.t1, twin.limit, twin.tt, twin.count, twin.ss, twin.timer),
        *(twin.wait is None, len(twin.sent)),
    )


def parameters(window: int = 3, limit: int = 3, **more: Any) -> Fop1Parameters:
    return Fop1Parameters(
        **{"virtual_channel_id": 0, "sliding_window_width": window, "t1_initial_ns": T1, "transmission_limit": limit}
        | more
    )


class Both:
    """FOP-1 and its twin, given the same, held to say the same."""

    def __init__(self, window: int = 3, limit: int = 3) -> None:
        self.fop, self.twin, self.now = Fop1(parameters(window, limit)), ReferenceFop1(window, limit, T1), 0

    def check(self, event: str) -> str:
        assert variables(self.fop) == twin_variables(self.twin), event
        assert said(self.fop) == self.twin.said, event
        assert out(self.fop) == self.twin.out, event
        self.twin.said, self.twin.out = [], []
        return event

    def clcw(self, nr: int, lockout: int = 0, wait: int = 0, retransmit: int = 0) -> str:
        word = Clcw(
            virtual_channel_id=0, report_value=nr, lockout_flag=lockout, wait_flag=wait, retransmit_flag=retransmit
        )
        self.fop.handle_clcw(word, now_ns=self.now)
        return self.check(self.twin.handle_clcw(word, self.now))

    def invalid_clcw(self) -> str:
        self.fop.handle_operational_control_field(bytes.fromhex("21000000"), now_ns=self.now)
        self.twin.apply("E15", self.now)
        return self.check("E15")

    def timeout(self) -> str:
        if self.twin.timer is not None:
            self.now = max(self.now, self.twin.timer)
        self.fop.handle_timeout(self.now)
        return self.check(self.twin.handle_timeout(self.now))

    def transfer(self, octets: bytes, service: ServiceType) -> str:
        identifier = self.fop.transfer(octets, service=service, now_ns=self.now)
        event = self.twin.transfer(octets, service.name, self.now)
        assert identifier == self.twin.last
        return self.check(event)

    def direct(self, event: str, value: int = 1) -> str:
        self.fop.direct(DIRECTIVES[event](value), now_ns=self.now)
        return self.check(self.twin.direct(event, value, self.now))

    def respond(self, frame_type: FrameType, accepted: bool) -> str:
        self.fop.handle_lower_layer_response(frame_type, accepted=accepted, now_ns=self.now)
        return self.check(self.twin.respond(frame_type.name, accepted, self.now))


# -- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1: every cell present")
def test_the_table_has_every_cell_and_no_other() -> None:
    assert set(TABLE) == set(itertools.product(Event, Fop1State))
    assert len(TABLE) == len(CELLS) == 300
    assert {key for key, case in CELLS.items() if case["actions"] == ["n/a"]} == set(CHOICES) | CANNOT_OCCUR


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1: every cell present")
@pytest.mark.parametrize("cell", TABLE, ids=lambda cell: f"{cell[0].name}-{cell[1].value}")
def test_each_cell_is_the_published_one(cell: tuple[Event, Fop1State]) -> None:
    key, ours = (cell[0].name, cell[1].value), TABLE[cell]
    if key in CANNOT_OCCUR:
        assert (ours.actions, ours.next_state) == ((Action.CANNOT_OCCUR,), cell[1])
        return
    tokens, following = published(*key)
    assert [action.name for action in ours.actions] == [TOKENS[token] for token in tokens]
    assert ours.next_state.value == following
    case = CELLS[key]
    assert ours.is_choice == (key in CHOICES)
    assert ours.implementations == (0 if key in CHOICES else case["n_agree"])
    assert not (ours.clause and ours.partly)
    if "text" in case:
        assert ours.clause or ours.partly


def prepared(event: str, state: str, *, waiting: bool, ad_ready: bool, at: int) -> Both:
    """Both in a state in which the event can happen: V(S) two ahead of NN(R), which is `at`."""
    both = Both(limit=1 if event in ("E101", "E102") else 4)
    fop, twin = both.fop, both.twin
    if state in ("S1", "S2", "S3") or state == "S5":
        both.direct("E35", at)
        both.direct("E23" if state != "S5" else "E25")
        if state == "S5":
            both.respond(FrameType.BC, True)
    else:
        both.direct("E35", at)
    for octets in (b"first", b"second") if state in ("S1", "S2", "S3") else ():
        both.transfer(octets, ServiceType.AD)
        both.respond(FrameType.AD, True)
    if event not in ("E1", "E24") and state in ("S4", "S5", "S6"):
        fop.transmitter_sequence_number = twin.vs = (at + 2) % 256  # as after an alert with two frames outstanding
    if event == "E1" and state in ("S1", "S2", "S3"):
        both.clcw(twin.vs)
    fop.state, twin.state = Fop1State(state), state
    if state == "S4":
        fop._initiating, twin.pending = fop._new_request(directive=p.InitiateAdWithClcwCheck()), twin.fresh()
        fop._timer = twin.timer = both.now + T1
    if event == "E20" or (waiting and event != "E19" and state in ("S1", "S2", "S3")):
        fop._wait_queue, twin.wait = fop._new_request(fdu=b"waits"), (twin.fresh(), b"waits")
    if not ad_ready:
        fop._ready[FrameType.AD] = twin.ready["AD"] = False
    if event in ("E12", "E103", "E17", "E18"):
        fop.transmission_count = twin.count = 4
    if event in ("E104", "E18"):
        fop.timeout_type, twin.tt = TimeoutType.SUSPEND, 1
    return both


def provoke(both: Both, event: str) -> str:
    """Make an event happen through the public face; its name as the twin saw it."""
    fop, twin, nn, vs = both.fop, both.twin, both.twin.nn, both.twin.vs
    later = (nn + 1) % 256
    number = int(event[1:])
    words = {
        "E1": (vs, 0, 0, 0), "E2": (vs, 0, 0, 0), "E3": (vs, 0, 1, 0), "E4": (vs, 0, 0, 1), "E5": (nn, 0, 0, 0),
        "E6": (later, 0, 0, 0), "E7": (nn, 0, 1, 0), "E101": (later, 0, 0, 1), "E102": (nn, 0, 0, 1),
        "E8": (later, 0, 0, 1), "E9": (later, 0, 1, 1), "E10": (nn, 0, 0, 1), "E11": (nn, 0, 1, 1),
        "E12": (nn, 0, 0, 1), "E103": (nn, 0, 1, 1), "E13": ((vs + 1) % 256, 0, 0, 0), "E14": (vs, 1, 1, 1),
    }  # fmt: skip
    if event in words:
        return both.clcw(*words[event])
    if event == "E15":
        return both.invalid_clcw()
    if event in ("E16", "E104", "E17", "E18"):
        if twin.timer is None:
            fop._timer = twin.timer = both.now + 1
        return both.timeout()
    if event in ("E19", "E20"):
        return both.transfer(b"asked", ServiceType.AD)
    if event in ("E21", "E22"):
        fop._ready[FrameType.BD] = twin.ready["BD"] = event == "E21"
        return both.transfer(b"asked", ServiceType.BD)
    if number in (25, 26, 27, 28):
        fop._ready[FrameType.BC] = twin.ready["BC"] = number in (25, 27)
        return both.direct(f"E{number - (number % 2 == 0)}", 77)
    if 30 <= number <= 34:
        fop.suspend_state = twin.ss = number - 30
        return both.direct("E30")
    if number >= 41:
        frame_type = (FrameType.AD, FrameType.BC, FrameType.BD)[(number - 41) // 2]
        fop._ready[frame_type] = twin.ready[frame_type.name] = False
        if frame_type is FrameType.BD:
            fop._bd_request_id = twin.bd = 5
        return both.respond(frame_type, number % 2 == 1)
    return both.direct(event, 1)


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E1 to E4: CLCW acknowledges all frames sent")
@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E5 to E12, E101 to E103: CLCW acknowledges some or none"
)
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E13 to E15: N(R) out of range, lockout, invalid CLCW")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E16, E104, E17, E18: timer expired")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E19 to E22: requests to transfer an FDU")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E23 to E28: initiate AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E29: terminate AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E30 to E34: resume AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E35 to E40: set directives, invalid directive")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1, E41 to E46: lower layer accepts or rejects")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service without CLCW check")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with CLCW check")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with Set V(R)")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: terminate AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: resume AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set V(S)")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set FOP sliding window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set T1 initial")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set transmission limit")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set timeout type")
@pytest.mark.parametrize("cell", sorted(set(CELLS) - CANNOT_OCCUR), ids="-".join)
def test_each_cell_does_what_it_says(cell: tuple[str, str]) -> None:
    event, state = cell
    for waiting, ad_ready, at in itertools.product((False, True), (False, True), (0, 7, 254, 255)):
        both = prepared(event, state, waiting=waiting, ad_ready=ad_ready, at=at)
        assert both.twin.state == state
        assert provoke(both, event) == event
        assert both.fop.state.value == published(event, state)[1]


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set V(S)")
@pytest.mark.parametrize("suspend_state", [1, 2, 3, 4])
def test_set_vs_is_rejected_while_suspended(suspend_state: int) -> None:
    both = Both()
    both.fop.suspend_state = both.twin.ss = suspend_state
    both.direct("E35", 9)
    assert both.fop.transmitter_sequence_number == 0


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 table 5-1: every cell present")
@pytest.mark.parametrize("cell", sorted(CANNOT_OCCUR), ids="-".join)
def test_what_cannot_occur_is_a_defect_of_ours(cell: tuple[str, str]) -> None:
    fop = Fop1(parameters())
    fop.state = Fop1State(cell[1])
    with pytest.raises(AssertionError, match=f"{cell[0]} in "):
        fop._step(Event[cell[0]], 0)


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: timeout type")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 timer, transmission count and limit, timeout type 0 and 1")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["id"])
def test_published_runs(run: dict[str, Any]) -> None:
    fop = Fop1(parameters(limit=run["transmission_limit"], timeout_type=TimeoutType(run["timeout_type"])))
    fop.direct(p.InitiateAdWithoutClcwCheck(), now_ns=0)
    fop.transfer(b"fdu", now_ns=0)
    fop.handle_lower_layer_response(FrameType.AD, accepted=True, now_ns=0)
    init = run["init"]
    assert (fop.state.value, fop.transmitter_sequence_number) == (init["state"], init["vs"])
    assert (fop.transmission_count, fop.outstanding_frames) == (init["count"], init["sent_queue"])
    said(fop)
    for step in run["steps"]:
        if step.startswith("clcw report="):
            fop.handle_clcw(Clcw(virtual_channel_id=0, report_value=int(step[12])), now_ns=0)
            assert (fop.outstanding_frames, fop.transmission_count) == (0, 1)
            continue
        due = fop.poll_timeout()
        assert due is not None
        fop.handle_timeout(due - 1)  # too early: nothing happens
        assert fop.poll_timeout() == due
        fop.handle_timeout(due)
        words = said(fop)
        match step.removeprefix("tick->").split():
            case ["count2"] | ["count3"]:
                assert fop.transmission_count == int(step[-1])
            case ["ALERT", "S6", *more]:
                assert words[-1][:2] == ("alert", "T1")
                assert fop.state is Fop1State.INITIAL
                assert not more or fop.transmission_count == 1
            case ["SUSP", "S6", "SS=1"]:
                assert words == [("suspend", 1)]
                assert (fop.state, fop.suspend_state) == (Fop1State.INITIAL, 1)
            case other:
                raise AssertionError(other)


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: resume AD service")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 suspend and resume")
def test_suspend_keeps_the_queues_and_resume_goes_on() -> None:
    both = Both(limit=1)
    both.direct("E39", 1)
    both.direct("E23")
    for octets in (b"a", b"b"):
        both.transfer(octets, ServiceType.AD)
        both.respond(FrameType.AD, True)
    assert both.timeout() == "E18"
    assert (both.fop.state, both.fop.outstanding_frames, both.fop.is_stalled) == (Fop1State.INITIAL, 2, True)
    assert both.direct("E30") == "E31"
    assert (both.fop.state, both.fop.outstanding_frames, both.fop.is_stalled) == (Fop1State.ACTIVE, 2, False)
    assert both.clcw(2) == "E2"


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 suspend and resume")
def test_a_suspended_initiation_goes_on_or_is_answered_when_replaced() -> None:
    both = Both()
    both.direct("E39", 1)
    both.direct("E24")
    assert both.timeout() == "E104"
    both.direct("E30")
    assert both.clcw(0) == "E1"
    both.direct("E29")
    both.direct("E24")
    both.timeout()
    both.direct("E23")  # the twin says that the suspended one is confirmed negatively
    assert both.fop.state is Fop1State.ACTIVE


# -- what is not for us, and what is wrong -----------------------------------------------------------------------------


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "CLCWs of another virtual channel or COP, and OCFs of type 2, ignored")
@pytest.mark.parametrize("octets", ["00000000", "01040000", "03000000", "80000000", "a1000000", "23000000"])
def test_words_of_others_are_ignored_in_every_state(octets: str) -> None:
    for state in Fop1State:
        fop = Fop1(parameters())
        fop.state = state
        fop.handle_operational_control_field(bytes.fromhex(octets), now_ns=0)
        assert (fop.state, fop.ignored_operational_control_fields, said(fop)) == (state, 1, [])
    fop = Fop1(parameters())
    fop.handle_clcw(Clcw(virtual_channel_id=1, report_value=0), now_ns=0)
    fop.handle_clcw(Clcw(virtual_channel_id=0, report_value=0, cop_in_effect=0), now_ns=0)
    fop.handle_clcw(Type2Report(report=b"\x80\0\0\0"), now_ns=0)
    assert fop.ignored_operational_control_fields == 3


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with CLCW check")
def test_status_and_spare_bits_are_not_looked_at() -> None:
    fop = Fop1(parameters())
    fop.direct(p.InitiateAdWithClcwCheck(), now_ns=0)
    fop.handle_operational_control_field(bytes.fromhex("1d03c700"), now_ns=0)
    assert fop.state is Fop1State.ACTIVE


@pytest.mark.parametrize("octets", [b"", b"\1\0\0", b"\1\0\0\0\0"])
def test_a_field_of_another_length_is_the_callers_mistake(octets: bytes) -> None:
    with pytest.raises((TruncatedError, ValueError)):
        Fop1(parameters()).handle_operational_control_field(octets, now_ns=0)


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: set FOP sliding window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directives out of range rejected")
@pytest.mark.parametrize(
    "directive",
    [
        p.InitiateAdWithSetVr(256), p.InitiateAdWithSetVr(-1), p.SetVs(256), p.SetSlidingWindowWidth(0),
        p.SetSlidingWindowWidth(6), p.SetTransmissionLimit(0), p.SetTransmissionLimit(256), p.SetT1Initial(0),
        p.SetTimeoutType(2), p.SetVs("1"), "resume",
    ],
)  # fmt: skip
def test_an_invalid_directive_is_rejected(directive: Any) -> None:
    fop = Fop1(parameters(farm_positive_window_width=5))
    identifier = fop.direct(directive, now_ns=0)
    assert said(fop) == [(identifier, "reject")]
    fop.direct(p.SetSlidingWindowWidth(5), now_ns=0)
    assert fop.sliding_window_width == 5


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: sliding window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: T1 initial")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: transmission limit")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: timeout type")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 managed parameter: virtual channel identifier")
@pytest.mark.parametrize(
    "wrong",
    [
        {"virtual_channel_id": 64}, {"sliding_window_width": 0}, {"sliding_window_width": 256}, {"t1_initial_ns": 0},
        {"transmission_limit": 0}, {"transmission_limit": 256}, {"timeout_type": 2},
        {"sliding_window_width": 6, "farm_positive_window_width": 5}, {"farm_positive_window_width": 0},
    ],
)  # fmt: skip
def test_parameters_that_contradict_the_standard(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"FOP-1: \w+ is .*, not .* \[CCSDS 232\.1-B-2 §"):
        parameters(**wrong)
    with pytest.raises(ConfigurationError, match="transmitter_sequence_number"):
        Fop1(parameters(), transmitter_sequence_number=256)


def test_an_answer_without_a_question_is_the_callers_mistake() -> None:
    for frame_type in FrameType:
        with pytest.raises(ProtocolError, match="waits for an answer"):
            Fop1(parameters()).handle_lower_layer_response(frame_type, accepted=True, now_ns=0)


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with Unlock")
@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 directive: initiate AD service with Set V(R)")
def test_after_a_rejected_frame_the_channel_can_be_used_again() -> None:
    fop = Fop1(parameters())
    for directive, octets in (
        (p.InitiateAdWithUnlock(), Unlock().encode()),
        (p.InitiateAdWithSetVr(3), SetVr(3).encode()),
    ):
        fop.direct(directive, now_ns=0)
        request = fop.poll_transmit()
        assert isinstance(request, p.TransmitRequest)
        assert request.frame.octets == octets
        fop.handle_lower_layer_response(FrameType.BC, accepted=False, now_ns=0)
        assert said(fop)[-1][:2] == ("alert", "LLIF")


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 sliding window")
def test_stale_acknowledgements_free_the_window() -> None:
    both = Both(window=2)
    both.direct("E23")
    for octets in (b"a", b"b"):
        both.transfer(octets, ServiceType.AD)
        both.respond(FrameType.AD, True)
    both.direct("E29")
    both.direct("E23")
    both.transfer(b"c", ServiceType.AD)
    assert both.fop.is_stalled  # NN(R) still stands at the purged frames, so the window is full
    assert both.clcw(2) == "E2"
    assert (both.fop.is_stalled, both.fop.outstanding_frames) == (False, 1)
    assert both.clcw(3) == "E2"


# -- the twin beside it, in any order of anything ----------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Random calls: FOP-1 and its twin agree after each, and what must always hold does."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Both(window=2)
        self.answers: dict[int, list[str]] = {}
        self.services: dict[int, str] = {}

    def collect(self, call: Any) -> None:
        original, words = self.both.twin.said, []
        assert not original
        check = self.both.check

        def checked(event: str) -> str:
            words.extend(self.both.twin.said)
            return check(event)

        self.both.check = checked  # type: ignore[method-assign]
        try:
            call()
        finally:
            self.both.check = check  # type: ignore[method-assign]
        for word in words:
            if isinstance(word[0], int):
                self.answers.setdefault(word[0], []).append(word[1])

    @rule(
        ahead=st.integers(-1, 3),
        flags=st.sampled_from([(0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0)]),
    )
    def clcw(self, ahead: int, flags: tuple[int, int, int]) -> None:
        self.collect(lambda: self.both.clcw((self.both.twin.nn + ahead) % 256, *flags))

    @rule(flags=st.sampled_from([(0, 0, 0), (0, 0, 0), (0, 0, 1)]))
    def clcw_of_all(self, flags: tuple[int, int, int]) -> None:
        self.collect(lambda: self.both.clcw(self.both.twin.vs, *flags))

    @rule()
    def invalid(self) -> None:
        self.collect(self.both.invalid_clcw)

    @rule()
    def timeout(self) -> None:
        self.collect(self.both.timeout)

    @rule(wait=st.integers(0, 2 * T1))
    def time_goes_on(self, wait: int) -> None:
        timer = self.both.twin.timer
        self.both.now = min(
            self.both.now + wait, self.both.now + wait if timer is None else max(self.both.now, timer - 1)
        )

    @rule(octets=st.binary(max_size=2), service=st.sampled_from([ServiceType.AD, ServiceType.AD, ServiceType.BD]))
    def transfer(self, octets: bytes, service: ServiceType) -> None:
        self.services[self.both.twin.last + 1] = service.name
        self.collect(lambda: self.both.transfer(octets, service))

    @rule(event=st.sampled_from(["E23", "E24", "E25", "E27", "E29", "E30", "E35", "E40"]), value=st.integers(0, 255))
    def directive(self, event: str, value: int) -> None:
        self.services[self.both.twin.last + 1] = "directive"
        self.collect(lambda: self.both.direct(event, value))

    @rule(event=st.sampled_from(["E36", "E37", "E38"]), value=st.integers(1, 4))
    def setting(self, event: str, value: int) -> None:
        self.services[self.both.twin.last + 1] = "directive"
        self.collect(lambda: self.both.direct(event, value))

    @rule(value=st.integers(0, 1))
    def timeout_type(self, value: int) -> None:
        self.services[self.both.twin.last + 1] = "directive"
        self.collect(lambda: self.both.direct("E39", value))

    @precondition(lambda self: not all(self.both.twin.ready.values()))
    @rule(data=st.data(), accepted=st.sampled_from([True, True, True, False]))
    def respond(self, data: st.DataObject, accepted: bool) -> None:
        kind = data.draw(st.sampled_from([kind for kind, ready in self.both.twin.ready.items() if not ready]))
        self.collect(lambda: self.both.respond(FrameType[kind], accepted))

    @invariant()
    def every_request_is_answered_in_order(self) -> None:
        twin = self.both.twin
        open_requests = {entry[2] for entry in twin.sent} | ({twin.wait[0]} if twin.wait else set()) | {twin.pending}
        for identifier, service in self.services.items():
            answers = self.answers.get(identifier, [])
            if service == "BD":
                assert answers in (["accept"], ["accept", "accept"], ["reject"])
            elif service == "AD":
                done = [["reject"], ["accept", "positive confirm"], ["accept", "negative confirm"]]
                assert answers in done if identifier not in open_requests else answers in ([], ["accept"])
            else:
                done = [["reject"], ["accept", "positive confirm"], ["accept", "negative confirm"]]
                assert answers in done if identifier not in open_requests else answers == ["accept"]

    @invariant()
    def the_window_holds(self) -> None:
        fop = self.both.fop
        numbers = [sent.request.frame.frame_sequence_number for sent in fop._sent_queue]
        if fop.state in (Fop1State.ACTIVE, Fop1State.RETRANSMIT_WITHOUT_WAIT, Fop1State.RETRANSMIT_WITH_WAIT):
            count = len(numbers)
            assert numbers == [(fop.transmitter_sequence_number - count + step) % 256 for step in range(count)]
        assert fop.poll_timeout() is None or fop.state is not Fop1State.INITIAL
        assert (fop.suspend_state == 0) or fop.state is Fop1State.INITIAL


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_any_order_of_anything = AnyOrder.TestCase


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 notifications: accept, reject, positive and negative confirm")
def test_notifications_have_the_names_of_the_standard() -> None:
    assert {one.value for one in Notification} == {"accept", "reject", "positive confirm", "negative confirm"}
