"""One change each: what it does, how it is taken back.  `planner` decides which, `runner` runs them.

An action looks before it changes anything: what is already so is skipped, and what it takes back is what it found.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from netmap_io.sriov.errors import SriovError
from netmap_io.sriov.links import Link, VfSettings
from netmap_io.sriov.request import NO_ADDRESS
from netmap_io.sriov.state import PhysicalFunctionState, System, VirtualFunctionState, find_interface

__all__ = [
    "Action",
    "AwaitCarrier",
    "BindDriver",
    "Configure",
    "Context",
    "Create",
    "MoveToNamespace",
    "OverrideDriver",
    "Readdress",
    "Remove",
    "SetAutoprobe",
    "SetQueues",
    "SetUp",
    "SkippedError",
    "UnbindDriver",
]

_PROBE_TIMEOUT_S = 5.0
"""A driver that is loaded on demand comes with the first function that wants it, some time after it appeared."""
_INTERFACE_TIMEOUT_S = 5.0
_INTERFACE_WAIT_S = 1.0
_CYCLES, _CYCLE_S = 2, 0.5


class SkippedError(Exception):
    """Nothing was to be done; the message says why."""


@dataclass
class Context:
    """What every action works on.  index None is the physical function itself."""

    system: System
    physical: str
    """PCI address of the physical function."""
    interface: str | None
    """Of the physical function."""

    def address(self, index: int | None) -> str:
        if index is None:
            return self.physical
        found = self.system.sysfs.virtual_functions(self.physical).get(index)
        if found is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return found

    def link(self, index: int | None) -> tuple[str | None, Link]:
        """Namespace and interface of a function.  Raises SriovError where it has none."""
        namespace, link = find_interface(self.address(index), self.system)
        if link is None:
            raise SriovError(f"{self.name(index)} has no interface in this network namespace or one with a name")
        return namespace, link

    def name(self, index: int | None) -> str:
        return (self.interface or self.physical) if index is None else f"virtual function {index}"

    def physical_interface(self) -> str:
        if self.interface is None:
            raise SriovError(f"{self.physical} has no interface here: without it nothing can be set")
        return self.interface


@dataclass
class Action:
    """The beginning of all of them.

    kind: one word for machines, the operation that `explain` knows.
    """

    kind: ClassVar[str]
    index: int | None = None
    begun: bool = field(default=False, init=False)
    """Whether `do` has come as far as changing something: an interrupted one may have to be taken back."""

    def describe(self) -> str:
        """What it changes, as a phrase."""
        raise NotImplementedError

    def value(self) -> object:
        """What was asked for, for error sentences."""
        return ""

    def do(self, context: Context) -> str | None:
        """Change it; may return a remark.  Raises SkippedError, OSError, SriovError."""
        raise NotImplementedError

    def undo(self, context: Context) -> str | None:
        """Take it back.  Called only after `do` came to its end."""
        return None

    @property
    def reversible(self) -> bool:
        return type(self).undo is not Action.undo


@dataclass
class SetQueues(Action):
    kind = "queues"
    count: int = 1
    _before: int | None = None

    def describe(self) -> str:
        return f"queues {self.count}"

    def value(self) -> object:
        return self.count

    def do(self, context: Context) -> None:
        namespace, link = context.link(self.index)
        present = context.system.links.queues(link.name, namespace)
        if present == self.count:
            raise SkippedError("already so")
        if namespace is not None:
            raise SriovError(f"the number of queues of {link.name} cannot be changed in network namespace {namespace}")
        self.begun, self._before = True, present
        context.system.links.set_queues(link.name, self.count)

    def undo(self, context: Context) -> None:
        if self._before is not None:
            context.system.links.set_queues(context.link(self.index)[1].name, self._before)


@dataclass
class SetUp(Action):
    """mac: the address that the interface should then have."""

    kind = "up"
    up: bool = True
    mac: str | None = None

    def describe(self) -> str:
        return "interface up" if self.up else "interface down"

    def do(self, context: Context) -> None:
        namespace, link = context.link(self.index)
        if link.up == self.up:
            raise SkippedError("already so")
        self.begun = True
        context.system.links.set_up(link.name, self.up, namespace)
        if self.up and self.mac is not None and not _has_address(context, self.index, self.mac, _CYCLE_S):
            _take_address(context, self.index, self.mac)

    def undo(self, context: Context) -> None:
        namespace, link = context.link(self.index)
        context.system.links.set_up(link.name, not self.up, namespace)


@dataclass
class AwaitCarrier(Action):
    kind = "carrier"
    timeout_s: float = 20.0
    required: bool = False

    def describe(self) -> str:
        return "carrier"

    def do(self, context: Context) -> None:
        if context.system.until(lambda: context.link(self.index)[1].carrier, self.timeout_s):
            return
        told = f"none within {self.timeout_s:g} s"
        if self.required:
            raise SriovError(f"{context.name(self.index)} has no carrier: {told}")
        raise SkippedError(f"{told}; not waited for any longer")


@dataclass
class SetAutoprobe(Action):
    kind = "autoprobe"
    active: bool = False

    def describe(self) -> str:
        return f"drivers probe new functions {'at once' if self.active else 'only when told to'}"

    def do(self, context: Context) -> None:
        if context.system.sysfs.read(context.physical, "sriov_drivers_autoprobe") == str(int(self.active)):
            raise SkippedError("already so")
        self.begun = True
        set_autoprobe(context, self.active)

    def undo(self, context: Context) -> None:
        set_autoprobe(context, not self.active)


def set_autoprobe(context: Context, active: bool) -> None:
    context.system.sysfs.write_attribute(context.physical, "sriov_drivers_autoprobe", str(int(active)))


@dataclass
class Create(Action):
    kind = "create"
    number: int = 0

    def describe(self) -> str:
        return f"{self.number} virtual function{'s' if self.number > 1 else ''} created"

    def value(self) -> object:
        return self.number

    def do(self, context: Context) -> None:
        self.begun = True
        set_number(context, self.number)

    def undo(self, context: Context) -> None:
        set_number(context, 0)


def set_number(context: Context, number: int) -> None:
    context.system.sysfs.write_attribute(context.physical, "sriov_numvfs", str(number))


@dataclass
class Remove(Action):
    """Of all virtual functions; taking it back makes and sets them again as they were."""

    kind = "remove"
    before: PhysicalFunctionState | None = None

    def describe(self) -> str:
        number = self.before.number if self.before else 0
        return f"{number} virtual function{'s' if number > 1 else ''} removed"

    def do(self, context: Context) -> None:
        self.begun = True
        set_number(context, 0)

    def undo(self, context: Context) -> None:
        assert self.before is not None
        if context.system.sysfs.number(context.physical, "sriov_numvfs") == self.before.number:
            return  # it did not come to that
        autoprobe = bool(self.before.autoprobe)
        if autoprobe:
            set_autoprobe(context, False)
        try:
            set_number(context, self.before.number)
        finally:
            if autoprobe:
                set_autoprobe(context, True)
        for each in self.before.virtual_functions:
            restore(context, each)


@dataclass
class Configure(Action):
    """One setting that the physical function makes for a virtual function, or some that belong together."""

    kind = "configure"
    settings: Mapping[str, Any] = field(default_factory=dict)
    _before: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        return ", ".join(_phrase(name, value) for name, value in self.settings.items() if value is not None)

    def operation(self) -> str:
        """What `explain` knows it by."""
        first = next(iter(self.settings))
        return "rate" if "rate" in first else first

    def value(self) -> object:
        return next((value for value in self.settings.values() if value is not None), "")

    def do(self, context: Context) -> str | None:
        assert self.index is not None
        interface = context.physical_interface()
        present = _present(context, self.index)
        wanted = _completed(self.settings, present)
        if not differing(wanted, present):
            raise SkippedError("already so")
        self.begun, self._before = True, {name: getattr(present, name) for name in wanted}
        context.system.links.set_virtual_function(interface, self.index, wanted)
        left = differing(wanted, _present(context, self.index))
        if left:
            self.undo(context)
            raise SriovError(f"the driver of {interface} accepted {', '.join(left)} and did not set it")
        return None

    def undo(self, context: Context) -> str | None:
        assert self.index is not None
        before = {name: value for name, value in self._before.items() if value is not None}
        if not before:
            return "the driver did not tell what it was"
        context.system.links.set_virtual_function(context.physical_interface(), self.index, before)
        return None


@dataclass
class Readdress(Configure):
    """A new address for a virtual function whose driver is at work: it is deaf until its interface was down and up."""

    _own: str | None = None

    def do(self, context: Context) -> str | None:
        _, link = context.link(self.index)
        super().do(context)
        self._own = link.address
        if not link.up:
            return "the interface takes it when it is set up"
        try:
            return _take_address(context, self.index, self.settings["mac"])
        except Exception:
            self.undo(context)
            raise

    def undo(self, context: Context) -> str | None:
        remark = super().undo(context)
        namespace, link = context.link(self.index)
        if self._own is None or link.address.lower() == self._own.lower():
            return remark
        if self._before.get("mac") == NO_ADDRESS:  # the address was the interface's own affair
            context.system.links.set_address(link.name, self._own, namespace)
        elif link.up:
            _take_address(context, self.index, self._own)
        return remark


def _take_address(context: Context, index: int | None, mac: str) -> str:
    """The interface takes the address that was assigned: when it is set down and up, or else when it is told to.

    A trusted function comes up with the address it had, and may set another; one without trust may not.
    """
    for _ in range(_CYCLES):  # a card that is busy does not answer its virtual functions
        namespace, link = context.link(index)
        context.system.links.set_up(link.name, False, namespace)
        context.system.links.set_up(link.name, True, namespace)
        if _has_address(context, index, mac, _CYCLE_S):
            return "interface down and up"
    context.system.links.set_address(link.name, mac, namespace)
    _expect_address(context, index, mac)
    return "set at the interface too"


def _phrase(name: str, value: object) -> str:
    unit = " Mbit/s" if name.endswith("_mbit_s") else ""
    told = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
    return f"{name.removesuffix('_mbit_s').replace('_', ' ')} {told}{unit}"


def _present(context: Context, index: int) -> VfSettings:
    found = context.system.links.virtual_functions(context.physical_interface()).get(index)
    if found is None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return found


def _completed(settings: Mapping[str, Any], present: VfSettings) -> dict[str, Any]:
    """With what the kernel sets together with it: a VLAN without a priority has the priority it had."""
    together = dict(settings)
    if "vlan" in together and not together["vlan"]:
        return {"vlan": 0, "qos": 0, "vlan_protocol": None}
    for name, value in settings.items():
        if value is None:
            together[name] = getattr(present, name)
    return together


def differing(wanted: Mapping[str, Any], present: VfSettings) -> list[str]:
    """Names of what is not as it should be, as far as the driver tells."""
    found = []
    for name, value in wanted.items():
        told = getattr(present, name)
        if value is None or told is None:
            continue
        same = value.lower() == told.lower() if isinstance(value, str) else value == told
        if not same:
            found.append(name)
    return found


@dataclass
class OverrideDriver(Action):
    kind = "override"
    driver: str = ""
    _before: str | None = None

    def describe(self) -> str:
        return f"for driver {self.driver} only" if self.driver else "for any driver"

    def do(self, context: Context) -> None:
        address = context.address(self.index)
        present = context.system.sysfs.override(address)
        if (present or "") == self.driver:
            raise SkippedError("already so")
        self.begun, self._before = True, present
        set_override(context, address, self.driver)

    def undo(self, context: Context) -> None:
        set_override(context, context.address(self.index), self._before or "")


def set_override(context: Context, address: str, driver: str) -> None:
    """A newline alone takes the override away."""
    context.system.sysfs.write_attribute(address, "driver_override", driver or "\n")


@dataclass
class BindDriver(Action):
    """Offer a virtual function to the drivers, and see that one takes it.

    mac: the address that its interface should then have.
    """

    kind = "probe"
    driver: str | None = None
    mac: str | None = None

    def describe(self) -> str:
        return f"driver {self.driver or 'bound'}"

    def do(self, context: Context) -> str:
        address = context.address(self.index)
        present = context.system.sysfs.driver(address)
        if present is not None and self.driver in (None, present):
            raise SkippedError(f"{present} has it already")
        if self.driver is not None and not context.system.sysfs.has_driver(self.driver):
            raise SriovError(f"there is no driver {self.driver}: modprobe {self.driver}")
        self.begun = True
        taken = bind(context, address)
        try:
            if self.mac is not None and _makes_interface(context, address):
                _expect_address(context, self.index, self.mac)
        except Exception:
            context.system.sysfs.unbind(address)
            raise
        return taken

    def undo(self, context: Context) -> None:
        if context.system.sysfs.driver(context.address(self.index)) is not None:
            context.system.sysfs.unbind(context.address(self.index))


def _makes_interface(context: Context, address: str) -> bool:
    """vfio-pci and its like make none."""
    return context.system.until(lambda: find_interface(address, context.system)[1] is not None, _INTERFACE_WAIT_S)


def bind(context: Context, address: str) -> str:
    """Offer a function to the drivers, in spite of autoprobe being off; the driver that took it."""
    sysfs = context.system.sysfs
    off = sysfs.read(context.physical, "sriov_drivers_autoprobe") == "0" and sysfs.override(address) is None
    if off:
        set_autoprobe(context, True)
    try:

        def taken() -> bool:
            sysfs.probe(address)
            return sysfs.driver(address) is not None

        if not context.system.until(taken, _PROBE_TIMEOUT_S):
            kind = f"{(sysfs.read(address, 'vendor') or '')[2:]}:{(sysfs.read(address, 'device') or '')[2:]}"
            wanted = sysfs.override(address)
            hint = f"{wanted} refused it" if wanted else 'load one (modprobe), or ask for driver = "none"'
            raise SriovError(f"no loaded driver takes {address} ({kind}): {hint}")
    finally:
        if off:
            set_autoprobe(context, False)
    return sysfs.driver(address) or ""


def _has_address(context: Context, index: int | None, mac: str, timeout_s: float) -> bool:
    address = context.address(index)

    def settled() -> bool:
        _, link = find_interface(address, context.system)
        return link is not None and link.address.lower() == mac.lower()

    return context.system.until(settled, timeout_s)


def _expect_address(context: Context, index: int | None, mac: str, timeout_s: float = _INTERFACE_TIMEOUT_S) -> None:
    """A driver that makes an interface makes it with the address that was assigned."""
    if not _has_address(context, index, mac, timeout_s):
        _, link = find_interface(context.address(index), context.system)
        raise SriovError(f"its interface has address {link.address if link else 'none'}, and not {mac}")


@dataclass
class UnbindDriver(Action):
    """Taking it back binds the driver again, and gives the interface what it had."""

    kind = "unbind"
    before: VirtualFunctionState | None = None

    def describe(self) -> str:
        return f"driver {self.before.driver if self.before else ''} unbound"

    def do(self, context: Context) -> None:
        if context.system.sysfs.driver(context.address(self.index)) is None:
            raise SkippedError("it has none")
        self.begun = True
        context.system.sysfs.unbind(context.address(self.index))

    def undo(self, context: Context) -> None:
        assert self.before is not None
        bind(context, context.address(self.index))
        restore_interface(context, self.before)


@dataclass
class MoveToNamespace(Action):
    kind = "namespace"
    namespace: str | None = None
    _before: str | None = None
    _was_up: bool = False

    def describe(self) -> str:
        return f"interface into network namespace {self.namespace}"

    def value(self) -> object:
        return self.namespace

    def do(self, context: Context) -> None:
        present, link = context.link(self.index)
        if present == self.namespace:
            raise SkippedError("already there")
        self.begun, self._before, self._was_up = True, present, link.up
        context.system.links.move(link.name, present, self.namespace)

    def undo(self, context: Context) -> None:
        present, link = context.link(self.index)
        if present != self._before:
            context.system.links.move(link.name, present, self._before)
        if self._was_up:
            context.system.links.set_up(link.name, True, self._before)


def restore(context: Context, before: VirtualFunctionState) -> None:
    """A new virtual function becomes what an old one was."""
    interface = context.physical_interface()
    for names in GROUPS:
        settings = {name: getattr(before.settings, name) for name in names}
        present = _present(context, before.index)
        if settings.get("mac") == NO_ADDRESS and present.mac == NO_ADDRESS:
            continue
        if differing(settings, present):
            context.system.links.set_virtual_function(interface, before.index, settings)
    if before.override is not None:
        set_override(context, context.address(before.index), before.override)
    if before.driver is not None:
        bind(context, context.address(before.index))
        restore_interface(context, before)


def restore_interface(context: Context, before: VirtualFunctionState) -> None:
    if before.interface is None:
        return
    address = context.address(before.index)
    context.system.until(lambda: find_interface(address, context.system)[1] is not None, _INTERFACE_TIMEOUT_S)
    namespace, link = context.link(before.index)
    if before.queues is not None and context.system.links.queues(link.name, namespace) != before.queues:
        context.system.links.set_queues(link.name, before.queues)
    if before.namespace != namespace:
        context.system.links.move(link.name, namespace, before.namespace)
    if before.up:
        context.system.links.set_up(link.name, True, before.namespace)


GROUPS = (
    ("mac",),
    ("vlan", "qos", "vlan_protocol"),
    ("spoof_check",),
    ("trust",),
    ("link_state",),
    ("minimum_rate_mbit_s", "maximum_rate_mbit_s"),
)
"""Settings that the kernel sets together."""
