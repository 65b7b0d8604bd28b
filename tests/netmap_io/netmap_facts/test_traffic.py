"""Sections 6 to 9, 12 and 13: rings, slots, sync and poll, what each kind of port does."""

from __future__ import annotations

import ctypes
import errno
import struct
import threading
import time

import pytest

from .conftest import Ports
from .raw import (
    ACCEPT_HEADER,
    ALL_NIC,
    BUF_CHANGED,
    INDIRECT,
    MORE_FRAGMENTS,
    NIC_SW,
    NO_TX_POLL,
    POLLERR,
    POLLIN,
    POLLOUT,
    PORT_HDR_GET,
    PORT_HDR_SET,
    VALE_ATTACH,
    VALE_DELIF,
    VALE_DETACH,
    VALE_LIST,
    VALE_NEWIF,
    Kernel,
    Port,
    SimulatedKernel,
    frame,
    memory,
    offsets_option,
    register,
    register_body,
    request,
)  # fmt: skip
from .test_registration import refused

KINDS = ["vale", "pipe", "nic"]


def pair(kernel: Kernel, ports: Ports, kind: str, **wish: int) -> tuple[Port, Port]:
    names = {"vale": ("vale0:a", "vale0:b"), "pipe": ("x{1", "x}1"), "nic": (kernel.nic, kernel.peer)}[kind]
    first, second = (ports(name, **wish) for name in names)
    return first, second


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [60, 1514])
@pytest.mark.parametrize("by_poll", [False, True])
def test_a_thousand_frames_arrive_in_order(kernel: Kernel, ports: Ports, kind: str, length: int, by_poll: bool) -> None:
    sender, receiver = pair(kernel, ports, kind)
    frames = [frame(2, 1, length, number % 251) for number in range(1000)]
    for one in frames:
        sender.put(one)
    if by_poll:
        assert sender.raw.poll(POLLOUT, 1.0) == POLLOUT
        assert receiver.raw.poll(POLLIN, 1.0) == POLLIN
        got = receiver.take()
    else:
        sender.tx_sync()
        got = receiver.receive()
    assert [octets for octets, _ in got] == frames
    assert {flags for _, flags in got} == {0x0100 if kind == "vale" else 0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_receiver(kernel: Kernel, ports: Ports, kind: str) -> None:
    sender, receiver = pair(kernel, ports, kind)
    placed = 0
    for _ in range(6):
        while sender.room(sender.tx):
            sender.put(frame(2, 1, 60, placed % 200))
            placed += 1
        sender.tx_sync()
    assert placed == 1023 if kind == "pipe" else placed == 6 * 1023
    assert len(receiver.receive()) == 1023
    sender.tx_sync()
    assert sender.room(sender.tx) == (0 if kind == "pipe" else 1023)


LENGTHS = [  # length, arrives at a switch, a pipe, a device
    (0, False, True, False),
    (13, False, True, False),
    (14, True, True, True),
    (59, True, True, True),
    (1514, True, True, True),
    (1515, True, True, True),
    (1600, True, True, False),
    (2048, True, True, False),
    (2049, False, True, False),
    (65535, False, True, False),
]
# A device's 1515: as recorded on a veth pair, which lets 4 octets more than MTU and header pass.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", LENGTHS)
def test_lengths(kernel: Kernel, ports: Ports, kind: str, row: tuple[int, bool, bool, bool]) -> None:
    sender, receiver = pair(kernel, ports, kind)
    sender.put(frame(2, 1, 60), length=row[0])
    sender.tx_sync()
    assert sender.room(sender.tx) == (1022 if kind == "pipe" else 1023)  # success, whatever became of it
    receiver.rx_sync()
    assert receiver.room(receiver.rx) == row[1 + KINDS.index(kind)]
    if receiver.room(receiver.rx):
        assert receiver.slot(receiver.rx, 0)[1] == row[0]


@pytest.mark.parametrize("fragments", [2, 3, 64, 70])
def test_fragments_on_a_switch(ports: Ports, fragments: int) -> None:
    sender, receiver = ports("vale0:a"), ports("vale0:b")
    for number in range(fragments):
        sender.put(frame(2, 1, 100, number), MORE_FRAGMENTS if number + 1 < fragments else 0)
    sender.tx_sync()
    got = receiver.receive()
    assert [octets for octets, _ in got] == [frame(2, 1, 100, number) for number in range(fragments)]
    assert {flags >> 8 for _, flags in got} == {fragments}
    assert [flags & MORE_FRAGMENTS for _, flags in got] == [MORE_FRAGMENTS] * (fragments - 1) + [0]


def test_an_incomplete_frame(kernel: Kernel, ports: Ports) -> None:
    for kind, expected in [("vale", [(frame(2, 1), 0x100)]), ("pipe", []), ("nic", [(frame(2, 1), 0)])]:
        sender, receiver = pair(kernel, ports, kind)
        sender.put(frame(2, 1), MORE_FRAGMENTS)
        sender.tx_sync()
        assert receiver.receive() == expected, kind
        sender.send(frame(3, 1))
        more = [MORE_FRAGMENTS, 0] if kind == "pipe" else [0x100 if kind == "vale" else 0]
        assert [flags for _, flags in receiver.receive()] == more, kind


def test_indirect(ports: Ports) -> None:
    sender, receiver = ports("vale0:a"), ports("vale0:b")
    data = memory(frame(2, 1, 200, 77))
    for address in (ctypes.addressof(data), 8):
        head = sender.word(sender.tx + 20)
        sender.put_slot(sender.tx, head, sender.slot(sender.tx, head)[0], 200, INDIRECT, address)
        sender.advance(sender.tx, head + 1)
    sender.tx_sync()
    assert [octets for octets, _ in receiver.receive()] == [data.raw]


def test_a_switch_learns(ports: Ports) -> None:
    a, b, c = ports("vale0:a"), ports("vale0:b"), ports("vale0:c")
    a.send(frame(2, 1))
    assert (len(b.receive()), len(c.receive())) == (1, 1)  # unknown: flooded
    b.send(frame(1, 2))
    assert (len(a.receive()), len(c.receive())) == (1, 0)  # learnt
    a.send(frame(1, 1))
    assert [len(port.receive()) for port in (a, b, c)] == [0, 0, 0]  # its own address
    a.send(b"\xff" * 6 + frame(2, 1)[6:])
    assert [len(port.receive()) for port in (a, b, c)] == [0, 1, 1]


def test_a_pipe_shows_room_after_both_have_synced(ports: Ports) -> None:
    sender, receiver = ports("x{1"), ports("x}1")
    sender.send(*[frame(2, 1)] * 1023)
    receiver.rx_sync()
    receiver.advance(receiver.rx, 10)
    sender.tx_sync()
    assert sender.room(sender.tx) == 0
    receiver.rx_sync()
    assert sender.room(sender.tx) == 0
    sender.tx_sync()
    assert sender.room(sender.tx) == 10


@pytest.mark.parametrize("slot", [(0, 60), (1, 60), (1000000, 60), (0xFFFFFFFF, 65535)])
def test_a_pipe_hands_slots_over_as_they_are(ports: Ports, slot: tuple[int, int]) -> None:
    sender, receiver = ports("x{1"), ports("x}1")
    sender.put_slot(sender.tx, 0, slot[0], slot[1], 0x8000 | BUF_CHANGED, 0x1122334455667788)
    sender.advance(sender.tx, 1)
    sender.tx_sync()
    receiver.rx_sync()
    assert receiver.slot(receiver.rx, 0) == (*slot, 0x8000 | BUF_CHANGED, 0x1122334455667788)


def test_a_pipe_keeps_what_is_queued(kernel: Kernel, ports: Ports) -> None:
    sender = ports("x{1")
    sender.send(*[frame(2, 1, 60, fill) for fill in range(20)])
    with Port(kernel, "x}1") as first:
        assert len(first.receive()) == 20
        first.advance(first.rx, 5)
        first.rx_sync()
    with Port(kernel, "x}1") as second:
        second.rx_sync()
        assert second.room(second.rx) == 15


def test_a_queue_on_a_switch_goes_with_the_port(kernel: Kernel, ports: Ports) -> None:
    sender = ports("vale0:a")
    with Port(kernel, "vale0:b"):
        sender.send(frame(2, 1))
    with Port(kernel, "vale0:b") as again:
        assert again.receive() == []


def test_buffers_swapped_between_pipes(ports: Ports) -> None:
    first, middle_in = ports("x{1"), ports("x}1")
    middle_out, last = ports("x{2"), ports("x}2")
    seen = []
    for fill in range(50):
        first.send(frame(2, 1, 60, fill))
        middle_in.rx_sync()
        at_in, at_out = middle_in.word(middle_in.rx + 20), middle_out.word(middle_out.tx + 20)
        received, free = middle_in.slot(middle_in.rx, at_in), middle_out.slot(middle_out.tx, at_out)
        middle_in.put_slot(middle_in.rx, at_in, free[0], 0, BUF_CHANGED)
        middle_out.put_slot(middle_out.tx, at_out, received[0], received[1], BUF_CHANGED)
        middle_in.advance(middle_in.rx, at_in + 1)
        middle_out.advance(middle_out.tx, at_out + 1)
        middle_in.rx_sync()
        middle_out.tx_sync()
        last.rx_sync()
        at = last.word(last.rx + 20)
        assert last.slot(last.rx, at)[0] == received[0]
        seen.append(received[0])
        assert [octets for octets, _ in last.take()] == [frame(2, 1, 60, fill)]
    assert len(set(seen)) == 50


RING_MISTAKES = [  # head, cur; what the ring holds afterwards; polls that say POLLERR
    ((5000, 5000), (10, 10), 1), ((1024, 10), (10, 10), 1), ((10, 4000), (10, 10), 1), ((5, 5), (5, 5), 1),
    ((12, 11), (12, 11), 3), ((12, 5), (12, 5), 3),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "left", "errors"), RING_MISTAKES)
