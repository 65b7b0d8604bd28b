"""Which XDP features drivers declare, from the kernel's generic netlink family "netdev" (Linux 6.3 and later)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

__all__ = ["BASIC", "REDIRECT", "ZERO_COPY", "xdp_features"]

BASIC, REDIRECT, ZERO_COPY = 1 << 0, 1 << 1, 1 << 3
_NETLINK_GENERIC = 16
_REQUEST, _DUMP = 1, 0x300
_ERROR, _DONE, _CONTROL = 2, 3, 16
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_DEVICE_GET, _INTERFACE_INDEX, _XDP_FEATURES = 1, 1, 3
_TIMEOUT_S = 2.0


def xdp_features() -> dict[int, int] | None:
    """Interface index to feature bits, of this network namespace; None where the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as link:
            link.settimeout(_TIMEOUT_S)
            link.bind((0, 0))
            family = _family(link, "netdev")
            if family is None:
                return None
            link.send(_message(family, _REQUEST | _DUMP, _DEVICE_GET, b""))
            found = {}
            for attributes in _answers(link, several=True):
                index, bits = attributes.get(_INTERFACE_INDEX), attributes.get(_XDP_FEATURES)
                if index is not None and bits is not None:
                    found[int.from_bytes(index, "little")] = int.from_bytes(bits, "little")
            return found
    except OSError:
        return None


def _family(link: socket.socket, name: str) -> int | None:
    octets = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(octets), _FAMILY_NAME) + octets
    link.send(_message(_CONTROL, _REQUEST, _GET_FAMILY, attribute + bytes(-len(attribute) % 4)))
    for attributes in _answers(link, several=False):
        if _FAMILY_ID in attributes:
            return int.from_bytes(attributes[_FAMILY_ID], "little")
    return None


def _message(kind: int, flags: int, command: int, attributes: bytes) -> bytes:
    return struct.pack("=IHHIIBBH", 20 + len(attributes), kind, flags, 1, 0, command, 1, 0) + attributes


def _answers(link: socket.socket, *, several: bool) -> Iterator[dict[int, bytes]]:
    while True:
        octets = link.recv(1 << 16)
        at = 0
        while at + 16 <= len(octets):
            length, kind, _, _, _ = struct.unpack_from("=IHHII", octets, at)
            if kind in (_ERROR, _DONE) or length < 16:
                return
            yield _attributes(octets[at + 20 : at + length])
            at += -(-length // 4) * 4
        if not several:
            return


def _attributes(octets: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(octets):
        length, kind = struct.unpack_from("=HH", octets, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = octets[at + 4 : at + length]
        at += -(-length // 4) * 4
    return found
