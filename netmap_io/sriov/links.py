"""The second seam: rtnetlink and ethtool, through pyroute2, which is slow to load and is loaded by nobody else.

What the kernel refuses is an OSError with the kernel's errno.  A namespace is a name in /run/netns; None is our own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from netmap_io.sriov.vlan_message import set_vlan

__all__ = ["UNKNOWN_LINK_STATE", "Link", "Links", "NetlinkLinks", "VfSettings"]

LINK_STATES = ("auto", "enable", "disable")
UNKNOWN_LINK_STATE = "unknown"
_VLAN_PROTOCOLS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
_VLAN_PROTOCOL_NUMBERS = {name: number for number, name in _VLAN_PROTOCOLS.items()}
_NOT_TOLD = 0xFFFFFFFF
_UP, _LOWER_UP = 1 << 0, 1 << 16
_EXTENDED_WITH_VIRTUAL_FUNCTIONS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface."""

    index: int
    name: str
    up: bool
    carrier: bool
    address: str
    parent: str | None
    """PCI address of its function; Linux tells since 5.14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VfSettings:
    """What a physical function has set for one of its virtual functions; None where its driver does not tell."""

    mac: str | None = None
    vlan: int | None = None
    qos: int | None = None
    vlan_protocol: str | None = None
    spoof_check: bool | None = None
    trust: bool | None = None
    link_state: str | None = None
    minimum_rate_mbit_s: int | None = None
    maximum_rate_mbit_s: int | None = None


class Links(Protocol):
    """What is asked of rtnetlink and ethtool."""

    def close(self) -> None: ...

    def links(self, namespace: str | None = None) -> dict[str, Link]:
        """Interfaces by name."""

    def namespaces(self) -> list[str]:
        """Names of network namespaces."""

    def set_up(self, name: str, up: bool, namespace: str | None = None) -> None: ...

    def set_address(self, name: str, address: str, namespace: str | None = None) -> None: ...

    def move(self, name: str, origin: str | None, destination: str | None) -> None:
        """Into another namespace, where it arrives down."""

    def queues(self, name: str, namespace: str | None = None) -> int | None:
        """How many channels an interface has; None where its driver does not tell."""

    def set_queues(self, name: str, count: int) -> None: ...

    def virtual_functions(self, name: str) -> dict[int, VfSettings]:
        """Of a physical function's interface."""

    def set_virtual_function(self, name: str, index: int, settings: Mapping[str, Any]) -> None:
        """Set one thing: some of VfSettings' fields that go together (vlan, qos and vlan_protocol; both rates)."""


@dataclass
class NetlinkLinks:
    """The kernel's."""

    _sockets: dict[str | None, Any] = field(default_factory=dict)

    def close(self) -> None:
        for socket in self._sockets.values():
            socket.close()
        self._sockets.clear()

    def links(self, namespace: str | None = None) -> dict[str, Link]:
        with _errors():
            found = [_link(message) for message in self._socket(namespace).get_links()]
        return {link.name: link for link in found}

    def namespaces(self) -> list[str]:
        from pyroute2 import netns

        return sorted(netns.listnetns())

    def set_up(self, name: str, up: bool, namespace: str | None = None) -> None:
        with _errors():
            socket = self._socket(namespace)
            socket.link("set", index=self._index(name, namespace), state="up" if up else "down")

    def set_address(self, name: str, address: str, namespace: str | None = None) -> None:
        with _errors():
            self._socket(namespace).link("set", index=self._index(name, namespace), address=address)

    def move(self, name: str, origin: str | None, destination: str | None) -> None:
        path = "/proc/thread-self/ns/net" if destination is None else f"/run/netns/{destination}"
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with _errors():
                self._socket(origin).link("set", index=self._index(name, origin), net_ns_fd=descriptor)
        finally:
            os.close(descriptor)

    def queues(self, name: str, namespace: str | None = None) -> int | None:
        with _inside(namespace), _errors(unsupported_is_none=True), closing(_ethtool(name)) as card:
            channels = card.get_channels()
            return int(channels.combined_count or max(channels.rx_count, channels.tx_count)) or None
        return None

    def set_queues(self, name: str, count: int) -> None:
        with _errors(), closing(_ethtool(name)) as card:
            channels = card.get_channels()
            if channels.max_combined:
                channels.combined_count = count
            else:
                channels.rx_count = channels.tx_count = count
            card.set_channels(channels)

    def virtual_functions(self, name: str) -> dict[int, VfSettings]:
        with _errors():
            index = self._index(name, None)
            answer = self._socket(None).link("get", index=index, ext_mask=_EXTENDED_WITH_VIRTUAL_FUNCTIONS)
        rows = answer[0].get_attr("IFLA_VFINFO_LIST")
        rows = [] if rows is None else rows.get_attrs("IFLA_VF_INFO")
        return {row.get_attr("IFLA_VF_MAC")["vf"]: _settings(row) for row in rows}

    def set_virtual_function(self, name: str, index: int, settings: Mapping[str, Any]) -> None:
        with _errors():
            number = self._index(name, None)
            protocol = settings.get("vlan_protocol")
            if settings.get("vlan") and protocol not in (None, "802.1Q"):
                tag = _VLAN_PROTOCOL_NUMBERS[protocol]
                set_vlan(number, index, settings["vlan"], settings.get("qos") or 0, tag)
            else:
                self._socket(None).link("set", index=number, vf={"vf": index, **_spoken(settings)})

    def _socket(self, namespace: str | None) -> Any:
        from pyroute2.iproute.linux import IPRoute

        if namespace not in self._sockets:
            with _inside(namespace):
                self._sockets[namespace] = IPRoute()
        return self._sockets[namespace]

    def _index(self, name: str, namespace: str | None) -> int:
        found = self._socket(namespace).link_lookup(ifname=name)
        if not found:
            raise OSError(errno.ENODEV, f"there is no interface {name}")
        return int(found[0])


