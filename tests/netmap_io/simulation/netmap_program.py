"""A netmap program that knows nothing of a simulation: system calls on /dev/netmap, by the standard library alone."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import time

CONTROL, TX_SYNC, RX_SYNC = 0xC0586997, 0x6994, 0x6995


class Port:
    def __init__(self, name: str) -> None:
        self.file = os.open("/dev/netmap", os.O_RDWR)
        body = ctypes.create_string_buffer(56)
        struct.pack_into("<I", body, 36, 1)
        head = ctypes.create_string_buffer(
            struct.pack("<HHI64sQQ", 14, 1, 0, name.encode(), 0, ctypes.addressof(body)), 88
        )
        fcntl.ioctl(self.file, CONTROL, head)
        self.attach(*struct.unpack_from("<QQ", body))

    def attach(self, record: int, size: int) -> None:
        self.record, self.size = record, size
        self.map = mmap.mmap(self.file, size)
        tx, _, _, host, _ = struct.unpack_from("<5I", self.map, record + 24)
        offsets = struct.unpack_from(f"<{tx + host + 1}q", self.map, record + 56)
        self.tx, self.rx = record + offsets[0], record + offsets[tx + host]

    @classmethod
    def of(cls, file: int, record: int, size: int) -> Port:
        port = cls.__new__(cls)
        port.file = file
        port.attach(record, size)
        return port

    def _room(self, ring: int) -> tuple[int, int, int]:
        slots = struct.unpack_from("<I", self.map, ring + 8)[0]
        head, _, tail = struct.unpack_from("<3I", self.map, ring + 20)
        return head, (tail - head) % slots, slots

    def _buffer(self, ring: int, head: int) -> tuple[int, int]:
        index, length = struct.unpack_from("<IH", self.map, ring + 256 + 16 * head)
        return ring + struct.unpack_from("<q", self.map, ring)[0] + index * 2048, length

    def send(self, frame: bytes) -> None:
        while not self._room(self.tx)[1]:
            fcntl.ioctl(self.file, TX_SYNC)
        head, _, slots = self._room(self.tx)
        at, _ = self._buffer(self.tx, head)
        self.map[at : at + len(frame)] = frame
        struct.pack_into("<HH", self.map, self.tx + 256 + 16 * head + 4, len(frame), 0)
        struct.pack_into("<2I", self.map, self.tx + 20, *[(head + 1) % slots] * 2)
        fcntl.ioctl(self.file, TX_SYNC)

    def receive(self) -> list[bytes]:
        fcntl.ioctl(self.file, RX_SYNC)
        got = []
        head, room, slots = self._room(self.rx)
        for _ in range(room):
            at, length = self._buffer(self.rx, head)
            got.append(self.map[at : at + length])
            head = (head + 1) % slots
        struct.pack_into("<2I", self.map, self.rx + 20, head, head)
        return got


def frame(number: int) -> bytes:
    return b"\xff" * 6 + b"\x02\0\0\0\0\x01\x08\0" + number.to_bytes(46, "big")


def loop() -> None:
    a, b = Port("vale0:a"), Port("vale0:b")
    a.send(frame(1))
    ready = select.select([b.file, 0], [], [], 10)[0]
    assert b.file in ready
    poller = select.poll()
    poller.register(b.file, select.POLLIN)
    assert poller.poll(10000) == [(b.file, select.POLLIN)]
    print(f"sent 1 received {len(b.receive())} on select and poll")


def send(name: str, peer: str, count: int) -> None:
    port = Port(name)
    end = time.monotonic() + 30
    while peer and time.monotonic() < end:  # until the other is there: sent to nobody is sent all the same
        body = ctypes.create_string_buffer(8)
        head = ctypes.create_string_buffer(
            struct.pack("<HHI64sQQ", 14, 5, 0, peer.encode(), 0, ctypes.addressof(body)), 88
        )
        try:
            fcntl.ioctl(os.open("/dev/netmap", os.O_RDWR), CONTROL, head)
        except FileNotFoundError:  # no such switch yet
            time.sleep(0.05)
            continue
        if struct.unpack_from("<I", body, 4)[0] != 255:  # 255: the switch has no such port yet
            break
        time.sleep(0.05)
    for number in range(count):
        port.send(frame(number))


def receive(name: str, count: int) -> list[bytes]:
    port = Port(name)
    poller = select.poll()
    poller.register(port.file, select.POLLIN)
    got: list[bytes] = []
    while len(got) < count and poller.poll(30000):
        got += port.receive()
    return got


def family() -> None:
    a, b = Port("x{1"), Port("x}1")
    here, there = socket.socketpair()
    if os.fork() == 0:
        _, files, _, _ = socket.recv_fds(there, 16, 1)
        Port.of(files[0], a.record, a.size).send(frame(7))
        os._exit(0)
    socket.send_fds(here, [b"x"], [a.file])
    os.wait()
    assert b.receive() == [frame(7)]
    print("the child sent, the parent received")


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "loop":
        loop()
    elif what == "send":
        send(rest[0], rest[1], int(rest[2]))
    elif what == "receive":
        got = receive(rest[0], int(rest[1]))
        assert got == [frame(number) for number in range(int(rest[1]))], len(got)
        print(f"received {len(got)} in order")
    elif what == "count":
        print(f"received {len(receive(rest[0], int(rest[1])))}")
    else:
        family()


main()
