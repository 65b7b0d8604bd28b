"""udp: each datagram is a frame.

Batches by recvmmsg and sendmmsg in `netmap_io._native`; datagrams of equal size are joined and split by the kernel
(UDP_SEGMENT, UDP_GRO) where it can.  Source: RFC 768; joining of groups: RFC 3678.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from netmap_io import _native
from netmap_io.burst import Burst
from netmap_io.drivers.descriptor import LINK_TYPES, DescriptorPort, endpoint, refused, yes_or_no
from netmap_io.errors import PortAddressError, PortSystemError, PortUnsupportedError
from netmap_io.port import Capabilities, Counters, LinkType, Options

__all__ = ["UdpPort", "UdpSettings", "open_address"]

_SLOTS = 64
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE, _SO_TIMESTAMPNS, _SO_RXQ_OVFL = 33, 32, 35, 40
_UDP_SEGMENT, _UDP_GRO = 103, 104
_MCAST_JOIN_GROUP, _MCAST_JOIN_SOURCE_GROUP = 42, 46
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29
_SIOCGIFADDR = 0x8915
_LONGEST = {socket.AF_INET: 65507, socket.AF_INET6: 65527}


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpSettings:
    """What a UdpPort is to be; hosts may be names, an empty one means any address.

    listen: (host, port) to bind; port 0 takes a free one.  peer: where frames go.  connect: hear only the peer, and of
    its refusals.  reply: frames go to whom the last one came from.  interface (name or address) and source (a sender)
    are for groups.  receive_buffer_octets, send_buffer_octets: asked of the kernel, which may give less.
    """

    listen: tuple[str, int] | None = None
    peer: tuple[str, int] | None = None
    connect: bool = True
    reply: bool = False
    link_type: LinkType = LinkType.RAW_OCTETS
    maximum_frame_octets: int = 65527
    joined: bool = True
    joining: bool = True
    interface: str | None = None
    source: str | None = None
    group_hops: int = 1
    group_loop: bool = True
    reuse: bool = False
    receive_buffer_octets: int = 4 << 20
    send_buffer_octets: int = 4 << 20


class UdpPort(DescriptorPort):
    """A datagram socket.  What a sender never hears of is lost in silence; that is UDP."""

    def __init__(self, settings: UdpSettings) -> None:
        """Open and bind.  Raises PortSystemError with one sentence."""
        self.settings = settings
        self._socket, self._destination = _open(settings)
        joined = settings.joined and _switch_on(self._socket, _UDP_GRO)
        joining = settings.joining and _knows(self._socket, _UDP_SEGMENT)
        longest = min(settings.maximum_frame_octets, _LONGEST[self._socket.family])
        try:
            stamped = _asked(self._socket, _SO_TIMESTAMPNS)
            _asked(self._socket, _SO_RXQ_OVFL)
            super().__init__(
                Capabilities(
                    link_type=settings.link_type,
                    maximum_frame_octets=longest,
                    timestamp_source="kernel, on arrival" if stamped else "none",
                )
            )
        except BaseException:
            self._socket.close()
            raise
        self._native = _native.DatagramSocket(_SLOTS, longest, joined, joining)
        self.readiness.add(self._socket.fileno())

    @property
    def local(self) -> tuple[str, int]:
        """Address and port that this end is bound to."""
        self.require_open()
        host, port, *_ = self._socket.getsockname()
        return str(host), int(port)

    @property
    def last_sender(self) -> tuple[str, int] | None:
        """Address and port that the last frame received came from."""
        return _readable(self._native.last_sender())

    @property
    def receive_buffer_octets(self) -> int:
        """Octets of receive buffer that the kernel gave; it counts its own overhead in them."""
        self.require_open()
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def account(self) -> dict[str, int]:
        """truncated, network_errors (ICMP), last_network_error (errno), received_joined, sent_joined, too_long, ..."""
        return self._native.account()

    @property
    def counters(self) -> Counters:
        """`dropped_by_kernel` is told with the next datagram that arrives after a drop."""
        account = self._native.account()
        self._counters.dropped_by_kernel = account["dropped_by_kernel"]
        self._counters.dropped_by_port = account["too_long"]
        return self._counters

    def _take(self, max_frames: int) -> Burst:
        try:
            columns, holds = self._native.receive(self._socket.fileno(), max_frames)
        except OSError as error:
            raise refused("receive", error) from None
        self.readiness.hold(holds)
        return Burst.of_native(columns, self.link_number)

    def _put(self, burst: Burst) -> int:
        destination = self._native.last_sender() if self.settings.reply else self._destination
        if destination is None:
            raise PortUnsupportedError("this UdpPort has nobody to send to: open it with peer=host:port or reply=yes")
        if self.settings.reply and not destination:
            return 0  # nobody has been heard yet
        try:
            taken, frames, octets = self._native.send(self._socket.fileno(), burst.columns(), destination)
        except OSError as error:
            raise refused(f"send to {_readable(destination) or self.settings.peer}", error) from None
        self._counters.sent_frames += frames
        self._counters.sent_octets += octets
        return taken

    def _release_device(self) -> None:
        self._socket.close()


def _open(settings: UdpSettings) -> tuple[socket.socket, bytes | None]:
    """The socket, bound and connected, and the raw address that frames go to (None: nobody, empty: connected)."""
    what = f"open udp:{_written(settings.listen or settings.peer or ('', 0))}"
    opened = None
    try:
        local, peer = _resolve(settings.listen), _resolve(settings.peer)
        if local and peer and local[0] != peer[0]:
            raise PortAddressError("udp: this end and its peer must both be IPv4 or both IPv6")
        family = (local or peer or (socket.AF_INET, None))[0]
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        _size_buffers(opened, settings)
        if local:
            _bind(opened, local[1], settings)
        return opened, _direct(opened, peer[1] if peer else None, settings)
    except (OSError, UnicodeError) as error:
        if opened:
            opened.close()
        given = error if isinstance(error, OSError) else socket.gaierror(0, "not a name")
        raise refused(what, given) from None
    except BaseException:
        if opened:
            opened.close()
        raise


def _bind(opened: socket.socket, address: Any, settings: UdpSettings) -> None:
    group = ip_address(address[0].partition("%")[0]).is_multicast
    if settings.reuse or group:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind(address)
    if group:
        _join(opened, address, settings)


def _direct(opened: socket.socket, peer: Any, settings: UdpSettings) -> bytes | None:
    """Arrange for frames to go to `peer`; the raw address to give with each."""
    if peer is None:
        return None
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    group = ip_address(peer[0].partition("%")[0]).is_multicast
    if group:
        _send_to_group(opened, settings)
    if settings.connect and not group:
        opened.connect(peer)
        return b""
    if opened.family == socket.AF_INET:
        return struct.pack("=H", socket.AF_INET) + struct.pack(">H", peer[1]) + socket.inet_aton(peer[0]) + bytes(8)
    host = socket.inet_pton(socket.AF_INET6, peer[0].partition("%")[0])
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", peer[1], peer[2]) + host + struct.pack("=I", peer[3])


def _resolve(address: tuple[str, int] | None) -> tuple[int, Any] | None:
    """Family and socket address of (host, port), IPv4 first."""
    if address is None:
        return None
    host, port = address
    if not host:
        return socket.AF_INET, ("0.0.0.0", port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, _, _, _, resolved = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, resolved


def _join(opened: socket.socket, address: Any, settings: UdpSettings) -> None:
    """Join the group that the socket is bound to, on one interface, from one source or any."""
    six = opened.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    index = _interface_index(opened, settings.interface)
    request = struct.pack("=I4x", index) + _storage(opened.family, address[0])
    # without this a socket also hears groups that others on this machine have joined
    opened.setsockopt(level, _IPV6_MULTICAST_ALL if six else _IP_MULTICAST_ALL, 0)
    if settings.source is None:
        opened.setsockopt(level, _MCAST_JOIN_GROUP, request)
        return
    source = socket.getaddrinfo(settings.source, 0, opened.family, socket.SOCK_DGRAM)[0][4][0]
    opened.setsockopt(level, _MCAST_JOIN_SOURCE_GROUP, request + _storage(opened.family, str(source)))


def _send_to_group(opened: socket.socket, settings: UdpSettings) -> None:
    index = _interface_index(opened, settings.interface)
    if opened.family == socket.AF_INET6:
        for option, value in (
            (socket.IPV6_MULTICAST_IF, index),
            (socket.IPV6_MULTICAST_HOPS, settings.group_hops),
            (socket.IPV6_MULTICAST_LOOP, settings.group_loop),
        ):
            opened.setsockopt(socket.IPPROTO_IPV6, option, int(value))
        return
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, settings.group_hops)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(settings.group_loop))


def _interface_index(opened: socket.socket, name_or_address: str | None) -> int:
    """Index of an interface by its name or one of its addresses; 0 (the system chooses) where none is given."""
    if not name_or_address:
        return 0
    try:
        wanted = ip_address(name_or_address)
    except ValueError:
        try:
            return socket.if_nametoindex(name_or_address)
        except OSError:
            raise PortSystemError(f"there is no interface {name_or_address}") from None
    if wanted.version == 6:  # of this thread's namespace, not of the process's
        with open("/proc/thread-self/net/if_inet6", encoding="ascii") as table:
            rows = [line.split() for line in table]
        index = next((int(row[1], 16) for row in rows if bytes.fromhex(row[0]) == wanted.packed), 0)
    else:
        index = next((i for i, name in socket.if_nameindex() if _address_of(opened, name) == wanted.packed), 0)
    if not index:
        raise PortSystemError(f"no interface has the address {name_or_address}")
    return index


def _address_of(opened: socket.socket, name: str) -> bytes | None:
    with contextlib.suppress(OSError):  # an interface without an IPv4 address
        answer = fcntl.ioctl(opened.fileno(), _SIOCGIFADDR, struct.pack("=16s24x", os.fsencode(name)))
        return answer[20:24]
    return None


def _storage(family: int, host: str) -> bytes:
    """A sockaddr_storage of 128 octets without a port."""
    if family == socket.AF_INET:
        return (struct.pack("=HH", family, 0) + socket.inet_aton(host)).ljust(128, b"\0")
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return (struct.pack("=HHI", family, 0, 0) + packed).ljust(128, b"\0")


def _size_buffers(opened: socket.socket, settings: UdpSettings) -> None:
    for octets, plain, force in (
        (settings.receive_buffer_octets, socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        (settings.send_buffer_octets, socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    ):
        try:
            opened.setsockopt(socket.SOL_SOCKET, force, octets)
        except PermissionError:
            opened.setsockopt(socket.SOL_SOCKET, plain, octets)


def _switch_on(opened: socket.socket, option: int) -> bool:
    try:
        opened.setsockopt(socket.SOL_UDP, option, 1)
    except OSError:
        return False
    return True


def _knows(opened: socket.socket, option: int) -> bool:
    try:
        opened.getsockopt(socket.SOL_UDP, option)
    except OSError:
        return False
    return True


def _asked(opened: socket.socket, option: int) -> bool:
    try:
        opened.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError:
        return False
    return True


def _readable(raw: bytes) -> tuple[str, int] | None:
    """Host and port of a socket address as the system writes it."""
    if len(raw) < 16:
        return None
    (family,), (port,) = struct.unpack_from("=H", raw), struct.unpack_from(">H", raw, 2)
    if family == socket.AF_INET6 and len(raw) >= 28:
        return socket.inet_ntop(family, raw[8:24]), port
    return (socket.inet_ntoa(raw[4:8]), port) if family == socket.AF_INET else None


def _written(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_address(target: str, options: Options) -> UdpPort:
    """`udp:127.0.0.1:5000?peer=127.0.0.1:5001&...`"""
    first = endpoint("udp", target) if target.removeprefix("//") else None
    peer_text = options.text("peer")
    peer = endpoint("udp", peer_text) if peer_text else None
    if options.choice("mode", {"listen": False, "connect": True}, "listen"):
        if peer or not first:
            raise PortAddressError("udp: mode=connect takes the peer as its target, and no peer option")
        first, peer = None, first
    settings = UdpSettings(
        listen=first,
        peer=peer,
        connect=yes_or_no(options, "connect", True),
        reply=yes_or_no(options, "reply", False),
        link_type=options.choice("link_type", LINK_TYPES, "raw_octets"),
        maximum_frame_octets=options.integer("maximum_frame_octets", 65527, 1, 65527),
        joined=yes_or_no(options, "gro", True),
        joining=yes_or_no(options, "gso", True),
        interface=options.text("interface"),
        source=options.text("source"),
        group_hops=options.integer("group_hops", 1, 0, 255),
        group_loop=yes_or_no(options, "group_loop", True),
        reuse=yes_or_no(options, "reuse", False),
        receive_buffer_octets=options.integer("receive_buffer_octets", 4 << 20, 1, 1 << 30),
        send_buffer_octets=options.integer("send_buffer_octets", 4 << 20, 1, 1 << 30),
    )
    options.finish()
    if first is None and peer is None:
        raise PortAddressError("udp: needs an address to listen at, or peer=host:port, or both")
    if peer and settings.reply:
        raise PortAddressError("udp: peer and reply=yes contradict each other")
    return UdpPort(settings)
