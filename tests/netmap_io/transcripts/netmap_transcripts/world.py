"""What a scenario needs around the module: network devices, and the kernel's own network stack."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import Any

from .player import frame


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def pair(near: str, far: str, queues: int = 1, mtu: int = 1500) -> int:
    """Two Ethernet devices on one cable, up, with nothing of their own to say."""
    number = ["numtxqueues", str(queues), "numrxqueues", str(queues)]
    _ip("link", "add", near, *number, "type", "veth", "peer", "name", far, *number)
    for name in (near, far):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as setting:
            setting.write("1")
        _ip("link", "set", name, "mtu", str(mtu), "arp", "off", "up")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not (_carrier(near) and _carrier(far)):
        time.sleep(0.01)
    return 0


def _carrier(name: str) -> bool:
    with open(f"/sys/class/net/{name}/carrier", encoding="ascii") as file:
        return file.read().strip() == "1"


def delete(name: str) -> int:
    _ip("link", "delete", name)
    return 0


_deletions: dict[str, subprocess.Popen[bytes]] = {}


def delete_begin(name: str) -> bool:
    """Whether the deletion is still waiting after a while."""
    _deletions[name] = subprocess.Popen(["ip", "link", "delete", name])
    time.sleep(0.5)
    return _deletions[name].poll() is None


def delete_end(name: str) -> int:
    return _deletions.pop(name).wait(30)


def mtu(name: str, octets: int) -> int:
    _ip("link", "set", name, "mtu", str(octets))
    return 0


def exists(name: str) -> bool:
    """Whether there is a network device of that name."""
    return os.path.exists(f"/sys/class/net/{name}")


def stack_send(name: str, count: int, length: int, seed: int) -> int:
    """The kernel's stack sends frames out of the device."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((name, 0))
        return sum(bool(sender.send(frame("ff" * 6, "0200000000aa", seed + i, length))) for i in range(count))


_listeners: dict[str, socket.socket] = {}


def stack_listen(name: str) -> int:
    """From here on the stack counts what it receives from the device."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    listener.bind((name, 0x88B5))
    listener.settimeout(0.5)
    _listeners[name] = listener
    return 0


def stack_receive(name: str, count: int) -> int:
    """How many frames, `count` at most, the stack has received since `stack_listen`."""
    got = 0
    while got < count:
        try:
            _, address = _listeners[name].recvfrom(65536)
        except TimeoutError:
            break
        got += address[2] != socket.PACKET_OUTGOING
    return got


ACTIONS: dict[str, Any] = {
    action.__name__: action
    for action in (pair, delete, delete_begin, delete_end, mtu, exists, stack_send, stack_listen, stack_receive)
}
