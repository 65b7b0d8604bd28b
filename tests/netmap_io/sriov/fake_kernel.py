"""A card with SR-IOV and the kernel around it: a tree of files like /sys, and interfaces in memory.

It behaves as was measured of igb and igbvf (and as vfio-pci would): errnos, who may probe what when, addresses that are
taken only when an interface was down and up.  It shares nothing with the code under test but the two seams' signatures.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netmap_io.sriov.links import Link, VfSettings
from netmap_io.sriov.state import System
from netmap_io.sriov.sysfs import Sysfs

PHYSICAL = "0000:01:00.0"
INTERFACE = "eth0"
OTHER = "0000:02:00.0"
ZERO = "00:00:00:00:00:00"
FRESH = VfSettings(
    mac=ZERO,
    vlan=0,
    qos=0,
    vlan_protocol="802.1Q",
    spoof_check=True,
    trust=False,
    link_state="auto",
    minimum_rate_mbit_s=0,
    maximum_rate_mbit_s=0,
)
MAKES_INTERFACE = {"igbvf": True, "vfio-pci": False}


def change(method):
    """A method that changes something; may fail before it does, or be interrupted right after."""

    @functools.wraps(method)
    def wrapped(self, *arguments):
        kernel = self if isinstance(self, FakeKernel) else self._kernel
        kernel.changes += 1
        fails = kernel.fail_at == kernel.changes
        if fails and not kernel.fail_late:
            kernel.fail()
        method(self, *arguments)
        if fails:
            kernel.fail()

    return wrapped


def refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


@dataclass
class Function:
    """A virtual function."""

    address: str
    settings: VfSettings = FRESH
    driver: str | None = None
    override: str = ""
    interface: str | None = None
    namespace: str | None = None
    own: str = ""
    """Address of the interface."""
    up: bool = False
    queues: int = 1


@dataclass
class FakeKernel:
    """total: virtual functions that the card can have.  unsupported: settings that its driver does not have."""

    root: Path
    total: int = 4
    unsupported: frozenset[str] = frozenset()
    drivers: tuple[str, ...] = ("igbvf", "vfio-pci")
    cable: bool = True
    up: bool = False
    queues: int = 2
    functions: list[Function] = field(default_factory=list)
    spaces: tuple[str, ...] = ("orbit",)
    changes: int = 0
    """How often somebody changed something, or tried to."""
    fail_at: int | None = None
    """The number of the change that fails, once."""
    fail_with: BaseException | None = None
    fail_late: bool = False
    """Whether it fails after the change and not before."""
    now: float = 0.0
    _names: int = 0

    def __post_init__(self) -> None:
        folder = self.root / "bus/pci/devices" / PHYSICAL
        (folder / "net" / INTERFACE).mkdir(parents=True)
        (self.root / "class/net" / INTERFACE).mkdir(parents=True)
        (self.root / "class/net" / INTERFACE / "device").symlink_to(folder)
        for driver in ("igb", *self.drivers):
            (self.root / "bus/pci/drivers" / driver).mkdir(parents=True)
        (folder / "driver").symlink_to(self.root / "bus/pci/drivers/igb")
        for name, text in (
            *(("class", "0x020000"), ("vendor", "0x8086"), ("device", "0x10c9")),
            *(("sriov_totalvfs", str(self.total)), ("sriov_numvfs", "0"), ("sriov_drivers_autoprobe", "1")),
        ):
            (folder / name).write_text(f"{text}\n")
        plain = self.root / "bus/pci/devices" / OTHER
        plain.mkdir()
        (plain / "class").write_text("0x010802\n")

    @property
    def system(self) -> System:
        return System(sysfs=FakeSysfs(self), links=FakeLinks(self), clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def fail(self) -> None:
        self.fail_at = None
        raise self.fail_with or OSError(errno.EIO, os.strerror(errno.EIO))

    def attribute(self, name: str) -> str:
        return (self.root / "bus/pci/devices" / PHYSICAL / name).read_text().strip()

    def fingerprint(self) -> dict[str, Any]:
        """All that a request may change; addresses that nobody assigned are the interface's own affair."""
        functions = [
            replace(each, interface=None, own="" if each.settings.mac == ZERO else each.own) for each in self.functions
        ]
        return {
            "functions": [vars(each) for each in functions],
            "autoprobe": self.attribute("sriov_drivers_autoprobe"),
            "numvfs": self.attribute("sriov_numvfs"),
            "up": self.up,
            "queues": self.queues,
        }

    # what writing to /sys does

    @change
    def write(self, path: str, text: str) -> None:
        *folder, name = path.split("/")
        if name == "sriov_numvfs":
            self._set_number(text)
        elif name == "sriov_drivers_autoprobe":
            if text not in ("0", "1"):
                refuse(errno.EINVAL)
            (self.root / path).write_text(f"{text}\n")
        elif name == "drivers_probe":
            self._probe(self._function(text))
        elif name == "unbind":
            function = self._function(text)
            if function.driver != folder[-1]:
                refuse(errno.ENODEV)
            self._unbind(function)
        elif name == "driver_override":
            self._function(folder[-1]).override = text.strip()
            (self.root / path).write_text(f"{text.strip() or '(null)'}\n")
        else:
            refuse(errno.EACCES)

    def _function(self, address: str) -> Function:
        for function in self.functions:
            if function.address == address:
                return function
        refuse(errno.ENODEV)
        raise AssertionError

    def _set_number(self, text: str) -> None:
        if not text.isdecimal() or int(text) > 0xFFFF:
            refuse(errno.EINVAL)
        number = int(text)
        if number == len(self.functions):
            return
        if number and self.functions:
            refuse(errno.EBUSY)
        if number > self.total:
            refuse(errno.ERANGE)
        folder = self.root / "bus/pci/devices"
        for index, function in enumerate(self.functions):
            self._unbind(function)
            (folder / PHYSICAL / f"virtfn{index}").unlink()
            for file in ("vendor", "device", "driver_override"):
                (folder / function.address / file).unlink()
            (folder / function.address / "physfn").unlink()
            (folder / function.address).rmdir()
        self.functions = [Function(f"0000:01:10.{index}") for index in range(number)]
        for index, function in enumerate(self.functions):
            own = folder / function.address
            own.mkdir()
            (own / "physfn").symlink_to(folder / PHYSICAL)
            for file, content in (("vendor", "0x8086"), ("device", "0x10ca"), ("driver_override", "(null)")):
                (own / file).write_text(f"{content}\n")
            (folder / PHYSICAL / f"virtfn{index}").symlink_to(f"../{function.address}")
        (folder / PHYSICAL / "sriov_numvfs").write_text(f"{number}\n")
        if self.attribute("sriov_drivers_autoprobe") == "1":
            for function in self.functions:
                self._probe(function)

    def _probe(self, function: Function) -> None:
        allowed = function.override or self.attribute("sriov_drivers_autoprobe") == "1"
        wanted = function.override or "igbvf"
        if function.driver is not None or not allowed or wanted not in self.drivers:
            return
        function.driver = wanted
        own = self.root / "bus/pci/devices" / function.address
        (own / "driver").symlink_to(self.root / "bus/pci/drivers" / wanted)
        if MAKES_INTERFACE[wanted]:
            self._names += 1
            function.interface = f"eth{self._names}"
            assigned = function.settings.mac
            function.own = f"0a:00:00:00:00:{self._names % 256:02x}" if assigned in (None, ZERO) else str(assigned)
            function.queues = 1
            (own / "net" / function.interface).mkdir(parents=True)

    def _unbind(self, function: Function) -> None:
        if function.driver is None:
            return
        own = self.root / "bus/pci/devices" / function.address
        (own / "driver").unlink()
        if function.interface is not None:
            if function.namespace is None:
                (own / "net" / function.interface).rmdir()
            (own / "net").rmdir()
        function.driver = function.interface = function.namespace = None
        function.up, function.own = False, ""