def _link(message: Any) -> Link:
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        up=bool(message["flags"] & _UP),
        carrier=bool(message["flags"] & _LOWER_UP),
        address=message.get_attr("IFLA_ADDRESS") or "",
        parent=message.get_attr("IFLA_PARENT_DEV_NAME"),
    )


def _settings(row: Any) -> VfSettings:
    def told(attribute: str, name: str) -> int | None:
        value = row.get_attr(attribute)
        return None if value is None or value[name] == _NOT_TOLD else int(value[name])

    def flag(attribute: str, name: str) -> bool | None:
        value = told(attribute, name)
        return None if value is None else bool(value)

    state = told("IFLA_VF_LINK_STATE", "link_state")
    tags = row.get_attr("IFLA_VF_VLAN_LIST")
    tag = None if tags is None else tags.get_attr("IFLA_VF_VLAN_INFO")
    return VfSettings(
        mac=row.get_attr("IFLA_VF_MAC")["mac"],
        vlan=told("IFLA_VF_VLAN", "vlan"),
        qos=told("IFLA_VF_VLAN", "qos"),
        vlan_protocol=None if tag is None else _VLAN_PROTOCOLS.get(tag["proto"]),
        spoof_check=flag("IFLA_VF_SPOOFCHK", "spoofchk"),
        trust=flag("IFLA_VF_TRUST", "trust"),
        link_state=None if state is None else LINK_STATES[state] if state < len(LINK_STATES) else UNKNOWN_LINK_STATE,
        minimum_rate_mbit_s=told("IFLA_VF_RATE", "min_tx_rate"),
        maximum_rate_mbit_s=told("IFLA_VF_RATE", "max_tx_rate"),
    )


def _spoken(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in pyroute2's words; a VLAN is of 802.1Q here."""
    spoken: dict[str, Any] = {}
    if "mac" in settings:
        spoken["mac"] = settings["mac"]
    if "vlan" in settings:
        spoken["vlan"] = {"vlan": settings["vlan"], "qos": settings.get("qos") or 0}
    for name, word in (("spoof_check", "spoofchk"), ("trust", "trust")):
        if name in settings:
            spoken[word] = int(settings[name])
    if "link_state" in settings:
        spoken["link_state"] = LINK_STATES.index(settings["link_state"])
    if "maximum_rate_mbit_s" in settings or "minimum_rate_mbit_s" in settings:
        low, high = settings.get("minimum_rate_mbit_s"), settings.get("maximum_rate_mbit_s")
        spoken["rate"] = {"min_tx_rate": low or 0, "max_tx_rate": high or 0}
    return spoken


def _ethtool(name: str) -> Any:
    from pyroute2.ethtool.ioctl import IoctlEthtool

    return IoctlEthtool(name)


@contextmanager
def _errors(*, unsupported_is_none: bool = False) -> Iterator[None]:
    """pyroute2's errors as OSError with the kernel's errno."""
    from pyroute2.ethtool.ioctl import NoSuchDevice, NotSupportedError
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NotSupportedError as error:
        if not unsupported_is_none:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error
    except NoSuchDevice as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error


@contextmanager
def _inside(namespace: str | None) -> Iterator[None]:
    """This thread is in a network namespace within the block, and back after it."""
    if namespace is None:
        yield
        return
    from pyroute2 import netns

    flags = os.O_RDONLY | os.O_CLOEXEC
    before = os.open("/proc/thread-self/ns/net", flags)
    try:
        wanted = os.open(f"/run/netns/{namespace}", flags)
        try:
            netns.setns(wanted)
        finally:
            os.close(wanted)
        try:
            yield
        finally:
            netns.setns(before)
    finally:
        os.close(before)
