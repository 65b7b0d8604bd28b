"""A virtual function's VLAN with its protocol, as an rtnetlink message of our own.

pyroute2 (0.9.7) sends this structure without the two octets at its end, which kernels refuse (EINVAL).  It is asked for
802.1ad only: for 802.1Q there is an older attribute.
"""

from __future__ import annotations

import os
import socket
import struct

__all__ = ["message", "set_vlan"]

_SETLINK, _ERROR = 19, 2
_REQUEST_AND_ACKNOWLEDGE = 1 | 4
_VFINFO_LIST, _VF_INFO, _VF_VLAN_LIST, _VF_VLAN_INFO = 22, 1, 12, 1
_TIMEOUT_S = 30.0
"""Some cards' firmware takes its time."""


def set_vlan(interface: int, index: int, vlan: int, qos: int, protocol: int) -> None:
    """Of virtual function `index` of the physical function's interface.  Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link:
        link.settimeout(_TIMEOUT_S)
        link.bind((0, 0))
        link.send(message(interface, index, vlan, qos, protocol))
        answer = link.recv(4096)
    _, kind, _, _, _, status = struct.unpack_from("=IHHIIi", answer)
    if kind != _ERROR:
        raise OSError(f"an answer of kind {kind} to a request for a VLAN")
    if status:
        raise OSError(-status, os.strerror(-status))


def message(interface: int, index: int, vlan: int, qos: int, protocol: int) -> bytes:
    tag = struct.pack("=III", index, vlan, qos) + struct.pack(">H", protocol) + bytes(2)
    tags = _attribute(_VF_VLAN_LIST, _attribute(_VF_VLAN_INFO, tag))
    content = struct.pack("=BxHiII", 0, 0, interface, 0, 0) + _attribute(_VFINFO_LIST, _attribute(_VF_INFO, tags))
    return struct.pack("=IHHII", 16 + len(content), _SETLINK, _REQUEST_AND_ACKNOWLEDGE, 1, 0) + content


def _attribute(kind: int, content: bytes) -> bytes:
    octets = struct.pack("=HH", 4 + len(content), kind) + content
    return octets + bytes(-len(octets) % 4)