class FakeSysfs(Sysfs):
    """Reads the tree; the kernel writes."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel.root)
        self._kernel = kernel

    def write(self, path: str, text: str) -> None:
        self._kernel.write(path, text)


class FakeLinks:
    """Interfaces."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def close(self) -> None:
        pass

    def links(self, namespace: str | None = None) -> dict[str, Link]:
        kernel = self._kernel
        found = [self._link(each) for each in kernel.functions if each.interface and each.namespace == namespace]
        if namespace is None:
            carrier = kernel.up and kernel.cable
            own = {"index": 2, "name": INTERFACE, "up": kernel.up, "carrier": carrier, "address": "52:54:00:00:00:01"}
            found.append(Link(**own, parent=PHYSICAL))
        elif namespace not in kernel.spaces:
            refuse(errno.ENOENT)
        return {link.name: link for link in found}

    def _link(self, function: Function) -> Link:
        carrier = function.up and self._kernel.up and self._kernel.cable
        return Link(
            index=int(str(function.interface)[3:]) + 2,
            name=str(function.interface),
            up=function.up,
            carrier=carrier,
            address=function.own,
            parent=function.address,
        )

    def _function(self, name: str, namespace: str | None) -> Function:
        for function in self._kernel.functions:
            if function.interface == name and function.namespace == namespace:
                return function
        refuse(errno.ENODEV)
        raise AssertionError

    def namespaces(self) -> list[str]:
        return list(self._kernel.spaces)

    @change
    def set_up(self, name: str, up: bool, namespace: str | None = None) -> None:
        if name == INTERFACE:
            self._kernel.up = up
            return
        function = self._function(name, namespace)
        assigned = function.settings.mac
        if assigned not in (None, ZERO) and not function.settings.trust:
            function.own = str(assigned)
        function.up = up

    @change
    def set_address(self, name: str, address: str, namespace: str | None = None) -> None:
        function = self._function(name, namespace)
        if function.settings.mac not in (None, ZERO, address) and not function.settings.trust:
            refuse(errno.EADDRNOTAVAIL)
        function.own = address

    @change
    def move(self, name: str, origin: str | None, destination: str | None) -> None:
        if destination is not None and destination not in self._kernel.spaces:
            refuse(errno.ENOENT)
        function = self._function(name, origin)
        net = self._kernel.root / "bus/pci/devices" / function.address / "net" / name
        if origin is None:
            net.rmdir()
        function.namespace, function.up = destination, False
        if destination is None:
            net.mkdir()

    def queues(self, name: str, namespace: str | None = None) -> int | None:
        return self._kernel.queues if name == INTERFACE else self._function(name, namespace).queues

    @change
    def set_queues(self, name: str, count: int) -> None:
        if count > 4:
            refuse(errno.EINVAL)
        if name == INTERFACE:
            self._kernel.queues = count
        else:
            self._function(name, None).queues = count

    def virtual_functions(self, name: str) -> dict[int, VfSettings]:
        assert name == INTERFACE
        return {index: each.settings for index, each in enumerate(self._kernel.functions)}

    @change
    def set_virtual_function(self, name: str, index: int, settings: Mapping[str, Any]) -> None:
        assert name == INTERFACE
        if index >= len(self._kernel.functions):
            refuse(errno.EINVAL)
        if self._kernel.unsupported & settings.keys():
            refuse(errno.EOPNOTSUPP)
        if settings.get("vlan_protocol") not in (None, "802.1Q"):
            refuse(errno.EPROTONOSUPPORT)
        given = {key: value for key, value in settings.items() if value is not None}
        function = self._kernel.functions[index]
        function.settings = replace(function.settings, **given)
