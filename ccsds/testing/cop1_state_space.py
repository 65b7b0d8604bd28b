"""Every state that FOP-1, the channel and FARM-1 can be in together, for a small window: breadth first, none left out.

    python -m ccsds.testing.cop1_state_space --modulus 8 --window 2 --uplink 3 --downlink 2

Time is taken out: the timer may expire whenever it runs, the spacecraft may report whenever the downlink has room, and
the user always has a further FDU.  Sequence numbers are counted modulo a small power of two, which Fop1 and Farm1 take
for this purpose only.  FDUs that are still somewhere are named by their order, so that the space is finite though the
stream of FDUs has no end.

A state is looked at once, with all that can happen next; what must hold is checked in each.
"""

from __future__ import annotations

import argparse
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ccsds.frames.operational_control_field import Clcw
from ccsds.procedures import fop1 as engine
from ccsds.procedures.cop1 import Cop1Frame, FrameType, SetVr, Unlock, control_command
from ccsds.procedures.farm1 import Farm1, Farm1Parameters, Farm1State, FduArrived
from ccsds.procedures.fop1_primitives import (
    Alert,
    Fop1State,
    InitiateAdWithClcwCheck,
    InitiateAdWithoutClcwCheck,
    InitiateAdWithSetVr,
    InitiateAdWithUnlock,
    Notification,
    ResumeAd,
    SetVs,
    TerminateAd,
    TimeoutType,
    TransferNotification,
    TransmitRequest,
)

__all__ = ["Exploration", "SpaceSettings", "explore"]

FOP_STATES = tuple(Fop1State)
FARM_STATES = tuple(Farm1State)
SERVING = (Fop1State.ACTIVE, Fop1State.RETRANSMIT_WITHOUT_WAIT, Fop1State.RETRANSMIT_WITH_WAIT)
_SERVING = tuple(FOP_STATES.index(state) for state in SERVING)
_INITIAL = FOP_STATES.index(Fop1State.INITIAL)
_OF_FOP_1 = ("timeout", "clcw_arrives", "ask", "respond", "direct")
_DIRECTIVE_ID = 0  # FDU n has the request identifier n + 1
_FAR = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSettings:
    """What is explored.

    modulus: of the sequence numbers.  window: K.  farm_window: W, by default 2 K.
    uplink, downlink: how many frames and CLCWs can be on their way; on a full uplink a frame is lost.
    transmission_limit, timeout_type: of FOP-1.
    duplicates: a frame or CLCW may arrive twice.  overtaking: how many later ones may pass a frame or CLCW on its way.
    buffers: FARM-1 may run out of buffers.  slow_lower_layer: the answer to a TransmitRequest is an event of its own.
    terminates: the user may end AD service at any time.
    initiations: how the user begins AD service, of "set_vr", "unlock", "clcw" and "none".
    hasty: the user begins anew while frames and CLCWs of the service before are still on their way.
    maximum_states: give up beyond so many.
    """

    modulus: int = 4
    window: int = 1
    farm_window: int | None = None
    uplink: int = 2
    downlink: int = 2
    transmission_limit: int = 2
    timeout_type: TimeoutType = TimeoutType.ALERT
    duplicates: bool = True
    overtaking: int = 0
    buffers: bool = True
    slow_lower_layer: bool = False
    terminates: bool = True
    initiations: tuple[str, ...] = ("set_vr", "unlock")
    hasty: bool = False
    maximum_states: int = 10_000_000


class Sent(NamedTuple):
    """One frame on the Sent_Queue."""

    is_ad: bool
    number: int
    fdu: int
    delivered: bool
    marked: bool


class Node(NamedTuple):
    """One state of the whole.  FDUs: 1, 2 ... may yet be delivered, 0 is past; -1: past and never delivered."""

    fop: int
    vs: int
    nn: int
    transmissions: int
    suspended: int
    timer: bool
    initiating: bool
    ad_ready: bool
    bc_ready: bool
    wait: int  # the waiting FDU, -1: none
    sent: tuple[Sent, ...]
    farm: int
    vr: int
    retransmit: int
    waits: int
    uplink: tuple[
        tuple[int, int, int, int], ...
    ]  # how often passed; (0, N(S), FDU); (1, 0, 0) Unlock; (1, 1, V(R)) Set
    downlink: tuple[tuple[int, int, int, int, int], ...]  # how often passed, N(R), lockout, wait, retransmit


