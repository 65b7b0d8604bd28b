"""COP-1 against the clauses of CCSDS 232.1-B-2 that could be read (docs/cop1-text.toml), each from its prose alone."""

from __future__ import annotations

from typing import Any

import pytest

from ccsds.errors import ConfigurationError
from ccsds.frames.operational_control_field import Clcw
from ccsds.procedures import fop1_primitives as p
from ccsds.procedures.cop1 import Cop1Frame, FrameType, SetVr, Unlock
from ccsds.procedures.farm1 import Farm1, Farm1Parameters, Farm1State, FduArrived
from ccsds.procedures.fop1 import Fop1, Fop1Parameters
from ccsds.procedures.fop1_primitives import AlertReason, Fop1State, Notification, ServiceType, TimeoutType

T1 = 1000
INITIATIONS = [p.InitiateAdWithClcwCheck(), p.InitiateAdWithUnlock(), p.InitiateAdWithSetVr(9)]


class Bench:
    """One FOP-1 whose lower procedures take each frame at once, unless told otherwise."""

    def __init__(self, *, limit: int = 3, timeout_type: TimeoutType = TimeoutType.ALERT, active: bool = True) -> None:
        self.fop = Fop1(
            Fop1Parameters(
                virtual_channel_id=0,
                sliding_window_width=4,
                t1_initial_ns=T1,
                transmission_limit=limit,
                timeout_type=timeout_type,
            )
        )
        self.now = 0
        if active:
            self.fop.direct(p.InitiateAdWithoutClcwCheck(), now_ns=0)
            self.events()

    def send(self, *units: bytes) -> list[int]:
        identifiers = []
        for unit in units:
            identifiers.append(self.fop.transfer(unit, now_ns=self.now))
            self.carry()
        return identifiers

    def carry(self) -> list[bytes]:
        """What goes out while every frame is accepted."""
        out = []
        for request in iter(self.fop.poll_transmit, None):
            if isinstance(request, p.TransmitRequest):
                out.append(request.frame.octets)
                self.fop.handle_lower_layer_response(request.frame.frame_type, accepted=True, now_ns=self.now)
        return out

    def clcw(self, report_value: int, **flags: int) -> None:
        self.fop.handle_clcw(Clcw(virtual_channel_id=0, report_value=report_value, **flags), now_ns=self.now)

    def expire(self) -> None:
        due = self.fop.poll_timeout()
        assert due is not None
        self.now = due
        self.fop.handle_timeout(due)

    def events(self) -> list[p.Fop1Event]:
        return list(iter(self.fop.poll_event, None))


def alerts(events: list[p.Fop1Event]) -> list[AlertReason]:
    return [event.reason for event in events if isinstance(event, p.Alert)]


# -- section 4: directives and notifications ---------------------------------------------------------------------------


@pytest.mark.conforms("CCSDS 232.1-B-2", "4.1", "an unknown directive is rejected in every state")
@pytest.mark.parametrize("state", Fop1State)
def test_any_other_directive_is_rejected(state: Fop1State) -> None:
    bench = Bench()
    bench.fop.state = state
    identifier = bench.fop.direct("stop", now_ns=0)  # type: ignore[arg-type]
    assert bench.events() == [p.DirectiveNotification(identifier, Notification.REJECT)]
    assert bench.fop.state is state


@pytest.mark.conforms("CCSDS 232.1-B-2", "4.1", "Terminate while suspended is accepted and changes nothing")
def test_terminate_does_not_end_a_suspension() -> None:
    bench = Bench(limit=1, timeout_type=TimeoutType.SUSPEND)
    (fdu,) = bench.send(b"kept")
    bench.expire()
    bench.events()
    identifier = bench.fop.direct(p.TerminateAd(), now_ns=bench.now)
    assert [event.notification for event in bench.events() if event.request_id == identifier] == [  # type: ignore[union-attr]
        Notification.ACCEPT,
        Notification.POSITIVE_CONFIRM,
    ]
    assert (bench.fop.state, bench.fop.suspend_state, bench.fop.outstanding_frames) == (Fop1State.INITIAL, 1, 1)
    bench.fop.direct(p.ResumeAd(), now_ns=bench.now)
    bench.clcw(1)
    assert p.TransferNotification(fdu, Notification.POSITIVE_CONFIRM) in bench.events()


