"""This network namespace's interfaces: what they are, and what about them helps or breaks raw frames."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import asdict, dataclass

from netmap_io.doctor import af_xdp, netdev, netmap
from netmap_io.doctor.ethtool import Card, ask
from netmap_io.doctor.finding import Finding, State, read_text

__all__ = ["Interface", "findings", "interfaces"]

_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGIFHWADDR = 0x8913, 0x8921, 0x8927
_UP, _LOOPBACK, _RUNNING = 1 << 0, 1 << 3, 1 << 6
_HARDWARE_ETHERNET, _HARDWARE_LOOPBACK = 1, 772

# feature of ethtool, what it does to raw frames, and its name for `ethtool -K`
_BREAKING = (
    ("rx-gro", "frames of a stream arrive merged, longer than the MTU", "gro"),
    ("rx-gro-hw", "the card merges frames of a stream", "rx-gro-hw"),
    ("rx-lro", "the card merges frames of a stream and cannot take them apart again", "lro"),
    (
        "rx-vlan-hw-parse",
        "VLAN tags are taken out of received frames (packet puts them back, AF_XDP cannot)",
        "rxvlan",
    ),
    ("rx-fcs", "frames arrive with their check sequence at the end", "rx-fcs"),
    ("tx-tcp-segmentation", "this machine's own frames are seen before they are cut, longer than the MTU", "tso"),
    ("tx-generic-segmentation", "this machine's own frames are seen before they are cut", "gso"),
)
_CHECKSUMS = ("tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What the kernel says of an interface; None where it does not."""

    name: str
    index: int
    mac: str | None
    mtu: int | None
    state: str
    """up, no carrier, down."""
    ethernet: bool
    driver: str | None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def interfaces() -> list[Interface]:
    """All of this network namespace, by index."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        return [_interface(asker, index, name) for index, name in socket.if_nameindex()]


def _interface(asker: socket.socket, index: int, name: str) -> Interface:
    flags = _ask(asker, name, _SIOCGIFFLAGS, "=H")
    kind_and_mac = _ask_octets(asker, name, _SIOCGIFHWADDR)
    kind = struct.unpack_from("=H", kind_and_mac)[0] if kind_and_mac else None
    state = "unknown"
    if flags is not None:
        state = "down" if not flags & _UP else "up" if flags & _RUNNING else "no carrier"
    ethernet = kind in (_HARDWARE_ETHERNET, _HARDWARE_LOOPBACK)
    return Interface(
        name=name,
        index=index,
        mac=kind_and_mac[2:8].hex(":") if kind_and_mac and ethernet else None,
        mtu=_ask(asker, name, _SIOCGIFMTU, "=i"),
        state=state,
        ethernet=ethernet,
        driver=ask(name).driver,
    )


def _ask_octets(asker: socket.socket, name: str, question: int) -> bytes | None:
    request = struct.pack("40s", name.encode()[:15])
    try:
        return fcntl.ioctl(asker, question, request)[16:]
    except OSError:
        return None


def _ask(asker: socket.socket, name: str, question: int, form: str) -> int | None:
    octets = _ask_octets(asker, name, question)
    return None if octets is None else int(struct.unpack_from(form, octets)[0])


def findings() -> list[Finding]:
    """About every interface of this network namespace."""
    found = []
    features = netdev.xdp_features()
    socket_errno = af_xdp.try_socket()
    for interface in interfaces():
        card = ask(interface.name)
        found.append(_plain(interface, card))
        if interface.ethernet:
            found.append(netmap.finding(interface.name, interface.driver))
            found.append(_xdp(interface, features, socket_errno))
            found += _queues(interface, card)
            found += _offloads(interface, card)
            found += _virtual_functions(interface)
    return found


def _plain(interface: Interface, card: Card) -> Finding:
    told = [f"driver {card.driver}" if card.driver else "driver not told"]
    told += [f"MAC {interface.mac}"] if interface.mac else []
    advice = {
        "down": f"ip link set {interface.name} up",
        "no carrier": "plug the cable in, or bring the other end up",
    }.get(interface.state, "")
    return Finding(
        subject=interface.name,
        name="link",
        state=State.GOOD if interface.state == "up" else State.LIMITED,
        fact=f"{interface.state}, MTU {interface.mtu}, {', '.join(told)}",
        advice=advice,
    )


def _xdp(interface: Interface, features: dict[int, int] | None, socket_errno: int) -> Finding:
    """AF_XDP modes: what the driver declares, and whether a bind in copy mode succeeds."""
    bits = None if features is None else features.get(interface.index)
    if bits is None:
        modes = "the kernel does not tell the driver's modes (Linux 6.3 does)"
    elif not bits & netdev.BASIC:
        modes = "generic mode only: the driver has no XDP"
    else:
        modes = "driver mode" + (", zero-copy" if bits & netdev.ZERO_COPY else ", no zero-copy")
    number = socket_errno or af_xdp.try_copy_mode(interface.index)
    zero_copy = bits is not None and bool(bits & netdev.ZERO_COPY)
    state = State.GOOD if zero_copy else State.LIMITED
    advice = "" if zero_copy else "zero-copy needs a card whose driver has it; copy mode works with any"
    tried = "bound in copy mode (tried)"
    if number:
        state, advice = State.ABSENT, _xdp_advice(number, interface.name)
        tried = f"binding in copy mode fails (tried): {af_xdp.reason(number)}"
    return Finding(subject=interface.name, name="AF_XDP", state=state, fact=f"{modes}; {tried}", advice=advice)


def _xdp_advice(number: int, name: str) -> str:
    return {
        errno.EPERM: "run as root, or give the program CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF",
        errno.EACCES: "run as root, or give the program CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF",
        errno.EAFNOSUPPORT: "a kernel with CONFIG_XDP_SOCKETS=y is needed",
        errno.ENETDOWN: f"ip link set {name} up",
        errno.EBUSY: "another AF_XDP socket has queue 0; stop it, or use another queue",
        errno.ENOBUFS: "raise the locked memory limit (ulimit -l unlimited)",
        errno.ENOMEM: "raise the locked memory limit (ulimit -l unlimited)",
    }.get(number, "use the packet driver on this interface")


def _queues(interface: Interface, card: Card) -> list[Finding]:
    found = []
    if card.queues:
        found.append(
            Finding(
                subject=interface.name,
                name="queues",
                state=State.GOOD,
                fact=f"{card.queues} of at most {card.most_queues}; an AF_XDP port sees one of them",
                advice=f"ethtool -L {interface.name} combined 1, to have all frames in one queue"
                if card.queues > 1
                else "",
            )
        )
    else:
        count = _sysfs_queues(interface)
        if count:
            fact = f"{count} receive (from sysfs)"
            found.append(Finding(subject=interface.name, name="queues", state=State.GOOD, fact=fact))
    slots = card.receive_slots
    if slots and slots[1]:
        small = slots[0] < slots[1]
        found.append(
            Finding(
                subject=interface.name,
                name="ring",
                state=State.LIMITED if small else State.GOOD,
                fact=f"{slots[0]} receive slots of at most {slots[1]}",
                advice=f"ethtool -G {interface.name} rx {slots[1]}, to lose less in bursts" if small else "",
            )
        )
    return found


def _sysfs_queues(interface: Interface) -> int:
    folder = _sysfs(interface)
    if folder is None:
        return 0
    try:
        return sum(name.startswith("rx-") for name in os.listdir(f"{folder}/queues"))
    except OSError:
        return 0


def _sysfs(interface: Interface) -> str | None:
    """The interface's folder; None where /sys shows another network namespace."""
    folder = f"/sys/class/net/{interface.name}"
    return folder if read_text(f"{folder}/ifindex") == str(interface.index) else None