class ViolationError(AssertionError):
    """Something that must hold does not; the message says what."""


@dataclass(slots=True)
class Exploration:
    """What was found.

    stalled: states with frames outstanding or an FDU waiting, in service, and no timer.
    dead: of all states those from which, without a further FDU or a directive of the user, no alert, no suspension
        and no state with everything acknowledged can be reached.
    fop_cells: the cells of table 5-1 that were entered (of two directives in one step only the second).
    trace: how the first violation is reached, from the beginning.
    """

    settings: SpaceSettings
    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    stalled: int = 0
    dead: int = 0
    lockouts: int = 0
    alerts: Counter[str] = field(default_factory=Counter)
    fop_cells: set[tuple[str, str]] = field(default_factory=set)
    violation: str = ""
    trace: tuple[str, ...] = ()
    first_dead: tuple[str, ...] = ()
    is_complete: bool = False


class _Machine:
    """The real FOP-1 and FARM-1, put into any state and looked at."""

    def __init__(self, settings: SpaceSettings) -> None:
        self.settings = settings
        farm = Farm1Parameters(virtual_channel_id=0, sliding_window_width=settings.farm_window or 2 * settings.window)
        fop = engine.Fop1Parameters(
            virtual_channel_id=0,
            sliding_window_width=settings.window,
            t1_initial_ns=1,
            transmission_limit=settings.transmission_limit,
            timeout_type=settings.timeout_type,
            farm_positive_window_width=farm.window_widths[0],
        )
        self.fop = engine.Fop1(fop, _modulus=settings.modulus)
        self.farm = Farm1(farm, _modulus=settings.modulus)
        self.last = 0  # the last FDU delivered
        self.next_fdu = 1
        self.delivered: set[int] = set()
        self.uplink: list[tuple[int, int, int, int]] = []
        self.downlink: list[tuple[int, int, int, int, int]] = []
        self.alerts: list[str] = []

    def load(self, node: Node) -> None:
        fop, farm = self.fop, self.farm
        fop.state = FOP_STATES[node.fop]
        fop.transmitter_sequence_number, fop.expected_acknowledgement = node.vs, node.nn
        fop.transmission_count, fop.suspend_state = node.transmissions, node.suspended
        fop._timer = 1 if node.timer else None
        fop._initiating = _initiation() if node.initiating else None
        fop._ready = {FrameType.AD: node.ad_ready, FrameType.BD: True, FrameType.BC: node.bc_ready}
        fop._wait_queue = None if node.wait < 0 else engine._Request(node.wait + 1, _fdu(node.wait))
        fop._sent_queue = deque(engine._Sent(_request(sent), sent.marked) for sent in node.sent)
        farm.state = FARM_STATES[node.farm]
        farm.receiver_sequence_number, farm.retransmit_flag, farm.wait_flag = node.vr, node.retransmit, node.waits
        farm.lockout_flag = int(farm.state is Farm1State.LOCKOUT)
        self.last, self.next_fdu = 0, _FAR
        self.delivered = {sent.fdu for sent in node.sent if sent.delivered}
        self.uplink, self.downlink = list(node.uplink), list(node.downlink)

    def node(self) -> Node:
        fop, farm = self.fop, self.farm
        name = self._names()
        sent = []
        for entry in fop._sent_queue:
            frame = entry.request.frame
            if frame.frame_type is FrameType.AD:
                fdu = _number(frame.octets)
                here = fdu in self.delivered
                known = name.get(fdu, 0 if here else -1)
                sent.append(Sent(True, frame.frame_sequence_number, known, here, entry.to_be_retransmitted))
            else:
                command = control_command(frame.octets)
                value = command.receiver_sequence_number if isinstance(command, SetVr) else -1
                sent.append(Sent(False, value, 0, False, entry.to_be_retransmitted))
        wait = fop._wait_queue
        return Node(
            FOP_STATES.index(fop.state),
            fop.transmitter_sequence_number,
            fop.expected_acknowledgement,
            fop.transmission_count,
            fop.suspend_state,
            fop._timer is not None,
            fop._initiating is not None,
            fop._ready[FrameType.AD],
            fop._ready[FrameType.BC],
            -1 if wait is None else name[_number(wait.fdu)],
            tuple(sent),
            FARM_STATES.index(farm.state),
            farm.receiver_sequence_number,
            farm.retransmit_flag,
            farm.wait_flag,
            tuple((by, kind, one, fdu if kind else name.get(fdu, 0)) for by, kind, one, fdu in self.uplink),
            tuple(self.downlink),
        )

    def _names(self) -> dict[int, int]:
        """1, 2, 3 ... for the FDUs that are still somewhere and may yet be delivered: only their order matters."""
        fdus = {_number(entry.request.frame.octets) for entry in self.fop._sent_queue if _is_ad(entry)}
        fdus |= {fdu for _, kind, _, fdu in self.uplink if kind == 0}
        if self.fop._wait_queue is not None:
            fdus.add(_number(self.fop._wait_queue.fdu))
        return {fdu: rank for rank, fdu in enumerate(sorted(fdu for fdu in fdus if fdu > self.last), 1)}

    # -- what can happen -----------------------------------------------------------------------------------------------

    def frame_arrives(self, index: int, keep: bool, buffer_free: bool) -> None:
        _, kind, number, fdu = self.uplink[index] if keep else self.uplink.pop(index)
        self.uplink[:index] = [(by + 1, *rest) for by, *rest in self.uplink[:index]]  # type: ignore[misc]
        if kind == 0:
            frame = Cop1Frame(frame_type=FrameType.AD, octets=_fdu(fdu), frame_sequence_number=number)
        else:
            command: SetVr | Unlock = SetVr(fdu) if number else Unlock()
            frame = Cop1Frame(frame_type=FrameType.BC, octets=command.encode())
        self.farm.handle_frame(frame, buffer_free=buffer_free)
        while (event := self.farm.poll_event()) is not None:
            if isinstance(event, FduArrived):
                arrived = _number(event.frame.octets)
                if arrived <= self.last:
                    raise ViolationError("an FDU is delivered twice or out of order")
                self.delivered.add(arrived)
                self.last = arrived
        self.farm.farm_b_counter = 0

    def report(self) -> None:
        farm = self.farm
        word = (0, farm.receiver_sequence_number, farm.lockout_flag, farm.wait_flag, farm.retransmit_flag)
        self.downlink.append(word)

    def clcw_arrives(self, index: int, keep: bool) -> None:
        _, number, lockout, wait, retransmit = self.downlink[index] if keep else self.downlink.pop(index)
        self.downlink[:index] = [(by + 1, *rest) for by, *rest in self.downlink[:index]]  # type: ignore[misc]
        word = Clcw(
            virtual_channel_id=0, report_value=number, lockout_flag=lockout, wait_flag=wait, retransmit_flag=retransmit
        )
        self.fop.handle_clcw(word, now_ns=0)
        self.settle()

    def ask(self) -> None:
        self.fop._next_request_id = self.next_fdu + 1
        self.fop.transfer(_fdu(self.next_fdu), now_ns=0)
        self.next_fdu += 1
        self.settle()

    def timeout(self) -> None:
        self.fop.handle_timeout(1)
        self.settle()

    def respond(self, frame_type: FrameType) -> None:
        self.fop.handle_lower_layer_response(frame_type, accepted=True, now_ns=0)
        self.settle()

    def direct(self, *directives: object) -> None:
        for directive in directives:
            self.fop._next_request_id = _DIRECTIVE_ID
            self.fop.direct(directive, now_ns=0)  # type: ignore[arg-type]
        self.settle()

    def settle(self) -> None:
        """Carry out what FOP-1 wants, and check what it says."""
        fop = self.fop
        while True:
            request = fop.poll_transmit()
            if request is None:
                break
            if isinstance(request, TransmitRequest):
                frame = request.frame
                if len(self.uplink) < self.settings.uplink:
                    self.uplink.append(_on_the_way(frame))
                if not self.settings.slow_lower_layer:
                    fop.handle_lower_layer_response(frame.frame_type, accepted=True, now_ns=0)
        while (event := fop.poll_event()) is not None:
            if isinstance(event, Alert):
                self.alerts.append(event.reason.name)
            elif isinstance(event, TransferNotification):
                confirmed = event.notification is Notification.POSITIVE_CONFIRM
                if confirmed and event.request_id - 1 not in self.delivered:
                    raise ViolationError("an FDU is confirmed that was not delivered")


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big", signed=True)