WORDS = [(0, {}), (1, {}), (0, {"wait_flag": 1}), (0, {"retransmit_flag": 1}), (9, {}), (0, {"lockout_flag": 1})]


@pytest.mark.conforms("CCSDS 232.1-B-2", "4.3.2", "one alert until AD service is initiated again, LLIF excepted")
@pytest.mark.parametrize("first", WORDS[2:])
def test_after_an_alert_there_is_no_other(first: tuple[int, dict[str, int]]) -> None:
    bench = Bench()
    bench.send(b"a")
    bench.clcw(first[0], **first[1])
    if bench.fop.state is not Fop1State.INITIAL:
        bench.clcw(0)  # Retransmit has gone, and nothing is acknowledged
    assert len(alerts(bench.events())) == 1
    for value, flags in WORDS:
        bench.clcw(value, **flags)
    bench.fop.handle_operational_control_field(bytes.fromhex("21000000"), now_ns=bench.now)
    bench.fop.direct(p.TerminateAd(), now_ns=bench.now)
    assert alerts(bench.events()) == []
    bench.fop.transfer(b"expedited", service=ServiceType.BD, now_ns=bench.now)
    bench.fop.handle_lower_layer_response(FrameType.BD, accepted=False, now_ns=bench.now)
    assert alerts(bench.events()) == [AlertReason.LLIF]


@pytest.mark.conforms("CCSDS 232.1-B-2", "4.3.3", "suspension keeps what is queued; Resume returns to the state before")
@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ({}, Fop1State.ACTIVE),
        ({"retransmit_flag": 1}, Fop1State.RETRANSMIT_WITHOUT_WAIT),
        ({"retransmit_flag": 1, "wait_flag": 1}, Fop1State.RETRANSMIT_WITH_WAIT),
    ],
)
def test_suspend_and_resume(flags: dict[str, int], state: Fop1State) -> None:
    bench = Bench(limit=2, timeout_type=TimeoutType.SUSPEND)
    bench.send(b"a", b"b")
    bench.expire()  # the second transmission, so that the limit is reached
    assert bench.carry() == [b"a", b"b"]
    bench.clcw(0, **flags)
    assert bench.fop.state is state
    bench.events()
    bench.expire()
    assert [type(event) for event in bench.events()] == [p.Suspended]
    assert (bench.fop.state, bench.fop.outstanding_frames) == (Fop1State.INITIAL, 2)
    assert bench.carry() == []
    bench.fop.direct(p.ResumeAd(), now_ns=bench.now)
    assert (bench.fop.state, bench.fop.outstanding_frames, bench.fop.suspend_state) == (state, 2, 0)
    assert bench.fop.poll_timeout() == bench.now + T1


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "4.4", "BD: accepted and sent once, or rejected; no queue, no retransmission, no timer"
)
@pytest.mark.parametrize("state", Fop1State)
def test_a_bd_unit_is_sent_once_or_rejected(state: Fop1State) -> None:
    bench = Bench()
    bench.fop.state = state
    first = bench.fop.transfer(b"one", service=ServiceType.BD, now_ns=0)
    second = bench.fop.transfer(b"two", service=ServiceType.BD, now_ns=0)
    assert bench.events() == [
        p.TransferNotification(first, Notification.ACCEPT),
        p.TransferNotification(second, Notification.REJECT),
    ]
    assert bench.carry() == [b"one"]
    assert (bench.fop.poll_timeout(), bench.fop.outstanding_frames, bench.fop.is_wait_queue_free) == (None, 0, True)
    bench.fop.transfer(b"three", service=ServiceType.BD, now_ns=0)
    assert bench.carry() == [b"three"]


