"""tap: Ethernet frames of a network interface that is this program.

Source: Linux, Documentation/networking/tuntap.rst; the kernel's drops by rtnetlink(7).

What the system sends through the interface is received here; what is sent here, the system receives through it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass

from netmap_io import _native
from netmap_io.burst import Burst
from netmap_io.drivers.descriptor import DescriptorPort, refused, yes_or_no
from netmap_io.errors import PortAddressError, PortSystemError
from netmap_io.port import Capabilities, Counters, LinkType, Options

__all__ = ["TapPort", "TapSettings", "open_address"]

_DEVICE = "/dev/net/tun"
_NAME_OCTETS = 15
_HEADER_OCTETS = 14
_VLAN_OCTETS = 4
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE, _IFF_TUN_EXCL = 0x0002, 0x1000, 0x4000, 0x0100, 0x8000
_TUNSETIFF, _TUNSETPERSIST, _TUNSETOFFLOAD = 0x400454CA, 0x400454CB, 0x400454D0
_TUN_F_CSUM = 0x01
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCGIFMTU, _SIOCSIFMTU = 0x8913, 0x8914, 0x8921, 0x8922
_SIOCGIFHWADDR, _SIOCSIFHWADDR = 0x8927, 0x8924
_SIOCGIFINDEX = 0x8933
_IFF_UP = 0x1
_RTM_NEWLINK, _RTM_GETLINK, _IFLA_STATS64, _TX_DROPPED = 16, 18, 23, 7
_ARPHRD_ETHER = 1
_GONE = {errno.EBADFD, errno.ENODEV}


@dataclass(frozen=True, slots=True, kw_only=True)
class TapSettings:
    """What a TapPort is to be.

    name: of the interface; with %d in it the system counts.  create: "no" attaches only to one that is there already,
    "exclusive" makes a new one or fails.  up: set it up.  persistent: it stays when the port is closed (None: as it
    is).  multi_queue: each port of that name is a queue of it.  checksums: let the system leave them to us; they are
    completed here.
    """

    name: str = "tap%d"
    create: str = "yes"
    up: bool = True
    persistent: bool | None = None
    multi_queue: bool = False
    checksums: bool = False
    mac: bytes | None = None
    mtu: int | None = None


class TapPort(DescriptorPort):
    """One queue of a tap interface."""

    def __init__(self, settings: TapSettings) -> None:
        """Attach to the interface, in the network namespace of this thread.  Raises PortSystemError."""
        self.settings = settings
        self._what = f"open tap:{settings.name}"
        if settings.create == "no":
            self._require_there(settings.name)
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._tap = -1
        try:
            self._tap = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self.name = self._attach()
            """Of the interface."""
            self._set_up()
            super().__init__(self._told())
        except OSError as error:
            self._close_descriptors()
            raise self._refused(error) from None
        except BaseException:
            self._close_descriptors()
            raise
        self._native = _native.TapDevice(settings.checksums)
        self._gone = False
        self.readiness.add(self._tap)

    def _require_there(self, name: str) -> None:
        try:
            socket.if_nametoindex(name)
        except OSError:
            raise PortSystemError(f"cannot {self._what}: there is no interface of that name") from None

    def _refused(self, error: OSError) -> PortSystemError:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return PortSystemError(f"cannot {self._what}: this system has no {_DEVICE} (load the module tun)")
        if error.errno in (errno.EPERM, errno.EACCES):
            return PortSystemError(f"cannot {self._what}: it needs CAP_NET_ADMIN, or an interface that is this user's")
        if error.errno == errno.EBUSY:
            return PortSystemError(f"cannot {self._what}: it is busy, or there is an interface of that name already")
        if error.errno == errno.EINVAL:
            return PortSystemError(f"cannot {self._what}: there is such an interface, but of another kind")
        return refused(self._what, error)

    def _attach(self) -> str:
        settings = self.settings
        flags = _IFF_TAP | _IFF_NO_PI
        flags |= _IFF_MULTI_QUEUE if settings.multi_queue else 0
        flags |= _IFF_VNET_HDR if settings.checksums else 0
        flags |= _IFF_TUN_EXCL if settings.create == "exclusive" else 0
        answer = fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("=16sH22x", os.fsencode(settings.name), flags))
        fcntl.ioctl(self._tap, _TUNSETOFFLOAD, _TUN_F_CSUM if settings.checksums else 0)
        if settings.persistent is not None:
            fcntl.ioctl(self._tap, _TUNSETPERSIST, int(settings.persistent))
        return os.fsdecode(answer[:16].rstrip(b"\0"))

    def _set_up(self) -> None:
        settings = self.settings
        if settings.mac is not None:
            self._ask(_SIOCSIFHWADDR, struct.pack("=H6s", _ARPHRD_ETHER, settings.mac))
        if settings.mtu is not None:
            self._ask(_SIOCSIFMTU, struct.pack("=i", settings.mtu))
        if settings.up:
            self._flag_up(True)

    def _told(self) -> Capabilities:
        (mtu,) = struct.unpack_from("=i", self._ask(_SIOCGIFMTU))
        return Capabilities(
            link_type=LinkType.ETHERNET,
            maximum_frame_octets=mtu + _HEADER_OCTETS + _VLAN_OCTETS,
            timestamp_source="system clock, when read",
            mac=self._ask(_SIOCGIFHWADDR)[2:8],
            mtu=mtu,
        )

    def _ask(self, request: int, argument: bytes = b"") -> bytes:
        """An ioctl about the interface: what it answers behind the name."""
        octets = struct.pack("=16s", os.fsencode(self.name)) + argument.ljust(24, b"\0")
        return fcntl.ioctl(self._control.fileno(), request, octets)[16:]

    @property
    def up(self) -> bool:
        """Whether the interface is set up; when it is not, nothing comes and nothing can be sent."""
        try:
            (flags,) = struct.unpack_from("=H", self._ask(_SIOCGIFFLAGS))
        except OSError as error:
            raise refused(f"ask {self.name} for its state", error) from None
        return bool(flags & _IFF_UP)

    def set_up(self, up: bool) -> None:
        """Set the interface up or down."""
        self.require_open()
        try:
            self._flag_up(up)
        except OSError as error:
            raise refused(f"set {self.name} {'up' if up else 'down'}", error) from None

    def _flag_up(self, up: bool) -> None:
        (flags,) = struct.unpack_from("=H", self._ask(_SIOCGIFFLAGS))
        self._ask(_SIOCSIFFLAGS, struct.pack("=H", flags | _IFF_UP if up else flags & ~_IFF_UP))

    @property
    def account(self) -> dict[str, int]:
        """completed_checksums, malformed."""
        return self._native.account()

    @property
    def counters(self) -> Counters:
        self._counters.dropped_by_port = self._native.account()["malformed"]
        if not self.closed and not self._gone:
            self._counters.dropped_by_kernel = self._kernel_drops()
        return self._counters

    def _kernel_drops(self) -> int | None:
        """Frames that found the interface's queue full or it down, as it counts them; None: not told."""
        try:
            (index,) = struct.unpack_from("=i", self._ask(_SIOCGIFINDEX))
            request = struct.pack("=IHHIIBxHiII", 32, _RTM_GETLINK, 1, 1, 0, 0, 0, index, 0, 0)
            self._netlink.send(request)
            answer = self._netlink.recv(65536)
        except OSError:
            return None
        (kind,) = struct.unpack_from("=H", answer, 4)
        at = 32  # behind both headers
        while kind == _RTM_NEWLINK and at + 4 <= len(answer):
            length, attribute = struct.unpack_from("=HH", answer, at)
            if attribute == _IFLA_STATS64:
                return int(struct.unpack_from("=Q", answer, at + 4 + 8 * _TX_DROPPED)[0])
            at += max(4, length + 3 & ~3)
        return None

    @property
    def exhausted(self) -> bool:
        """The interface has been removed."""
        return self._gone

    def _take(self, max_frames: int) -> Burst:
        columns, error = self._native.read(self._tap, max_frames)
        if error in _GONE:
            self._gone = True
            self.readiness.hold(True)
        elif error and not len(columns[2]):
            raise refused(f"receive from {self.name}", OSError(error, ""))
        return Burst.of_native(columns, self.link_number)

    def _put(self, burst: Burst) -> int:
        if int(burst.lengths.min()) < _HEADER_OCTETS:
            raise ValueError(f"an Ethernet frame has {_HEADER_OCTETS} octets at least")
        (taken, frames, octets), error = self._native.write(self._tap, burst.columns())
        self._counters.sent_frames += frames
        self._counters.sent_octets += octets
        if error and not taken:
            if error == errno.EIO:
                raise PortSystemError(f"cannot send: {self.name} is down")
            if error in _GONE:
                raise PortSystemError(f"cannot send: {self.name} has been removed")
            raise refused(f"send to {self.name}", OSError(error, ""))
        return taken  # with an error after some frames the next call meets it again

    def _close_descriptors(self) -> None:
        self._control.close()
        self._netlink.close()
        if self._tap >= 0:
            os.close(self._tap)

    def _release_device(self) -> None:
        self._close_descriptors()