def _is_ad(entry: engine._Sent) -> bool:
    return entry.request.frame.frame_type is FrameType.AD


def _fdu(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def _initiation() -> engine._Request:
    return engine._Request(_DIRECTIVE_ID, directive=InitiateAdWithUnlock())


def _request(sent: Sent) -> TransmitRequest:
    if sent.is_ad:
        frame = Cop1Frame(frame_type=FrameType.AD, octets=_fdu(sent.fdu), frame_sequence_number=sent.number)
        return TransmitRequest(frame, sent.fdu + 1)
    command: SetVr | Unlock = SetVr(sent.number) if sent.number >= 0 else Unlock()
    return TransmitRequest(Cop1Frame(frame_type=FrameType.BC, octets=command.encode()), _DIRECTIVE_ID)


def _on_the_way(frame: Cop1Frame) -> tuple[int, int, int, int]:
    if frame.frame_type is FrameType.AD:
        return 0, 0, frame.frame_sequence_number, _number(frame.octets)
    command = control_command(frame.octets)
    return (0, 1, 1, command.receiver_sequence_number) if isinstance(command, SetVr) else (0, 1, 0, 0)


Step = tuple[str, bool, str, tuple[object, ...]]
"""What happens, whether the user had a hand in it, and the method of _Machine with its arguments."""


def steps(node: Node, settings: SpaceSettings) -> Iterator[Step]:
    """All that can happen next."""
    if node.timer:
        yield "timer expires", False, "timeout", ()
    for index in _heads(node.uplink, settings.overtaking):
        for keep in (False, True) if settings.duplicates else (False,):
            in_sequence = node.uplink[index][1:3] == (0, node.vr)
            full = settings.buffers and in_sequence
            for free in (True, False) if full and not node.waits else (not (in_sequence and node.waits),):
                what = f"frame {node.uplink[index][1:]} arrives" + " again later" * keep + ", no buffer" * (not free)
                yield what, False, "frame_arrives", (index, keep, free)
    for index in _heads(node.downlink, settings.overtaking):
        for keep in (False, True) if settings.duplicates else (False,):
            what = f"CLCW {node.downlink[index][1:]} arrives" + " again later" * keep
            yield what, False, "clcw_arrives", (index, keep)
    if len(node.downlink) < settings.downlink:
        yield "CLCW sent", False, "report", ()
    if node.waits:
        yield "buffer released", False, "release", ()
    if node.uplink:
        yield "frame lost", False, "lose", ()
    if settings.slow_lower_layer:
        if not node.ad_ready:
            yield "AD accepted below", False, "respond", (FrameType.AD,)
        if not node.bc_ready:
            yield "BC accepted below", False, "respond", (FrameType.BC,)
    yield from _user_steps(node, settings)


def _heads(on_the_way: tuple[tuple[int, ...], ...], overtaking: int) -> Iterator[int]:
    """Which of those on their way can be the next to arrive: the first, and what may still pass all before it."""
    for index in range(len(on_the_way)):
        yield index
        if on_the_way[index][0] >= overtaking:
            return


def _user_steps(node: Node, settings: SpaceSettings) -> Iterator[Step]:
    if node.fop in _SERVING and node.wait < 0:
        yield "FDU asked for", True, "ask", ()
    if node.fop != _INITIAL:
        if settings.terminates:
            yield "terminated", True, "direct", (TerminateAd(),)
        return
    if node.suspended:
        yield "resumed", True, "direct", (ResumeAd(),)
    quiet = not node.uplink and not node.downlink
    if not (quiet or settings.hasty) or not node.bc_ready or not node.ad_ready:
        return
    locked = FARM_STATES[node.farm] is Farm1State.LOCKOUT
    ways: dict[str, tuple[object, ...]] = {"unlock": (InitiateAdWithUnlock(),)}
    if not locked:
        ways |= {"clcw": (InitiateAdWithClcwCheck(),), "none": (InitiateAdWithoutClcwCheck(),)}
        ways["set_vr"] = (InitiateAdWithSetVr((node.vr + 1) % settings.modulus),)
    for name in settings.initiations:
        if name in ways:
            # On a quiet link the user knows V(R) from the last CLCW.
            first = () if name == "set_vr" or node.suspended else (SetVs(node.vr),)
            yield f"initiated ({name})", True, "direct", (*first, *ways[name])


def check(node: Node, settings: SpaceSettings) -> None:
    """What must hold in every state."""
    modulus, sent = settings.modulus, [entry for entry in node.sent if entry.is_ad]
    numbers = [entry.number for entry in sent]
    outstanding = (node.vs - node.nn) % modulus
    if node.fop in _SERVING:
        if len(sent) > settings.window or len(sent) != len(node.sent):
            raise ViolationError("the Sent_Queue holds more than the window, or a control command in service")
        if numbers != [(node.vs - len(sent) + step) % modulus for step in range(len(sent))]:
            raise ViolationError("the Sent_Queue is not what lies before V(S)")
        if len(sent) > outstanding:
            raise ViolationError("more frames are on the Sent_Queue than NN(R) and V(S) say")
    if (FARM_STATES[node.farm] is Farm1State.WAIT) > node.waits or (node.farm == 0 and node.waits):
        raise ViolationError("the Wait flag does not fit the state of FARM-1")
    if node.timer and node.fop == _INITIAL:
        raise ViolationError("the timer runs in Initial")
    if settings.timeout_type is TimeoutType.ALERT and node.suspended:
        raise ViolationError("suspended though the timeout type is 0")
    if node.fop != _INITIAL and node.suspended:
        raise ViolationError("suspended outside Initial")


def _perform(machine: _Machine, method: str, arguments: tuple[object, ...]) -> None:
    if method == "release":
        machine.farm.handle_buffer_release()
    elif method == "lose":
        machine.uplink.pop(0)
    else:
        getattr(machine, method)(*arguments)


class _Search:
    """The states found so far, how each was reached first, and the steps that need no user."""

    def __init__(self, settings: SpaceSettings) -> None:
        self.settings, self.machine, self.found = settings, _Machine(settings), Exploration(settings)
        self.numbers: dict[Node, int] = {self.machine.node(): 0}
        self.parents, self.labels = array("q", [-1]), [""]
        self.origins, self.targets = array("I"), array("I")

    def expand(self, node: Node) -> Iterator[Node]:
        """The states that are reached from this one for the first time.  Raises ViolationError."""
        at, machine, found = self.numbers[node], self.machine, self.found
        found.lockouts += FARM_STATES[node.farm] is Farm1State.LOCKOUT
        found.stalled += _is_stalled(node)
        for label, by_user, method, arguments in steps(node, self.settings):
            machine.load(node)
            found.transitions += 1
            try:
                _perform(machine, method, arguments)
                reached = machine.node()
                if reached not in self.numbers:
                    check(reached, self.settings)
            except ViolationError:
                found.trace = (*self.trace(at), label)
                raise
            if method in _OF_FOP_1:
                found.fop_cells.add((machine.fop._event.name, FOP_STATES[node.fop].value))
            number = self.numbers.setdefault(reached, len(self.numbers))
            if not by_user:
                self.origins.append(at)
                self.targets.append(number)
            if number == len(self.parents):
                self.parents.append(at)
                self.labels.append(label)
                yield reached

    def trace(self, at: int) -> tuple[str, ...]:
        """What happened on the way to a state."""
        path = []
        while at > 0:
            path.append(self.labels[at])
            at = self.parents[at]
        return tuple(reversed(path))

    def finish(self) -> None:
        """What can be said once all states are known."""
        self.found.is_complete = True
        dead = _dead(list(self.numbers), self.origins, self.targets)
        self.found.dead = len(dead)
        self.found.first_dead = self.trace(dead[0]) if dead else ()


def explore(settings: SpaceSettings) -> Exploration:
    """All states, breadth first from two ends that were just switched on; stops at the first violation."""
    began = time.perf_counter()
    search = _Search(settings)
    found, layer = search.found, list(search.numbers)
    try:
        while len(search.numbers) <= settings.maximum_states:
            layer = [reached for node in layer for reached in search.expand(node)]
            if not layer:
                search.finish()
                break
            found.depth += 1
    except ViolationError as violation:
        found.violation = str(violation)
    found.states, found.alerts = len(search.numbers), Counter(search.machine.alerts)
    found.seconds = time.perf_counter() - began
    return found


def _is_stalled(node: Node) -> bool:
    return node.fop in _SERVING and not node.timer and bool(node.sent or node.wait >= 0)


def _is_goal(node: Node) -> bool:
    return node.fop == _INITIAL or (node.fop in _SERVING and not node.sent and node.wait < 0)


def _dead(nodes: list[Node], origins: array[int], targets: array[int]) -> list[int]:
    """The states from which no goal is reached: backwards from the goals, over what happens without the user."""
    begin = array("I", bytes(4 * (len(nodes) + 1)))
    for target in targets:
        begin[target + 1] += 1
    for index in range(len(nodes)):
        begin[index + 1] += begin[index]
    into, fill = array("I", bytes(4 * len(targets))), array("I", begin)
    for origin, target in zip(origins, targets, strict=True):
        into[fill[target]] = origin
        fill[target] += 1
    alive = bytearray(_is_goal(node) for node in nodes)
    todo = [index for index, value in enumerate(alive) if value]
    while todo:
        at = todo.pop()
        for origin in into[begin[at] : begin[at + 1]]:
            if not alive[origin]:
                alive[origin] = 1
                todo.append(origin)
    return [index for index, value in enumerate(alive) if not value]


def main() -> int:
    """The command line: one exploration and what it found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    defaults = SpaceSettings()
    numbers = ("modulus", "window", "uplink", "downlink", "transmission_limit", "overtaking", "maximum_states")
    for name in numbers:
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=getattr(defaults, name))
    parser.add_argument("--farm-window", type=int)
    parser.add_argument("--timeout-type", type=int, choices=(0, 1), default=0)
    for name in ("duplicates", "buffers", "slow_lower_layer", "terminates", "hasty"):
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=getattr(defaults, name))
    parser.add_argument("--initiations", nargs="+", default=defaults.initiations)
    values = vars(parser.parse_args())
    values["timeout_type"] = TimeoutType(values["timeout_type"])
    values["initiations"] = tuple(values["initiations"])
    found = explore(SpaceSettings(**values))
    print(f"{found.states} states, {found.transitions} transitions, depth {found.depth}, {found.seconds:.1f} s")
    print("complete" if found.is_complete else f"not complete: {found.violation or 'too many states'}")
    print(f"stalled {found.stalled}, dead {found.dead}, FARM-1 locked out {found.lockouts}, ", end="")
    print(f"cells of FOP-1 entered {len(found.fop_cells)}")
    for title, trace in (("violation", found.trace), ("first dead state", found.first_dead)):
        if trace:
            print(f"{title}:", *trace, sep="\n  ")
    return bool(found.violation)


if __name__ == "__main__":
    sys.exit(main())