def test_ring_errors(ports: Ports, wrong: tuple[int, int], left: tuple[int, int], errors: int) -> None:
    port, other = ports("x{1"), ports("x}1")
    port.send(*[frame(2, 1)] * 10)
    other.receive()
    port.advance(port.tx, *wrong)
    port.tx_sync()  # no error
    assert port.positions(port.tx)[:2] == left
    assert other.receive() == []  # and nothing sent
    port = ports("x{2")
    port.send(*[frame(2, 1)] * 10)
    port.advance(port.tx, *wrong)
    for turn in range(3):
        answer = port.raw.poll(POLLOUT, 0.0)
        assert bool(answer & POLLERR) == (turn < errors), turn
        assert answer & POLLOUT


def test_a_wrong_head_is_believed_the_second_time(ports: Ports) -> None:
    port, other = ports("x{1"), ports("x}1")
    port.send(*[frame(2, 1)] * 10)
    assert len(other.receive()) == 10
    port.advance(port.tx, 5, 5)
    port.tx_sync()
    other.rx_sync()
    assert other.room(other.rx) == 0
    port.tx_sync()
    other.rx_sync()
    assert other.room(other.rx) == 1019  # from 10 once round to 5


def test_tail_is_the_kernels(ports: Ports) -> None:
    port, other = ports("vale0:a"), ports("vale0:b")
    port.put_word(port.tx + 28, 3)
    port.put(frame(2, 1))
    port.tx_sync()
    assert port.word(port.tx + 28) == 0
    assert len(other.receive()) == 1


