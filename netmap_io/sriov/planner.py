"""Which actions lead from what there is to what is wanted, in the order that works and is fast.

New virtual functions are made while no driver looks at them, get their settings, and only then a driver: a driver that
comes first has to be told of its new address, and carrier takes three times as long.  The physical function is up, with
carrier, before.
"""

from __future__ import annotations

from collections.abc import Iterator

from netmap_io.sriov.actions import (
    GROUPS,
    Action,
    AwaitCarrier,
    BindDriver,
    Configure,
    Create,
    MoveToNamespace,
    OverrideDriver,
    Readdress,
    Remove,
    SetAutoprobe,
    SetQueues,
    SetUp,
    UnbindDriver,
    differing,
)
from netmap_io.sriov.errors import SriovError, SriovRequestError
from netmap_io.sriov.links import VfSettings
from netmap_io.sriov.request import NO_DRIVER, Request, Settings
from netmap_io.sriov.state import PhysicalFunctionState, VirtualFunctionState

__all__ = ["actions_for"]


def actions_for(request: Request, state: PhysicalFunctionState) -> list[Action]:
    """None for a request that is met.  Raises SriovError where it cannot be met."""
    name = state.interface or state.pci_address
    if request.number > state.total:
        raise SriovRequestError(f"number: {request.number} is over the {state.total} that {name} can have")
    new = request.number != state.number
    if new and state.number and not request.replace:
        raise SriovError(
            f"{name} has {state.number} virtual functions, and another number is made by removing them all: "
            "ask for that with replace = true (--replace), or delete them first"
        )
    if request.number and state.interface is None:
        raise SriovError(f"{name} has no interface here: load its driver, or go to its network namespace")
    found: list[Action] = []
    if request.queues is not None and request.queues != state.queues:
        found.append(SetQueues(count=request.queues))
    if request.number and not state.up:
        found.append(SetUp())
    if new and state.number:
        found.append(Remove(before=state))
    if new and request.number:
        found += _creation(request, state)
    elif not new:
        for each in state.virtual_functions:
            found += _changes(request, each)
    return found


def _creation(request: Request, state: PhysicalFunctionState) -> Iterator[Action]:
    if request.carrier_timeout_s and not (state.up and state.carrier and not state.number):
        yield AwaitCarrier(timeout_s=request.carrier_timeout_s, required=request.require_carrier)
    if state.autoprobe:
        yield SetAutoprobe(active=False)
    yield Create(number=request.number)
    indices = range(request.number)
    for index in indices:
        yield from _configuration(index, request.settings(index))
    if state.autoprobe:
        yield SetAutoprobe(active=True)
    for index in indices:
        settings = request.settings(index)
        if settings.driver != NO_DRIVER:
            if settings.driver is not None:
                yield OverrideDriver(index, settings.driver)
            yield BindDriver(index, settings.driver, settings.mac)
    for index in indices:
        yield from _interface(index, request.settings(index))
    if request.carrier_timeout_s:
        for index in indices:
            yield from _carrier(index, request)


def _configuration(index: int, settings: Settings) -> Iterator[Action]:
    given = settings.given()
    for names in GROUPS:
        wanted = {name: given.get(name) for name in names}
        if any(value is not None for value in wanted.values()):
            yield Configure(index, wanted)


def _interface(index: int, settings: Settings) -> Iterator[Action]:
    """What is done to the interface itself; up comes last, because it arrives down in another namespace."""
    if settings.queues is not None:
        yield SetQueues(index, settings.queues)
    if settings.namespace is not None:
        yield MoveToNamespace(index, settings.namespace)
    if _wants_up(settings):
        yield SetUp(index, mac=settings.mac)


def _carrier(index: int, request: Request) -> Iterator[Action]:
    settings = request.settings(index)
    if _wants_up(settings) and settings.link_state != "disable":
        yield AwaitCarrier(index, timeout_s=request.carrier_timeout_s, required=request.require_carrier)


_WITHOUT_INTERFACE = (NO_DRIVER, "vfio-pci", "uio_pci_generic", "igb_uio", "pci-stub", "pciback")


def _wants_up(settings: Settings) -> bool:
    """Left out: yes, unless the driver is one of those that make no interface."""
    return settings.driver not in _WITHOUT_INTERFACE if settings.up is None else settings.up


def _changes(request: Request, present: VirtualFunctionState) -> Iterator[Action]:
    """Of a virtual function that exists: only what is not as it should be."""
    settings, index = request.settings(present.index), present.index
    unbinds = present.driver is not None and settings.driver not in (None, present.driver)
    binds = settings.driver != NO_DRIVER and (unbinds or present.driver is None)
    if unbinds:
        yield UnbindDriver(index, present)
    at_work = present.driver is not None and not unbinds and present.interface is not None
    for action in _configuration(index, settings):
        assert isinstance(action, Configure)
        if differing(action.settings, present.settings) or _untold(action, present.settings):
            readdresses = at_work and "mac" in action.settings
            yield Readdress(index, action.settings) if readdresses else action
    if binds:
        if settings.driver is not None and present.override != settings.driver:
            yield OverrideDriver(index, settings.driver)
        yield BindDriver(index, settings.driver, settings.mac)
        changes = list(_interface(index, settings))
    else:
        changes = [each for each in _interface(index, settings) if not _met(each, present)]
        if any(isinstance(each, MoveToNamespace) for each in changes) and present.up and _wants_up(settings):
            changes.append(SetUp(index, mac=settings.mac))
    if settings.up is False and at_work and present.up:
        changes.append(SetUp(index, up=False))
    yield from changes
    if request.carrier_timeout_s and any(isinstance(each, SetUp) and each.up for each in changes):
        yield from _carrier(index, request)


def _untold(action: Configure, present: VfSettings) -> bool:
    """The driver does not tell whether it is so: it is set each time.

    Priority and protocol belong to a VLAN that it does tell.
    """
    return getattr(present, next(iter(action.settings))) is None and any(
        getattr(present, name) is None for name, value in action.settings.items() if value is not None
    )


def _met(action: Action, present: VirtualFunctionState) -> bool:
    if isinstance(action, SetQueues):
        return action.count == present.queues
    if isinstance(action, MoveToNamespace):
        return action.namespace == present.namespace
    return isinstance(action, SetUp) and action.up == present.up