# -- 5.1: the variables of FOP-1 ---------------------------------------------------------------------------------------


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.1.2", "in Initial only BD units are sent; an initiation leads to Active or an alert"
)
@pytest.mark.parametrize("directive", INITIATIONS)
def test_initial_is_left_by_an_initiation(directive: Any) -> None:
    bench = Bench(active=False)
    refused = bench.fop.transfer(b"AD", now_ns=0)
    bench.fop.transfer(b"BD", service=ServiceType.BD, now_ns=0)
    assert bench.carry() == [b"BD"]
    assert p.TransferNotification(refused, Notification.REJECT) in bench.events()
    for succeeds in (False, True):
        identifier = bench.fop.direct(directive, now_ns=bench.now)
        bench.carry()
        if succeeds:
            bench.clcw(bench.fop.transmitter_sequence_number)
            assert bench.fop.state is Fop1State.ACTIVE
        while not succeeds and bench.fop.state is not Fop1State.INITIAL:
            bench.expire()
            bench.carry()
        events = bench.events()
        answer = Notification.POSITIVE_CONFIRM if succeeds else Notification.NEGATIVE_CONFIRM
        assert p.DirectiveNotification(identifier, answer) in events
        assert alerts(events) == ([] if succeeds else [AlertReason.T1])


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.1.5", "each accept of the lower procedures brings the next frame to be retransmitted"
)
def test_flagged_frames_go_out_one_by_one() -> None:
    bench = Bench()
    bench.send(b"a", b"b", b"c")
    bench.expire()
    for octets in (b"a", b"b", b"c"):
        requests = [one for one in iter(bench.fop.poll_transmit, None) if isinstance(one, p.TransmitRequest)]
        assert [one.frame.octets for one in requests] == [octets]
        bench.clcw(0)  # another event in between changes nothing
        bench.fop.handle_lower_layer_response(FrameType.AD, accepted=True, now_ns=bench.now)
    assert bench.carry() == []


@pytest.mark.conforms("CCSDS 232.1-B-2", "5.1.8", "NN(R) is the number of the oldest unacknowledged frame")
def test_nnr_is_the_oldest_unacknowledged_frame() -> None:
    bench = Bench()
    first, second, third = bench.send(b"a", b"b", b"c")
    bench.events()
    bench.clcw(2)
    confirmed = [p.TransferNotification(one, Notification.POSITIVE_CONFIRM) for one in (first, second)]
    assert bench.events() == confirmed
    assert (bench.fop.expected_acknowledgement, bench.fop.outstanding_frames) == (2, 1)
    bench.clcw(3)
    assert bench.events() == [p.TransferNotification(third, Notification.POSITIVE_CONFIRM)]


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.1.9", "the timer: started by each AD and BC frame, stopped by the last acknowledgement"
)
def test_when_the_timer_runs() -> None:
    bench = Bench()
    bench.send(b"a")
    bench.now = 10
    bench.send(b"b")
    assert bench.fop.poll_timeout() == 10 + T1  # restarted
    bench.clcw(1)
    assert bench.fop.poll_timeout() == 10 + T1  # another frame was sent after the acknowledged one
    bench.clcw(2)
    assert bench.fop.poll_timeout() is None
    bench.fop.direct(p.TerminateAd(), now_ns=20)
    bench.fop.direct(p.InitiateAdWithUnlock(), now_ns=20)
    assert bench.fop.poll_timeout() == 20 + T1
    bench.fop.direct(p.SetT1Initial(5), now_ns=21)
    bench.now = 21
    bench.expire()
    assert bench.fop.poll_timeout() == bench.now + 5  # a retransmission starts it, with the value of now


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.1.10", "Transmission_Count belongs to the first frame; a limit of 1 means no retransmission"
)
def test_what_the_transmission_count_counts() -> None:
    bench = Bench()
    bench.send(b"a", b"b")
    assert bench.fop.transmission_count == 1
    bench.expire()
    bench.carry()
    bench.clcw(0, retransmit_flag=1)
    bench.carry()
    assert bench.fop.transmission_count == 3
    bench.send(b"c")  # the Sent_Queue was not empty
    assert bench.fop.transmission_count == 3
    bench.clcw(1)
    assert bench.fop.transmission_count == 1
    bench.expire()
    bench.carry()
    bench.clcw(3)
    bench.send(b"d")
    assert bench.fop.transmission_count == 1
    once = Bench(limit=1)
    once.send(b"a")
    once.events()
    once.clcw(0, retransmit_flag=1)
    assert (once.carry(), alerts(once.events())) == ([], [AlertReason.LIMIT])