def test_slots_are_repaired_after_a_ring_error(ports: Ports) -> None:
    port = ports("vale0:a")
    good = port.slot(port.tx, 7)
    port.put_slot(port.tx, 5, 99999999, 60)
    port.put_slot(port.tx, 6, good[0], 3000)
    port.advance(port.tx, 5000)
    port.tx_sync()
    assert [port.slot(port.tx, index)[:2] for index in (5, 6, 7)] == [(0, 0), (good[0], 0), good[:2]]


@pytest.mark.parametrize("kind", KINDS)
def test_poll_waits_and_wakes(kernel: Kernel, ports: Ports, kind: str) -> None:
    sender, receiver = pair(kernel, ports, kind)
    begin = time.monotonic()
    assert receiver.raw.poll(POLLIN, 0.05) == 0
    assert receiver.raw.poll(0, 0.05) == 0
    assert time.monotonic() - begin >= 0.09
    answers: list[int] = []
    waiter = threading.Thread(target=lambda: answers.append(receiver.raw.poll(POLLIN, 20)))
    waiter.start()
    time.sleep(0.05)
    sender.send(frame(2, 1))
    waiter.join(20)
    assert answers == [POLLIN]
    assert receiver.room(receiver.rx) == 1  # there without a sync
    assert receiver.raw.poll(POLLIN, 0) == POLLIN  # level
    assert receiver.raw.poll(POLLOUT, 0) == POLLOUT


def test_poll_waits_for_room_in_a_pipe(ports: Ports) -> None:
    sender, receiver = ports("x{1"), ports("x}1")
    sender.send(*[frame(2, 1)] * 1023)
    assert sender.raw.poll(POLLOUT, 0.05) == 0
    answers: list[int] = []
    waiter = threading.Thread(target=lambda: answers.append(sender.raw.poll(POLLOUT, 20)))
    waiter.start()
    receiver.receive()
    receiver.rx_sync()
    waiter.join(20)
    assert answers == [POLLOUT]


