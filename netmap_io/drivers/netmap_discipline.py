"""The queueing discipline of a network device: netmap's emulated mode leaves another one behind; this puts it back.

Source: Linux, rtnetlink(7), RTM_GETQDISC and its kin.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

__all__ = ["Discipline", "Root"]

_LOG = logging.getLogger("netmap_io")
_HEADER = struct.Struct("=IHHII")  # octets, type, flags, sequence, port
_TRAFFIC = struct.Struct("=BxxxiIII")  # family, interface, handle, parent, info
_NEW, _DELETE, _GET = 36, 37, 38
_DONE, _ERROR = 3, 2
_REQUEST, _ACKNOWLEDGE, _REPLACE, _DUMP, _CREATE = 1, 4, 0x100, 0x300, 0x400
_KIND, _OPTIONS = 1, 2
_ROOT = 0xFFFFFFFF
_WHILE_REGISTERED = "netmapemu"
_PASSING = 0x7FF0000
"""Handle of the discipline that stands in for a moment, so that it can be deleted."""


@dataclass(frozen=True, slots=True)
class Root:
    """The discipline at the root of a device, as the kernel describes it."""

    kind: str
    handle: int
    """0: the system's default, set by nobody."""
    options: bytes
    has_children: bool


class Discipline:
    """What was there before, and the way back."""

    def __init__(self, name: str, index: int, namespace: socket.socket, before: Root) -> None:
        self.name = name
        self._index = index
        self._socket = namespace
        self.before = before

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Remember the discipline of device `name`.  None: there is no such device, or the system does not tell."""
        try:
            index = socket.if_nametoindex(name)
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        except OSError:
            return None  # opening the port says what is wrong with the name
        try:
            before = _root(opened, index)
        except OSError as error:
            _LOG.info("%s: its queueing discipline is not told: %s", name, error)
            before = None
        if before is None:
            opened.close()
            return None
        return cls(name, index, opened, before)

    def forget(self) -> None:
        """Do nothing, and hold nothing."""
        self._socket.close()

    def restore(self) -> bool:
        """Put it back where it was replaced; whether it is there now.  What cannot be is a warning in the log."""
        with self._socket:
            try:
                return self._restore()
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return False  # the device has gone, and its discipline with it
                _LOG.warning("%s: its queueing discipline %s was not restored: %s", self.name, self.before.kind, error)
                return False

    def _restore(self) -> bool:
        now = _root(self._socket, self._index)
        if now is None or now == self.before:
            return now is not None
        if now.kind == _WHILE_REGISTERED:
            return False  # somebody else still has the device registered
        if self.before.has_children and self.before.handle:
            raise OSError(errno.EOPNOTSUPP, f"it has classes, which are lost; now it is {now.kind}")
        if self.before.handle:
            self._replace(self.before.kind, self.before.handle, self.before.options)
        else:  # where the root is deleted, the kernel puts its default there
            self._replace("pfifo", _PASSING, b"")
            self._ask(_DELETE, 0, 0, b"")
        return True

    def _replace(self, kind: str, handle: int, options: bytes) -> None:
        attributes = _attribute(_KIND, kind.encode() + b"\0") + (_attribute(_OPTIONS, options) if options else b"")
        self._ask(_NEW, _CREATE | _REPLACE, handle, attributes)

    def _ask(self, what: int, flags: int, handle: int, attributes: bytes) -> None:
        body = _TRAFFIC.pack(socket.AF_UNSPEC, self._index, handle, _ROOT, 0) + attributes
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), what, flags | _REQUEST | _ACKNOWLEDGE, 1, 0) + body)
        for kind, payload in _messages(self._socket.recv(65536)):
            if kind == _ERROR:
                (status,) = struct.unpack_from("=i", payload)
                if status:
                    raise OSError(-status, os.strerror(-status).lower())


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(octets)
        if not _HEADER.size <= size <= len(octets):
            return
        yield kind, octets[_HEADER.size : size]
        octets = octets[(size + 3) & ~3 :]


def _attributes(octets: bytes) -> dict[int, bytes]:
    found = {}
    while len(octets) >= 4:
        size, kind = struct.unpack_from("=HH", octets)
        if not 4 <= size <= len(octets):
            break
        found[kind & 0x3FFF] = octets[4:size]
        octets = octets[(size + 3) & ~3 :]
    return found


def _root(opened: socket.socket, index: int) -> Root | None:
    """The discipline at the root of device number `index`."""
    body = _TRAFFIC.pack(socket.AF_UNSPEC, index, 0, 0, 0)
    opened.send(_HEADER.pack(_HEADER.size + len(body), _GET, _REQUEST | _DUMP, 1, 0) + body)
    root: tuple[str, int, bytes] | None = None
    children = False
    while True:
        for kind, payload in _messages(opened.recv(1 << 20)):
            if kind == _DONE:
                return None if root is None else Root(*root, children)
            if kind == _ERROR:
                (status,) = struct.unpack_from("=i", payload)
                raise OSError(-status, os.strerror(-status).lower())
            if kind != _NEW or len(payload) < _TRAFFIC.size:
                continue
            _, interface, handle, parent, _ = _TRAFFIC.unpack_from(payload)
            if interface != index:
                continue
            if parent != _ROOT:
                children = True
                continue
            attributes = _attributes(payload[_TRAFFIC.size :])
            name = attributes.get(_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
            root = name, handle, attributes.get(_OPTIONS, b"")