def _mac(text: str) -> bytes:
    parts = text.split(":")
    if len(parts) != 6 or not all(len(part) == 2 and part.isalnum() for part in parts):
        raise PortAddressError(f"tap: mac={text} is not six octets such as 02:00:00:00:00:01")
    try:
        return bytes.fromhex("".join(parts))
    except ValueError:
        raise PortAddressError(f"tap: mac={text} is not six octets such as 02:00:00:00:00:01") from None


def open_address(target: str, options: Options) -> TapPort:
    """`tap:tap0?create=yes|no|exclusive&up=yes&persistent=...&multi_queue=no&checksums=no&mac=...&mtu=...`"""
    name = target or "tap%d"
    mac = options.text("mac")
    settings = TapSettings(
        name=name,
        create=options.choice("create", {each: each for each in ("yes", "no", "exclusive")}, "yes"),
        up=yes_or_no(options, "up", True),
        persistent=options.choice("persistent", {"yes": True, "no": False, "as_is": None}, "as_is"),
        multi_queue=yes_or_no(options, "multi_queue", False),
        checksums=yes_or_no(options, "checksums", False),
        mac=_mac(mac) if mac else None,
        mtu=options.integer("mtu", 0, 0, 65_521) or None,
    )
    options.finish()
    if len(os.fsencode(name)) > _NAME_OCTETS or "/" in name or any(each.isspace() for each in name):
        raise PortAddressError(f"tap: {name!r} cannot name an interface: at most {_NAME_OCTETS} octets, no space, no /")
    return TapPort(settings)