@pytest.mark.parametrize(("flags", "pushed"), [(0, True), (NO_TX_POLL, False)])
def test_poll_for_frames_sends_what_there_is(ports: Ports, flags: int, pushed: bool) -> None:
    port, other = ports("vale0:a", flags=flags), ports("vale0:b")
    port.put(frame(2, 1))
    assert port.raw.poll(POLLIN, 0) == 0
    assert bool(other.receive()) == pushed
    port.raw.poll(POLLOUT, 0)
    assert bool(other.receive()) != pushed


def test_cur_ahead_of_head_waits_for_new_frames(ports: Ports) -> None:
    sender, receiver = ports("vale0:a"), ports("vale0:b")
    sender.send(frame(2, 1))
    receiver.rx_sync()
    receiver.advance(receiver.rx, 0, 1)
    assert receiver.raw.poll(POLLIN, 0.02) == 0
    sender.send(frame(2, 1))
    assert receiver.raw.poll(POLLIN, 1.0) == POLLIN
    assert receiver.room(receiver.rx) == 2


def test_time_stamps(ports: Ports) -> None:
    sender, receiver = ports("vale0:a"), ports("vale0:b")
    sender.send(frame(2, 1))
    receiver.rx_sync()
    stamp = receiver.long(receiver.rx + 40) + receiver.long(receiver.rx + 48) / 1e6
    assert abs(stamp - time.time()) < 60
    assert sender.long(sender.tx + 40) == 0


def test_a_peer_that_is_missing(kernel: Kernel, ports: Ports) -> None:
    for name in ("vale0:a", kernel.nic):
        port = ports(name)
        port.send(*[frame(2, 1)] * 100)
        assert port.room(port.tx) == 1023
    port = ports("x{1")
    port.send(*[frame(2, 1)] * 1023)
    assert port.room(port.tx) == 0


@pytest.mark.parametrize("offset", [0, 64, 128, 18])
def test_offsets_on_a_switch(ports: Ports, offset: int) -> None:
    none, some = offsets_option(256, 0), offsets_option(256, 64)
    sender = ports("vale0:a", ctypes.addressof(none))
    plain, knowing = ports("vale0:b"), ports("vale0:c", ctypes.addressof(some))
    sender.put(frame(2, 1, 60, 9), ptr=offset)
    sender.tx_sync()
    plain.rx_sync()
    index, length, _, _ = plain.slot(plain.rx, 0)
    at = plain.buffer(plain.rx, index)
    assert (plain.map[at : at + length] == frame(2, 1, 60, 9)) == (offset % 64 == 0)
    knowing.rx_sync()
    index, length, _, where = knowing.slot(knowing.rx, 0)
    at = knowing.buffer(knowing.rx, index) + where
    assert knowing.map[at : at + length] == frame(2, 1, 60, 9)


def test_headers(kernel: Kernel, ports: Ports) -> None:
    raw, port = kernel.open(), ports("vale0:a")
    for octets, code in [(0, 0), (10, 0), (12, 0), (1, errno.EINVAL), (11, errno.EINVAL), (14, errno.EINVAL)]:
        body = struct.pack("<II", octets, 0)
        if code:
            refused(lambda body=body: request(raw, PORT_HDR_SET, "vale0:a", body), code)
        else:
            request(raw, PORT_HDR_SET, "vale0:a", body)
            assert request(raw, PORT_HDR_GET, "vale0:a", bytes(8))[1][:4] == body[:4]
    refused(lambda: request(raw, PORT_HDR_SET, kernel.nic, bytes(8)), errno.ENXIO)
    refused(lambda: register(raw, "vale0:a"), errno.EIO)
    register(raw, "vale0:a", flags=ACCEPT_HEADER)
    other = ports("vale0:b")
    port.send(bytes(12) + frame(2, 1, 60, 5))
    assert other.receive() == [(frame(2, 1, 60, 5), 0x100)]
    other.send(frame(1, 2, 60, 6))
    assert port.receive() == [(bytes(12) + frame(1, 2, 60, 6), 0x100)]
    raw.close()


