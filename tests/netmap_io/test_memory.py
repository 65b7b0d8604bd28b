"""memory: any interleaving on every kind of it, and between processes: death, lies, meeting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmap_io import Burst, LinkType, open_port
from netmap_io.burst import ETHERNET
from netmap_io.drivers.memory import memory_pair
from netmap_io.drivers.shared_memory import SharedMemoryPort
from netmap_io.errors import LinkTypeError, PortAddressError, PortClosedError, PortSystemError


def frames_of(burst: Burst) -> list[bytes]:
    return [bytes(frame) for frame in burst]


def shared_pair(**sizes) -> tuple[SharedMemoryPort, SharedMemoryPort]:
    near = SharedMemoryPort.create(**sizes)
    return near, SharedMemoryPort.attach(near.handover())


def in_process_pair():
    return memory_pair(capacity_frames=7)


def shared_small():
    return shared_pair(capacity_frames=7, capacity_octets=128)


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex}"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.booleans(), st.lists(st.integers(0, 60), max_size=9)),
        st.tuples(st.sampled_from(["receive", "lend"]), st.booleans(), st.integers(1, 5)),
        st.tuples(st.just("look"), st.booleans(), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("make", [in_process_pair, shared_small])
@settings(max_examples=150)
@given(steps=STEPS, closes=st.one_of(st.none(), st.booleans()))
def test_any_interleaving_keeps_every_frame_whole_and_the_accounts_balanced(make, steps, closes):
    ports = make()
    taken: list[list[bytes]] = [[], []]  # by each end's send
    given_: list[list[bytes]] = [[], []]  # by each end's receive
    number = 0
    try:
        for what, end, argument in steps:
            port = ports[end]
            if what == "send":
                frames = [(number + index).to_bytes(4, "big") * (length // 4) for index, length in enumerate(argument)]
                number += len(frames)
                count = port.send(Burst.of(frames))
                assert 0 <= count <= len(frames)
                taken[end] += frames[:count]
            elif what == "receive":
                given_[end] += frames_of(port.receive(argument, 0))
            elif what == "lend":
                with port.lend(argument) as lent:
                    given_[end] += frames_of(lent)
                    assert len(lent) <= argument
            waiting = len(taken[not end]) - len(given_[end])
            assert bool(select.select([port.fileno()], [], [], 0)[0]) == (waiting > 0) or what == "send"
        if closes is not None:
            ports[closes].close()
        for end in (0, 1):
            if closes is None or closes != end:
                while len(burst := ports[end].receive(3, 0)):
                    given_[end] += frames_of(burst)
                assert given_[end] == taken[not end]
                assert ports[end].exhausted == (closes is not None)
            counters = ports[end].counters
            assert counters.sent_frames == len(taken[end])
            assert counters.sent_octets == sum(map(len, taken[end]))
            assert counters.received_frames == len(given_[end])
            assert counters.received_octets == sum(map(len, given_[end]))
            assert given_[end] == taken[not end][: len(given_[end])]
    finally:
        for port in ports:
            port.close()


def test_lending_copies_nothing_and_holds_the_room():
    near, far = shared_pair(capacity_frames=4, capacity_octets=128)
    with near, far:
        assert far.capabilities.zero_copy
        near.send(Burst.of([b"a" * 50, b"b" * 50], [1, 2]))
        with far.lend(9) as lent:
            assert frames_of(lent) == [b"a" * 50, b"b" * 50]
            assert lent.timestamps_ns.tolist() == [1, 2]
            assert near.send(Burst.of([b"c" * 50])) == 0
            kept = lent.copy()
        assert near.send(Burst.of([b"c" * 50])) == 1
        assert frames_of(kept) == [b"a" * 50, b"b" * 50]
        assert frames_of(far.receive(9, 1)) == [b"c" * 50]


def test_a_lent_burst_can_be_sent_on_even_where_not_all_of_it_fits():
    near, far = memory_pair()
    onward, end = memory_pair(capacity_frames=2)
    with near, far, onward, end:
        near.send(Burst.of([b"one", b"two", b"three"]))
        with far.lend(9, 0) as lent:
            assert onward.send(lent) == 2
        assert frames_of(end.receive(9, 0)) == [b"one", b"two"]


def test_receiving_within_a_lend_gives_the_frames_that_follow():
    near, far = shared_pair()
    with near, far:
        near.send(Burst.of([b"one", b"two", b"three"]))
        with far.lend(1) as lent, far.lend(1) as second:
            assert frames_of(far.receive(9, 0)) == [b"three"]
            assert (frames_of(lent), frames_of(second)) == ([b"one"], [b"two"])
            assert near.untaken_frames == 3
        assert near.untaken_frames == 0


def test_columns_cross_and_so_do_ethernet_frames():
    burst = Burst.of([b"x" * 60, b"y" * 14], [5, -1], original_lengths=[99, 14], link_types=ETHERNET, interfaces=[7, 8])
    near, far = shared_pair(link_type=LinkType.ETHERNET)
    with near, far:
        near.send(burst)
        assert far.receive(9, 0) == burst
        with pytest.raises(LinkTypeError, match="carries Ethernet"):
            near.send(Burst.of([b"raw"]))


def test_two_ports_meet_by_name_a_third_does_not(name):
    with open_port(f"memory:{name}") as first:
        assert first.send(Burst.of([b"before anybody came"])) == 1
        assert not first.exhausted
        with open_port(f"memory:{name}?capacity_frames=1") as second:  # sizes are the first one's
            assert frames_of(second.receive(9, 10)) == [b"before anybody came"]
            second.send(Burst.of([b"back", b"again"]))
            assert frames_of(first.receive(9, 10)) == [b"back", b"again"]
            with pytest.raises(PortSystemError, match=f"memory:{name} has two ends already"):
                open_port(f"memory:{name}")
        assert first.exhausted
        with pytest.raises(PortClosedError, match="has gone"):
            first.send(Burst.of([b"x"]))
    with open_port(f"memory:{name}"):  # the name is free again
        pass
    assert f"memory:{name}" not in [thread.name for thread in threading.enumerate()]


def test_a_link_of_another_type_is_refused(name):
    with open_port(f"memory:{name}?link_type=cadu_stream"), pytest.raises(LinkTypeError, match="carries a CADU stream"):
        open_port(f"memory:{name}?link_type=ethernet")


def test_a_name_at_which_no_port_answers_is_given_up_in_time(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(b"\0netmap_io/" + name.encode())
        other.listen()
        with pytest.raises(PortSystemError, match=r"did not answer within 0\.1 s"):
            open_port(f"memory:{name}?attach_ms=100")


def test_what_is_no_port_is_refused(name):
    def lie(hello: bytes, descriptors: list[int]) -> None:
        control, _ = other.accept()
        with control:
            socket.send_fds(control, [hello], descriptors)

    hello = b"netmapio" + b"RAW_OCTETS".ljust(24, b"\0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other, open("/dev/zero", "rb") as zero:
        other.bind(b"\0netmap_io/" + name.encode())
        other.listen()
        for said, descriptors, sentence in (
            (b"hello there", [], "is no port"),
            (hello, [], "is no port"),
            (hello[:8] + b"NONSENSE".ljust(24, b"\0"), [zero.fileno()] * 3, "is no port"),
            (hello, [zero.fileno()] * 3, "not sealed"),
        ):
            thread = threading.Thread(target=lie, args=(said, descriptors))
            thread.start()
            with pytest.raises(PortSystemError, match=sentence):
                open_port(f"memory:{name}")
            thread.join(10)


CHILD = """
import sys
from netmap_io import Burst, open_port
with open_port(sys.argv[1]) as port:
    for burst in port.bursts():
        frames = [bytes(frame)[::-1] for frame in burst]
        if b"pots" in frames:
            break
        sent = 0
        while sent < len(frames):
            sent += port.send(Burst.of(frames[sent:]))