@pytest.mark.conforms("CCSDS 232.1-B-2", "5.1.12", "1 <= K <= PW and K < 256")
@pytest.mark.parametrize(("width", "positive", "good"), [(1, 1, True), (2, 1, False), (0, 1, False), (255, 256, True)])
def test_the_limits_of_the_window(width: int, positive: int, good: bool) -> None:
    def make(width: int) -> Fop1:
        return Fop1(
            Fop1Parameters(
                virtual_channel_id=0,
                sliding_window_width=width,
                t1_initial_ns=T1,
                transmission_limit=1,
                farm_positive_window_width=positive,
            )
        )

    fop = make(1)
    identifier = fop.direct(p.SetSlidingWindowWidth(width), now_ns=0)
    assert fop.poll_event() == p.DirectiveNotification(identifier, Notification.ACCEPT if good else Notification.REJECT)
    if good:
        assert make(width).sliding_window_width == width
    else:
        with pytest.raises(ConfigurationError, match="sliding_window_width"):
            make(width)


# -- 5.2: the actions of FOP-1 -----------------------------------------------------------------------------------------


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.2.15", "ALERT: timer, Sent_Queue, Wait_Queue, initiation, notification, in this order"
)
def test_the_steps_of_an_alert() -> None:
    bench = Bench()
    first, second = bench.send(b"a", b"b")
    bench.clcw(0, retransmit_flag=1, wait_flag=1)
    waiting = bench.fop.transfer(b"c", now_ns=0)
    bench.events()
    bench.clcw(0, lockout_flag=1)
    assert bench.events() == [
        p.TransferNotification(first, Notification.NEGATIVE_CONFIRM),
        p.TransferNotification(second, Notification.NEGATIVE_CONFIRM),
        p.TransferNotification(waiting, Notification.REJECT),
        p.Alert(AlertReason.LOCKOUT, p.Event.E14, Fop1State.RETRANSMIT_WITH_WAIT),
    ]
    assert (bench.fop.poll_timeout(), bench.fop.outstanding_frames, bench.fop.is_wait_queue_free) == (None, 0, True)
    initiation = bench.fop.direct(p.InitiateAdWithClcwCheck(), now_ns=0)
    bench.events()
    bench.clcw(bench.fop.transmitter_sequence_number, lockout_flag=1)
    assert bench.events() == [
        p.DirectiveNotification(initiation, Notification.NEGATIVE_CONFIRM),
        p.Alert(AlertReason.LOCKOUT, p.Event.E14, Fop1State.INITIALIZING_WITHOUT_BC_FRAME),
    ]


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "5.2.14", "INITIALIZE purges both queues and resets Transmission_Count and Suspend_State"
)
def test_an_initiation_purges_what_a_suspension_kept() -> None:
    bench = Bench(limit=2, timeout_type=TimeoutType.SUSPEND)
    (first,) = bench.send(b"a")
    bench.expire()
    bench.carry()
    bench.clcw(0, retransmit_flag=1, wait_flag=1)
    waiting = bench.fop.transfer(b"b", now_ns=bench.now)
    bench.expire()
    bench.events()
    bench.fop.direct(p.InitiateAdWithoutClcwCheck(), now_ns=bench.now)
    transfers = [event for event in bench.events() if isinstance(event, p.TransferNotification)]
    assert transfers == [
        p.TransferNotification(first, Notification.NEGATIVE_CONFIRM),
        p.TransferNotification(waiting, Notification.REJECT),
    ]
    assert (bench.fop.transmission_count, bench.fop.suspend_state, bench.fop.outstanding_frames) == (1, 0, 0)