def _offloads(interface: Interface, card: Card) -> list[Finding]:
    if not card.features:
        return [
            Finding(
                subject=interface.name,
                name="offloads",
                state=State.UNKNOWN,
                fact="the driver does not tell its offloads",
            )
        ]
    found = []
    for feature, effect, switch in _BREAKING:
        active, changeable = card.features.get(feature, (False, False))
        if active:
            advice = f"ethtool -K {interface.name} {switch} off" if changeable else "it cannot be switched off here"
            found.append(
                Finding(subject=interface.name, name=feature, state=State.LIMITED, fact=f"on: {effect}", advice=advice)
            )
    if any(card.features.get(name, (False, False))[0] for name in _CHECKSUMS):
        found.append(
            Finding(
                subject=interface.name,
                name="tx-checksum",
                state=State.LIMITED,
                fact="on: this machine's own frames are seen before their checksums are made",
                advice=f"ethtool -K {interface.name} tx off",
            )
        )
    if not found:
        fact = "none is on that changes raw frames"
        found.append(Finding(subject=interface.name, name="offloads", state=State.GOOD, fact=fact))
    return found


def _virtual_functions(interface: Interface) -> list[Finding]:
    """SR-IOV, where the card has it, or is a virtual function itself."""
    folder = _sysfs(interface)
    if folder is None:
        return []

    def finding(fact: str, advice: str = "") -> list[Finding]:
        return [Finding(subject=interface.name, name="SR-IOV", state=State.GOOD, fact=fact, advice=advice)]

    device = f"{folder}/device"
    if os.path.exists(f"{device}/physfn"):
        return finding(_place(device))
    total, made = read_text(f"{device}/sriov_totalvfs"), read_text(f"{device}/sriov_numvfs")
    if not total or total == "0":
        return []
    advice = f"netmap-io sriov apply --interface {interface.name} --number N makes N of them" if made == "0" else ""
    return finding(f"{made} of at most {total} virtual functions made", advice)


def _place(device: str) -> str:
    """Which virtual function of which physical function."""
    physical = os.path.realpath(f"{device}/physfn")
    try:
        own = os.path.realpath(device)
        number = next(
            name.removeprefix("virtfn")
            for name in os.listdir(physical)
            if name.startswith("virtfn") and os.path.realpath(f"{physical}/{name}") == own
        )
        names = os.listdir(f"{physical}/net") if os.path.isdir(f"{physical}/net") else []
    except (OSError, StopIteration):
        return "a virtual function; which one is not told here"
    return f"virtual function {number} of {' and '.join(sorted(names)) or os.path.basename(physical)}"