def test_switch_control(kernel: Kernel, ports: Ports) -> None:
    raw = kernel.open()
    listed = struct.Struct("<HHI")
    refused(lambda: request(raw, VALE_LIST, "", bytes(8)), errno.ENOENT)
    newif = struct.pack("<IIHHHH", 0, 0, 0, 0, 0, 0)
    request(raw, VALE_NEWIF, "nmfactp", newif)
    refused(lambda: request(raw, VALE_NEWIF, "nmfactp", newif), errno.EEXIST)
    request(raw, VALE_DELIF, "nmfactp", b"")
    refused(lambda: request(raw, VALE_DELIF, "nmfactp", b""), errno.ENXIO)
    attach = register_body(mode=ALL_NIC) + bytes(8)
    request(raw, VALE_ATTACH, f"vale3:{kernel.nic}", attach)
    refused(lambda: request(raw, VALE_ATTACH, f"vale3:{kernel.nic}", attach), errno.EBUSY)
    refused(lambda: register(raw, kernel.nic), errno.EBUSY)
    assert request(raw, VALE_LIST, "", bytes(8))[0] == f"vale3:{kernel.nic}"
    _, body = request(raw, VALE_LIST, f"vale3:{kernel.nic}", bytes(8))
    switch, _, number = listed.unpack(body)
    refused(lambda: request(raw, VALE_LIST, "", listed.pack(switch, 0, number + 1)), errno.ENOENT)
    port, far = ports("vale3:p"), ports(kernel.peer)
    port.send(frame(9, 1))
    time.sleep(0 if kernel.name == "simulation" else 0.2)
    assert [octets for octets, _ in far.receive()] == [frame(9, 1)]
    far.send(frame(1, 9))
    time.sleep(0 if kernel.name == "simulation" else 0.2)
    assert [octets for octets, _ in port.receive()] == [frame(1, 9)]
    request(raw, VALE_DETACH, f"vale3:{kernel.nic}", bytes(8))
    refused(lambda: request(raw, VALE_DETACH, f"vale3:{kernel.nic}", bytes(8)), errno.ENXIO)
    raw.close()


def test_host_rings() -> None:
    kernel = SimulatedKernel()
    kernel.simulation.add_interface("host0")
    kernel.simulation.connect(kernel.nic, "host0", host=True)
    with Port(kernel, kernel.nic, mode=NIC_SW) as port, Port(kernel, "host0") as host:
        host.send(frame(2, 1, 60, 1))
        assert port.receive(port.rx_rings[1]) == [(frame(2, 1, 60, 1), 0)]
        port.put(frame(2, 1, 60, 2), ring=port.tx_rings[1])
        port.tx_sync()
        assert host.receive() == [(frame(2, 1, 60, 2), 0)]
    with Port(kernel, kernel.nic, mode=2) as port, Port(kernel, "host0") as host:
        host.send(frame(2, 1))
        assert port.receive(port.rx_rings[1]) == []  # nothing is intercepted without a hardware ring


def test_long_frames_take_several_slots() -> None:
    kernel = SimulatedKernel()
    with Port(kernel, kernel.nic) as port:
        kernel.simulation.inject(kernel.nic, frame(2, 1, 3000, 4))
        assert [(len(octets), flags) for octets, flags in port.receive()] == [(2048, MORE_FRAGMENTS), (952, 0)]


def test_an_interface_set_down_freezes_its_users() -> None:
    kernel = SimulatedKernel()
    with Port(kernel, kernel.nic) as port:
        kernel.simulation.set_up(kernel.nic, False)
        done = threading.Event()
        thread = threading.Thread(target=lambda: (port.tx_sync(), done.set()))
        thread.start()
        assert not done.wait(0.1)
        kernel.simulation.set_up(kernel.nic, True)
        assert done.wait(20)
        thread.join()
    kernel.simulation.set_up(kernel.nic, False)
    with Port(kernel, kernel.nic) as port:
        port.send(frame(2, 1))  # down already: lost, without blocking


@pytest.mark.parametrize("value", [0, 1, 5000, 0xFFFFFFFF])
@pytest.mark.parametrize("at", [0, 8, 12, 20, 24, 28, 256, 260])
def test_a_word_overwritten_at_a_sync_harms_nobody(at: int, value: int) -> None:
    kernel = SimulatedKernel()
    with Port(kernel, "vale0:a") as port, Port(kernel, "vale0:b") as other:
        for name, transmit in (("vale0:a", True), ("vale0:b", False)):
            kernel.simulation.corrupt(name, transmit=transmit, number=0, after_syncs=1, offset=at, value=value)
        port.put(frame(2, 1))
        port.tx_sync()
        other.rx_sync()
        with Port(kernel, "vale0:c") as third, Port(kernel, "vale0:d") as fourth:
            third.send(frame(2, 3, 60, 8))
            assert [octets for octets, _ in fourth.receive()] == [frame(2, 3, 60, 8)]
