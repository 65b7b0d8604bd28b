"""What there is: a physical function and its virtual functions, as the kernel tells it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from netmap_io.sriov.errors import SriovError
from netmap_io.sriov.links import Link, Links, NetlinkLinks, VfSettings
from netmap_io.sriov.sysfs import Sysfs

__all__ = ["PhysicalFunctionState", "System", "VirtualFunctionState", "observe", "observe_all"]


@dataclass
class System:
    """The kernel and a clock; other ones in tests only."""

    sysfs: Sysfs = field(default_factory=Sysfs)
    links: Links = field(default_factory=NetlinkLinks)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.links.close()

    def until(self, condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.05) -> bool:
        """Wait for a condition; False: it did not come about in time."""
        end = self.clock() + timeout_s
        while not condition():
            if self.clock() >= end:
                return False
            self.sleep(pause_s)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFunctionState:
    """One virtual function.  settings: what the physical function has set for it.

    override: the driver that alone may have it.  interface, namespace: where it has one; namespace None is ours.
    """

    index: int
    pci_address: str
    driver: str | None
    override: str | None
    interface: str | None
    namespace: str | None
    address: str | None
    up: bool
    carrier: bool
    queues: int | None
    settings: VfSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalFunctionState:
    """A card's port.  autoprobe: whether new virtual functions are offered to the drivers at once."""

    interface: str | None
    pci_address: str
    driver: str | None
    total: int
    """How many virtual functions it can have."""
    autoprobe: bool | None
    up: bool
    carrier: bool
    queues: int | None
    virtual_functions: tuple[VirtualFunctionState, ...]

    @property
    def number(self) -> int:
        return len(self.virtual_functions)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def observe(name: str, system: System) -> PhysicalFunctionState:
    """`name` is an interface or a PCI address.  Raises SriovError where it is no physical function."""
    address = system.sysfs.address_of(name)
    if address is None:
        offers = ", ".join(_offers(system)) or "this machine shows none"
        raise SriovError(f"{name} is no interface and no address of a PCI function; physical functions: {offers}")
    physical = system.sysfs.read(address, "physfn/vendor")
    if physical is not None:
        raise SriovError(f"{name} is itself a virtual function: name its physical function")
    if not system.sysfs.number(address, "sriov_totalvfs"):
        raise SriovError(f"{name} ({address}) has no SR-IOV")
    return _observe(address, system)


def observe_all(system: System) -> list[PhysicalFunctionState]:
    """Every physical function of a network kind."""
    return [_observe(address, system) for address in system.sysfs.physical_functions()]


def _offers(system: System) -> Iterator[str]:
    for address in system.sysfs.physical_functions():
        yield from system.sysfs.interfaces(address) or [address]


def _observe(address: str, system: System) -> PhysicalFunctionState:
    sysfs = system.sysfs
    own = system.links.links()
    interface = next((name for name in sysfs.interfaces(address) if name in own), None)
    link = own[interface] if interface else None
    settings = system.links.virtual_functions(interface) if interface else {}
    autoprobe = sysfs.read(address, "sriov_drivers_autoprobe")
    return PhysicalFunctionState(
        interface=interface,
        pci_address=address,
        driver=sysfs.driver(address),
        total=sysfs.number(address, "sriov_totalvfs") or 0,
        autoprobe=None if autoprobe is None else autoprobe == "1",
        up=bool(link and link.up),
        carrier=bool(link and link.carrier),
        queues=system.links.queues(interface) if interface else None,
        virtual_functions=tuple(
            virtual_function(index, each, settings.get(index, VfSettings()), system)
            for index, each in sysfs.virtual_functions(address).items()
        ),
    )


def virtual_function(index: int, address: str, settings: VfSettings, system: System) -> VirtualFunctionState:
    """One virtual function, its interface looked for in our namespace and then in those that have names."""
    namespace, link = find_interface(address, system)
    return VirtualFunctionState(
        index=index,
        pci_address=address,
        driver=system.sysfs.driver(address),
        override=system.sysfs.override(address),
        interface=link.name if link else None,
        namespace=namespace,
        address=link.address if link else None,
        up=bool(link and link.up),
        carrier=bool(link and link.carrier),
        queues=system.links.queues(link.name, namespace) if link else None,
        settings=settings,
    )


def find_interface(address: str, system: System) -> tuple[str | None, Link | None]:
    """Namespace and interface of a PCI function; no interface: it has none, or in a namespace without a name."""
    own = system.links.links()
    for name in system.sysfs.interfaces(address):
        if name in own:
            return None, own[name]
    link = _of(address, own)
    if link is not None or system.sysfs.driver(address) is None:
        return None, link
    for namespace in system.links.namespaces():
        with suppress(OSError):  # one that has gone, or that we may not enter
            link = _of(address, system.links.links(namespace))
            if link is not None:
                return namespace, link
    return None, None


def _of(address: str, links: dict[str, Link]) -> Link | None:
    return next((link for link in links.values() if link.parent == address), None)