# -- section 6: FARM-1 -------------------------------------------------------------------------------------------------


def ad(number: int) -> Cop1Frame:
    return Cop1Frame(frame_type=FrameType.AD, octets=b"data", frame_sequence_number=number % 256)


def bc(command: Unlock | SetVr) -> Cop1Frame:
    return Cop1Frame(frame_type=FrameType.BC, octets=command.encode())


def farm(vr: int = 0, width: int = 20) -> Farm1:
    return Farm1(Farm1Parameters(virtual_channel_id=0, sliding_window_width=width), receiver_sequence_number=vr)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1.5", "what resets the Retransmit_Flag")
def test_what_resets_retransmit() -> None:
    for resets in (ad(0), bc(SetVr(0)), bc(Unlock())):
        one = farm()
        one.handle_frame(ad(1))
        assert one.retransmit_flag == 1
        one.handle_frame(resets)
        assert one.retransmit_flag == 0
    locked = farm()
    for frame in (ad(1), ad(100), bc(SetVr(0))):
        locked.handle_frame(frame)
    assert (locked.state, locked.retransmit_flag) == (Farm1State.LOCKOUT, 1)
    locked.handle_frame(bc(Unlock()))
    assert (locked.state, locked.retransmit_flag) == (Farm1State.OPEN, 0)


@pytest.mark.conforms(
    "CCSDS 232.1-B-2", "6.1.6", "FARM-B_Counter counts valid BD and BC frames in every state; two bits are reported"
)
@pytest.mark.parametrize("state", Farm1State)
def test_what_the_b_counter_counts(state: Farm1State) -> None:
    one = farm()
    if state is not Farm1State.OPEN:
        one.handle_frame(ad(0) if state is Farm1State.WAIT else ad(100), buffer_free=False)
    assert one.state is state
    bd = Cop1Frame(frame_type=FrameType.BD, octets=b"x")
    for frame in (bd, bd, bc(SetVr(3)), bd, bc(Unlock())):
        one.handle_frame(frame)
    one.handle_frame(Cop1Frame(frame_type=FrameType.BC, octets=b"\x01"))  # no control command: it does not count
    assert (one.farm_b_counter, one.clcw().farm_b_counter) == (5, 1)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1.8", "figure 6-1: accepted, discarded with Retransmit, discarded, Lockout")
@pytest.mark.parametrize("vr", [0, 5, 250])
def test_the_figure_of_the_window(vr: int) -> None:
    for ahead in range(-128, 128):
        one = farm(vr)
        one.handle_frame(ad(vr + ahead))
        expected = (int(ahead == 0), int(0 < ahead < 10), int(not -10 <= ahead < 10))
        accepted = isinstance(one.poll_event(), FduArrived)
        assert (int(accepted), one.retransmit_flag, one.lockout_flag) == expected, ahead
        assert one.receiver_sequence_number == (vr + (ahead == 0)) % 256
        assert one.state is (Farm1State.LOCKOUT if expected[2] else Farm1State.OPEN)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.3.2", "Set V(R) in Lockout is counted and not executed")
def test_set_vr_is_not_executed_in_lockout() -> None:
    one = farm()
    one.handle_frame(ad(100))
    one.handle_frame(bc(SetVr(77)))
    assert (one.state, one.receiver_sequence_number, one.farm_b_counter) == (Farm1State.LOCKOUT, 0, 1)
    one.handle_frame(bc(Unlock()))
    one.handle_frame(bc(SetVr(77)))
    assert (one.state, one.receiver_sequence_number, one.farm_b_counter) == (Farm1State.OPEN, 77, 3)