"""


@contextlib.contextmanager
def child(address: str, **keywords):
    with subprocess.Popen([sys.executable, "-c", CHILD, address], **keywords) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("by_name", [True, False])
def test_two_processes_exchange_frames(by_name, name):
    count = 30_000
    if by_name:
        port = open_port(f"memory:{name}?capacity_frames=1000&capacity_octets=100000")
        address, passed = f"memory:{name}", ()
    else:
        port = SharedMemoryPort.create(capacity_frames=1000, capacity_octets=100_000)
        passed = port.handover()
        address = "memory:?descriptors=" + ",".join(map(str, passed))
    with port, child(address, pass_fds=passed) as process:
        for descriptor in passed:
            os.close(descriptor)
        burst = Burst.of([index.to_bytes(4, "big") * (index % 50) for index in range(count)])
        sent = received = 0
        deadline = time.monotonic() + 60
        while received < count and time.monotonic() < deadline:
            sent += port.send(burst[sent : sent + 500])
            for frame in port.receive(1000, 0.01):
                assert bytes(frame)[::-1] == bytes(burst[received])
                received += 1
        assert (sent, received) == (count, count)
        port.send(Burst.of([b"stop"]))
        assert process.wait(30) == 0
        assert len(port.receive(9, 10)) == 0
        assert port.exhausted


def test_the_death_of_the_other_process_is_noticed_and_what_it_sent_is_received(name):
    with open_port(f"memory:{name}") as port, child(f"memory:{name}") as process:
        port.send(Burst.of([b"abc"]))
        while port.untaken_frames:
            time.sleep(0.01)
        assert select.select([port.fileno()], [], [], 30)[0]
        process.kill()
        process.wait(30)
        assert frames_of(port.receive(9, 10)) == [b"cba"]
        start = time.monotonic()
        assert len(port.receive(9, 10)) == 0  # at once
        assert time.monotonic() - start < 5
        assert port.exhausted
        assert select.select([port.fileno()], [], [], 0)[0]
        with pytest.raises(PortClosedError, match="has gone"):
            port.send(Burst.of([b"x"]))


def test_lies_of_the_other_end_are_one_sentence_and_end_the_link():
    near = SharedMemoryPort.create(capacity_frames=4, capacity_octets=64)
    handed = near.handover()
    far_memory = os.dup(handed[0])
    far = SharedMemoryPort.attach(handed)
    with near, far:
        far.send(Burst.of([b"true"]))
        lane = 4096 + (192 + 4 * 32 + 64)
        os.pwrite(far_memory, (2**63).to_bytes(8, sys.byteorder), lane)
        with pytest.raises(PortSystemError, match=r"of no more use: the other end says that it put"):
            near.receive(9, 0)
        assert near.exhausted
        assert len(near.receive(9, 1)) == 0
        with pytest.raises(PortSystemError, match="of no more use"):
            near.send(Burst.of([b"x"]))
        with pytest.raises(PortSystemError, match="of no more use"), near.lend(9):
            pass
    os.close(far_memory)


def test_memory_cannot_be_pulled_away():
    near = SharedMemoryPort.create()
    handed = near.handover()
    with pytest.raises(PermissionError):
        os.ftruncate(handed[0], 0)
    with near, SharedMemoryPort.attach(handed), pytest.raises(PortSystemError, match="handed over already"):
        near.handover()


def test_descriptors_that_are_none_get_one_sentence():
    for address in ("memory:?descriptors=1,2,3", "memory:x?descriptors=1,2,3,4", "memory:?descriptors=a,b,c,d"):
        with pytest.raises(PortAddressError, match="four numbers"):
            open_port(address)
    with pytest.raises(PortSystemError, match="descriptors handed over"):
        open_port("memory:?descriptors=100001,100002,100003,100004")


def test_nothing_is_left_open():
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = held()
    for _ in range(3):
        near, far = shared_pair()
        near.send(Burst.of([b"x"]))
        far.close()
        near.close()
        SharedMemoryPort.create().close()
    assert held() == before


def test_asyncio_waits_on_the_descriptor():
    async def run() -> list[bytes]:
        loop = asyncio.get_running_loop()
        near, far = shared_pair()
        with near, far:
            got: list[bytes] = []
            done = loop.create_future()

            def readable() -> None:
                got.extend(frames_of(far.receive(2, 0)))
                if len(got) == 9:
                    done.set_result(None)

            loop.add_reader(far.fileno(), readable)
            for delay in (0.01, 0.02, 0.03):
                loop.call_later(delay, near.send, Burst.of([b"a", b"b", b"c"]))
            await asyncio.wait_for(done, 10)
            loop.remove_reader(far.fileno())
            return got

    assert asyncio.run(run()) == [b"a", b"b", b"c"] * 3
