"""A plan carried out: each step reported, and what was done taken back in reverse where one fails."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from netmap_io.sriov.actions import Action, Configure, Context, SkippedError
from netmap_io.sriov.errors import SriovBusyError, SriovError, SriovPrivilegeError, explain
from netmap_io.sriov.planner import actions_for
from netmap_io.sriov.request import Request
from netmap_io.sriov.state import PhysicalFunctionState, System, observe

__all__ = ["LOCKS", "Result", "Step", "StepState", "apply", "delete", "locked", "plan"]

LOCKS = Path("/run/lock/netmap-io")


class StepState(Enum):
    """What became of a step."""

    PLANNED = "planned"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    TAKEN_BACK = "taken back"
    NOT_TAKEN_BACK = "not taken back"
    """Taking it back failed: this is left of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change.

    action: one word.  subject: the physical function's name, or virtual function and number.
    index: of the virtual function; None for the physical one.  change: what it changes.  remark: what there is to say.
    """

    action: str
    subject: str
    index: int | None
    change: str
    state: StepState
    remark: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"state": self.state.value}

    def __str__(self) -> str:
        remark = f": {self.remark}" if self.remark else ""
        return f"{self.state.value}: {self.subject}, {self.change}{remark}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """steps: in their order.  seconds: in all."""

    steps: tuple[Step, ...]
    seconds: float

    @property
    def changed(self) -> bool:
        return any(step.state is StepState.DONE and step.action != "carrier" for step in self.steps)


Report = Callable[[Step], object]


def plan(request: Request, system: System | None = None) -> list[Step]:
    """What `apply` would do, from what there is now.  Raises SriovError."""
    if system is None:
        with System() as system:
            return plan(request, system)
    state = observe(request.physical_function, system)
    context = _context(state, system)
    return [_step(action, context, StepState.PLANNED) for action in actions_for(request, state)]


def apply(request: Request, system: System | None = None, report: Report = lambda step: None) -> Result:
    """Make it so; a request that is met already changes nothing.

    report: called with each step as it ends.  Raises SriovError, with its steps, after everything was taken back.
    """
    if system is None:
        with System() as system:
            return apply(request, system, report)
    state = observe(request.physical_function, system)
    with locked(state.pci_address):
        state = observe(request.physical_function, system)  # somebody else may have had the lock before
        return _run(actions_for(request, state), _context(state, system), report)


def delete(
    physical_function: str,
    system: System | None = None,
    report: Report = lambda step: None,
) -> Result:
    """Remove all virtual functions."""
    return apply(Request(physical_function=physical_function, number=0, replace=True), system, report)


def _context(state: PhysicalFunctionState, system: System) -> Context:
    return Context(system, state.pci_address, state.interface)


def _run(actions: list[Action], context: Context, report: Report) -> Result:
    steps: list[Step] = []
    done: list[Action] = []
    begin = context.system.clock()

    def tell(step: Step) -> None:
        steps.append(step)
        report(step)

    action = Action()
    try:
        for action in actions:
            step = _do(action, context)
            if step.state is StepState.DONE and action.reversible:
                done.append(action)
            tell(step)
            if step.state is StepState.FAILED:
                raise _failure(step)
    except BaseException as error:  # an interrupted program, too, leaves the card as it was
        if (
            not isinstance(error, Exception)
            and all(action is not each for each in done)
            and action.begun
            and action.reversible
        ):
            done.append(action)
        while done:
            tell(_undo(done.pop(), context))
        if isinstance(error, SriovError):
            raise _with_steps(error, steps) from error.__cause__
        raise
    return Result(steps=tuple(steps), seconds=context.system.clock() - begin)


def _do(action: Action, context: Context) -> Step:
    begin = context.system.clock()
    try:
        remark, state = action.do(context) or "", StepState.DONE
    except SkippedError as reason:
        remark, state = str(reason), StepState.SKIPPED
    except SriovError as error:
        remark, state = str(error), StepState.FAILED
    except OSError as error:
        remark, state = _explained(action, context, error), StepState.FAILED
    return _step(action, context, state, remark, context.system.clock() - begin)


def _undo(action: Action, context: Context) -> Step:
    begin = context.system.clock()
    try:
        remark, state = action.undo(context) or "", StepState.TAKEN_BACK
    except SriovError as error:
        remark, state = str(error), StepState.NOT_TAKEN_BACK
    except OSError as error:
        remark, state = _explained(action, context, error), StepState.NOT_TAKEN_BACK
    return _step(action, context, state, remark, context.system.clock() - begin)


def _step(action: Action, context: Context, state: StepState, remark: str = "", seconds: float = 0.0) -> Step:
    return Step(
        action=_operation(action),
        subject=context.name(action.index),
        index=action.index,
        change=action.describe(),
        state=state,
        remark=remark,
        seconds=round(seconds, 3),
    )


def _operation(action: Action) -> str:
    return action.operation() if isinstance(action, Configure) else action.kind


def _explained(action: Action, context: Context, error: OSError) -> str:
    return explain(_operation(action), error.errno or 0, context.name(action.index), action.value())


def _failure(step: Step) -> SriovError:
    kind = SriovPrivilegeError if step.remark.startswith("not permitted") else SriovError
    return kind(f"{step.subject}, {step.change}: {step.remark}")


def _with_steps(error: SriovError, steps: list[Step]) -> SriovError:
    left = [f"{step.subject}, {step.change}" for step in steps if step.state is StepState.NOT_TAKEN_BACK]
    message = f"{error}; this could not be taken back: {'; '.join(left)}" if left else str(error)
    return type(error)(message, tuple(steps))


@contextmanager
def locked(address: str) -> Iterator[None]:
    """One at a time for each physical function.  The kernel lets go of the lock when the process ends."""
    path = LOCKS / f"sriov-{address}"
    try:
        LOCKS.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except PermissionError as error:
        raise SriovPrivilegeError(f"{path}: {explain('lock', error.errno or 0)}") from error
    except OSError as error:
        raise SriovError(f"{path}: {explain('lock', error.errno or 0, str(path))}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise SriovBusyError(f"process {holder or '?'} is changing {address} at the moment") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
