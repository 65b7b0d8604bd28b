"""netmap_io.testing: it passes what keeps to the contract, and says what a driver breaks."""

from __future__ import annotations

import contextlib

import pytest

from netmap_io import Burst, open_port
from netmap_io.drivers.memory import MemoryPort, memory_pair
from netmap_io.drivers.shared_memory import SharedMemoryPort
from netmap_io.testing import check_port


def shared():
    near = SharedMemoryPort.create()
    return near, SharedMemoryPort.attach(near.handover())


def udp():
    far = open_port("udp:127.0.0.1:0")
    return open_port(f"udp:?peer=127.0.0.1:{far.local[1]}"), far


def tcp_to_server():
    far = open_port("tcp:127.0.0.1:0?mode=server&framing=length16")
    return open_port(f"tcp:127.0.0.1:{far.local[1]}?framing=length16"), far


def tcp_to_client():
    far, near = tcp_to_server()
    while not near.peers:
        near.receive(1, 1)
    return near, far


@pytest.mark.parametrize("connect", [memory_pair, shared, udp, tcp_to_server, tcp_to_client])
def test_our_drivers_keep_to_the_contract(connect):
    check_port(connect, keeps_times=connect in (memory_pair, shared))


def broken(method: str, replacement):
    """Two ends of a link whose class has one method replaced."""

    def connect():
        ends = memory_pair()
        for end in ends:
            end.__class__ = type("Broken", (MemoryPort,), {method: replacement})
        return ends

    return connect


def loses(self, burst: Burst) -> int:
    taken = MemoryPort.send(self, burst[: len(burst) - 1])
    return taken + 1


def doubles(self, max_frames=65536, timeout=None):
    burst = MemoryPort.receive(self, max_frames, timeout)
    return Burst.of([*burst, *burst])


def miscounts(self, burst: Burst) -> int:
    taken = MemoryPort.send(self, burst)
    self._counters.sent_octets += taken
    return taken


def takes_all(self, burst: Burst) -> int:
    return MemoryPort.send(self, Burst.of([bytes(frame) for frame in burst]))


def lends_for_ever(self, max_frames=65536, timeout=0):
    return contextlib.nullcontext(MemoryPort.receive(self, max_frames, timeout))


@pytest.mark.parametrize(
    ("method", "replacement", "sentence"),
    [
        ("send", loses, "frames were sent"),
        ("receive", doubles, "frames"),
        ("send", miscounts, "sent_octets"),
        ("send", takes_all, "the times are others|another link type was taken"),
        ("lend", lends_for_ever, "after its block"),
        ("close", lambda self: None, "after close"),
        ("fileno", lambda self: self.require_open() or self._outward.event, "readable"),
    ],
)
def test_what_a_driver_breaks_is_said(method, replacement, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_port(broken(method, replacement), keeps_times=True, seconds=0.3)
