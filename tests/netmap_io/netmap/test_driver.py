"""The netmap driver over the simulated kernel side: what each kind of port does, and every kind of trouble."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmap_io import Burst, open_port
from netmap_io.burst import ETHERNET, UNKNOWN_TIME
from netmap_io.drivers.netmap import (
    Forwarded,
    NetmapPort,
    NetmapSimulation,
    forward,
    simulation,
    swaps_buffers,
)
from netmap_io.errors import (
    InterfaceDownError,
    InterfaceError,
    InterfaceVanishedError,
    PortAddressError,
    PortBusyError,
    PortClosedError,
    PortError,
    PortUnsupportedError,
)
from netmap_io.testing import check_port

HEAD = bytes.fromhex("0200000000020200000000018888")


def frames_of(count: int, octets: int = 60, first: int = 0) -> list[bytes]:
    return [(HEAD + (first + index).to_bytes(4, "big")).ljust(octets, bytes([index % 251])) for index in range(count)]


def burst_of(frames: list[bytes]) -> Burst:
    return Burst.of(frames, link_types=ETHERNET)


def got(port: NetmapPort, most: int = 65536, timeout: float = 0) -> list[bytes]:
    return [bytes(frame) for frame in port.receive(most, timeout)]


@pytest.fixture
def kernel() -> NetmapSimulation:
    return NetmapSimulation()


@pytest.fixture
def wired(kernel):
    """Two devices of 2 rings on one cable."""
    for name in ("eth0", "eth1"):
        kernel.add_interface(name, rings=2)
    kernel.connect("eth0", "eth1")
    return kernel


def pipe(kernel, name: str = "x", **options) -> tuple[NetmapPort, NetmapPort]:
    return NetmapPort(name + "{1", device=kernel, **options), NetmapPort(name + "}1", device=kernel, **options)


def test_pipes_cables_and_switches_keep_to_the_contract():
    def pipe_ends():
        kernel = NetmapSimulation()
        return pipe(kernel)

    def devices():
        kernel = NetmapSimulation()
        for name in ("eth0", "eth1"):
            kernel.add_interface(name)
        kernel.connect("eth0", "eth1")
        return NetmapPort("eth0", device=kernel), NetmapPort("eth1", device=kernel)

    def switch():
        kernel = NetmapSimulation()
        return NetmapPort("vale0:a", device=kernel), NetmapPort("vale0:b", device=kernel)

    for connect, back_pressure in ((pipe_ends, True), (devices, False), (switch, False)):
        check_port(connect)
        near, far = connect()
        with near, far:
            assert near.capabilities.back_pressure == far.capabilities.back_pressure == back_pressure


def test_a_pipe_gives_back_pressure_and_loses_nothing(kernel):
    near, far = pipe(kernel, slots=(64, 64))
    with near, far:
        frames = frames_of(500)
        sent, received = 0, []
        while len(received) < len(frames):
            sent += near.send(burst_of(frames[sent:])) if sent < len(frames) else 0
            assert sent - len(received) <= 2 * 63
            received += got(far, 17)
        assert received == frames
        assert near.capabilities.back_pressure


def test_a_sender_waits_for_room_and_no_longer(kernel):
    near, far = pipe(kernel, slots=(64, 64))
    with near, far:
        assert near.wait_for_room(0)
        assert near.send(burst_of(frames_of(100))) == 63
        begun = time.monotonic()
        assert not near.wait_for_room(0)
        assert not near.wait_for_room(0.05)
        assert time.monotonic() - begun >= 0.04

        def read() -> None:
            time.sleep(0.1)
            assert len(got(far)) == 63
            assert not got(far)  # the next look gives the slots back

        reader = threading.Thread(target=read)
        reader.start()
        assert near.wait_for_room(5)
        assert 0.09 < time.monotonic() - begun < 5
        reader.join()
        assert near.send(burst_of(frames_of(1))) == 1
        assert near.wait_for_room()


def test_waiting_for_room_with_several_rings_is_about_the_one_that_sends(kernel):
    near, far = pipe(kernel, slots=(64, 64), ring_count=(2, 2), send_ring=1)
    with near, far:
        assert len(near.transmit_slots) == 2
        assert near.send(burst_of(frames_of(100))) == 63
        begun, used = time.monotonic(), time.process_time()
        assert not near.wait_for_room(0.2)  # ring 0 has room all the time
        assert time.monotonic() - begun >= 0.19
        assert time.process_time() - used < 0.15


def test_waiting_for_room_tells_what_sending_tells(wired):
    with NetmapPort("eth0", device=wired, direction="receive") as port, pytest.raises(PortUnsupportedError):
        port.wait_for_room(0)
    port = NetmapPort("eth0", device=wired)
    wired.vanish("eth0")
    with pytest.raises(InterfaceVanishedError):
        port.wait_for_room(0)
    port.close()
    with pytest.raises(PortClosedError):
        port.wait_for_room(0)


def test_long_frames_take_several_slots_and_come_back_whole(kernel):
    near, far = pipe(kernel)
    with near, far:
        frames = [frame.ljust(size, b"z") for frame, size in zip(frames_of(4), (60, 2048, 2049, 60000), strict=True)]
        assert near.send(burst_of(frames)) == 4
        with far.lend(10) as lent:
            assert [bytes(frame) for frame in lent] == frames[:2]
        with far.lend(10) as lent:  # put together in memory of its own
            assert [bytes(frame) for frame in lent] == frames[2:3]
            kept = lent[0]
        with pytest.raises(ValueError):
            kept.tobytes()
        assert got(far) == frames[3:]
        assert near.capabilities.maximum_frame_octets == 64 * 2048


def test_vale_learns_floods_and_drops_silently(kernel):
    with (
        NetmapPort("vale0:a", device=kernel) as a,
        NetmapPort("vale0:b", device=kernel) as b,
        NetmapPort("vale0:c", device=kernel) as c,
    ):
        frames = frames_of(10)
        assert a.send(burst_of(frames)) == 10
        assert got(b) == got(c) == frames
        for _ in range(3):
            a.send(burst_of(frames_of(1000)))
        assert a.counters.sent_frames == 3010 > len(got(b)) + 10
        assert not a.capabilities.back_pressure
        assert "silently" in a.capabilities.remarks[0]


def test_rings_one_several_all(wired):
    for rings, count in (("hardware", 2), ("0", 1), ("1", 1), ("0-1", 2), ("0,1", 2)):
        with NetmapPort("eth1", device=wired, rings=rings) as far, NetmapPort("eth0", device=wired) as near:
            assert len(far.receive_slots) == len(far.transmit_slots) == count
            with NetmapPort("eth0", device=wired, send_ring=1) as second:
                near.send(burst_of(frames_of(5)))
                second.send(burst_of(frames_of(5, first=5)))
            burst = far.receive(100, 0)
            rings_seen = set(burst.interfaces.tolist())
            assert rings_seen <= ({0, 1} if count == 2 else {int(rings)})
            assert len(burst) == (10 if count == 2 else 5)
    with pytest.raises(PortUnsupportedError, match="no such ring"):
        NetmapPort("eth0", device=wired, rings="2")
    with pytest.raises(PortUnsupportedError, match="send_ring=2"):
        NetmapPort("eth0", device=wired, send_ring=2)


def test_host_rings_carry_the_stack_s_frames(wired):
    wired.add_interface("stack")
    wired.connect("eth0", "stack", host=True)
    with (
        NetmapPort("eth0", device=wired, rings="hardware_and_host") as port,
        NetmapPort("stack", device=wired) as stack,
    ):
        stack.send(burst_of(frames_of(3)))
        burst = port.receive(10, 0)
        assert burst.interfaces.tolist() == [2, 2, 2]
    with (
        NetmapPort("eth0", device=wired) as hardware,
        NetmapPort("eth0", device=wired, rings="host") as host,
        NetmapPort("stack", device=wired) as stack,
        NetmapPort("eth1", device=wired) as far,
    ):
        stack.send(burst_of(frames_of(3)))
        assert forward(host, hardware).frames == 3  # stack to wire
        assert got(far) == frames_of(3)
        far.send(burst_of(frames_of(4)))
        assert forward(hardware, host).frames == 4  # wire to stack
        assert got(stack) == frames_of(4)
        assert swaps_buffers(host, hardware)


def test_times_are_the_rings_or_unknown(kernel):
    near, far = pipe(kernel)
    with near, far, NetmapPort("y{1", device=kernel) as a, NetmapPort("y}1", device=kernel, timestamps=False) as b:
        near.send(burst_of(frames_of(2)))
        assert abs(int(far.receive(9, 0).timestamps_ns[0]) - time.time_ns()) < 5_000_000_000
        a.send(burst_of(frames_of(2)))
        assert b.receive(9, 0).timestamps_ns.tolist() == [UNKNOWN_TIME] * 2


def test_lent_slots_hold_the_ring_and_extra_buffers_free_it(kernel):
    for extra in (0, 64):
        near = NetmapPort(f"e{extra}{{1", device=kernel, slots=(32, 32))
        far = NetmapPort(f"e{extra}}}1", device=kernel, slots=(32, 32), extra_buffers=extra)
        with near, far:
            assert far.extra_buffers == extra
            frames = frames_of(62)
            assert near.send(burst_of(frames)) == 31
            with far.lend(31) as lent:
                assert len(lent) == 31
                far._rings.wait(0.01, 0)
                more = near.send(burst_of(frames[31:]))
                assert more == (31 if extra else 0)
                assert [bytes(frame) for frame in lent] == frames[:31]
            assert got(far) == frames[31 : 31 + more]


def test_waiting_ends_with_the_first_frame(kernel):
    near, far = pipe(kernel)
    with near, far:
        timer = threading.Timer(0.05, lambda: near.send(burst_of(frames_of(1))))
        timer.start()
        begun = time.monotonic()
        assert got(far, timeout=5) == frames_of(1)
        assert 0.03 < time.monotonic() - begun < 2
        timer.join()


def test_busy_poll_finds_frames_without_sleeping(kernel):
    near, far = pipe(kernel, busy_poll_us=200_000)
    with near, far:
        timer = threading.Timer(0.05, lambda: near.send(burst_of(frames_of(1))))
        timer.start()
        used = time.thread_time()
        assert got(far, timeout=5) == frames_of(1)
        assert time.thread_time() - used > 0.001  # asleep, it would be a tenth of that
        timer.join()


def test_the_descriptor_polls_readable_while_frames_are_left(wired):
    near, far = pipe(wired)
    with near, far, NetmapPort("eth0", device=wired) as eth0, NetmapPort("eth1", device=wired, rings="0-1") as eth1:
        for source, target in ((near, far), (eth0, eth1)):
            descriptor = target.fileno()
            assert not select.select([descriptor], [], [], 0.03)[0]
            source.send(burst_of(frames_of(2)))
            for _ in range(2):
                assert select.select([descriptor], [], [], 5)[0]
                assert len(got(target, 1)) == 1
            assert not select.select([descriptor], [], [], 0.03)[0]


@pytest.mark.parametrize("same", [True, False])
def test_forward_between_pipes_swaps_or_copies(kernel, same):
    a, b = pipe(kernel, "x")
    memory_id = a.memory_id if same else 0
    c, d = NetmapPort("x{2" if same else "y{1", device=kernel), NetmapPort("x}2" if same else "y}1", device=kernel)
    with a, b, c, d:
        assert not same or c.memory_id == memory_id
        assert swaps_buffers(b, c) is same
        frames = [frame.ljust(60 + 97 * index, b"f") for index, frame in enumerate(frames_of(50))]
        assert a.send(burst_of(frames)) == 50
        done = forward(b, c)
        assert done == Forwarded(50, sum(map(len, frames)), 0, 0, False)
        assert got(d) == frames
        assert (b.counters.received_frames, c.counters.sent_frames) == (50, 50)
        for round_ in range(30):  # buffers go round and round
            a.send(burst_of(frames_of(40, first=round_)))
            assert forward(b, c, 30).frames == 30
            assert forward(b, c).frames == 10
            assert got(d) == frames_of(40, first=round_)
        assert forward(b, c, timeout=0.01).frames == 0


def test_forward_keeps_what_the_target_has_no_room_for(kernel):
    a, b = pipe(kernel, "x", slots=(128, 128))
    c, d = pipe(kernel, "y", slots=(32, 32))
    with a, b, c, d:
        frames = frames_of(100)
        assert a.send(burst_of(frames)) == 100
        received, moved = [], 0
        while moved < 100:
            done = forward(b, c)
            moved += done.frames
            assert done.full is (moved < 100)
            received += got(d)
        assert received + got(d) == frames


def test_forward_lets_go_of_what_a_device_cannot_send(wired):
    a, b = pipe(wired)
    with a, b, NetmapPort("eth0", device=wired) as out, NetmapPort("eth1", device=wired) as far:
        a.send(burst_of([frames_of(1)[0], bytes(1515), bytes(5000), frames_of(2)[1]]))
        done = forward(b, out)
        assert (done.frames, done.refused, done.refused_octets) == (2, 2, 6515)
        assert got(far) == frames_of(2)
        assert out.counters.dropped_by_port == 2


def test_forward_is_for_netmap_ports(kernel):
    near, far = pipe(kernel)
    with near, far, open_port("memory:?link_type=ethernet") as other:
        assert not swaps_buffers(near, other)
        with pytest.raises(PortUnsupportedError, match="two netmap ports"):
            forward(near, other)
        far.close()
        with pytest.raises(PortClosedError):
            forward(near, far)
        assert not swaps_buffers(near, far)


def test_a_device_that_is_down_is_told_once_and_never_asked(wired):
    with NetmapPort("eth0", device=wired) as near, NetmapPort("eth1", device=wired) as far:
        near.send(burst_of(frames_of(3)))
        assert len(got(far, 1)) == 1
        wired.set_up("eth1", False)
        assert len(got(far)) == 2  # what was there comes first
        with pytest.raises(InterfaceDownError, match="eth1 is down"):
            far.receive(1, 0)
        begun = time.monotonic()
        assert got(far, timeout=0.1) == []  # a sync would hold us until it is up
        assert time.monotonic() - begun < 1
        with pytest.raises(InterfaceDownError):
            far.send(burst_of(frames_of(1)))
        with pytest.raises(InterfaceDownError):
            NetmapPort("eth1", device=wired)
        wired.set_up("eth1", True)
        near.send(burst_of(frames_of(2)))
        assert got(far, timeout=1) == frames_of(2)


def test_a_device_that_vanishes_is_closed_at_once(wired):
    with NetmapPort("eth0", device=wired) as near, NetmapPort("eth1", device=wired) as far:
        near.send(burst_of(frames_of(3)))
        assert len(got(far, 1)) == 1
        wired.vanish("eth1")
        assert len(got(far)) == 2
        for use in (
            lambda: far.receive(1, 0),
            lambda: far.receive(1, 1),
            lambda: far.send(burst_of(frames_of(1))),
            far.flush,
            far.fileno,
            lambda: far.lend(1).__enter__(),
            lambda: forward(far, near),
        ):
            with pytest.raises(InterfaceVanishedError, match="eth1 has vanished"):
                use()
        assert far.exhausted
        wired.open().close()  # the simulation notices then what is no longer open nor mapped
        wired.add_interface("eth1")  # the name is free: nothing of ours holds the old one
        assert far.counters.received_frames == 3
    assert far.counters.received_frames == 3


def test_vanishing_while_frames_are_lent(wired):
    with NetmapPort("eth0", device=wired) as near, NetmapPort("eth1", device=wired) as far:
        near.send(burst_of(frames_of(3)))
        with far.lend(2) as lent:
            wired.vanish("eth1")
            with pytest.raises(InterfaceVanishedError):
                far.send(burst_of(frames_of(1)))
            assert [bytes(frame) for frame in lent] == frames_of(2)
        with pytest.raises(InterfaceVanishedError):
            far.receive(1, 0)


def test_a_busy_port_is_told(wired):
    with NetmapPort("eth0", device=wired, exclusive=True), pytest.raises(PortBusyError, match="eth0 is busy"):
        NetmapPort("eth0", device=wired)
    with NetmapPort("eth0", device=wired), pytest.raises(PortBusyError, match="exclusive=yes"):
        NetmapPort("eth0", device=wired, exclusive=True)
    NetmapPort("eth0", device=wired, exclusive=True).close()  # closing let go of it
    wired.set_taken("eth1", True)
    with pytest.raises(PortBusyError, match="eth1 is busy"):
        NetmapPort("eth1", device=wired)


@pytest.mark.parametrize(
    ("name", "options", "error", "sentence"),
    [
        ("eth9", {}, InterfaceError, "eth9"),
        ("eth0^", {}, InterfaceError, "eth0"),
        ("", {}, InterfaceError, "no"),
        ("a" * 70, {}, InterfaceError, "a"),
        ("namethatistoolong{1", {}, InterfaceError, "15 characters"),
        ("x{", {}, PortUnsupportedError, "brace"),
        ("vale0:a", {"rings": "host"}, PortUnsupportedError, "no host rings"),
        ("vale0:a", {"memory_id": 999}, PortUnsupportedError, "memory region"),
        ("vale", {}, PortError, "valeS:P"),
    ],
)
def test_each_refusal_is_one_sentence(wired, name, options, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        NetmapPort(name, device=wired, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("zero_copy", [False, True])
@pytest.mark.parametrize("watched", ["x{1", "vale0:a", "eth0"])
def test_a_monitor_sees_what_is_sent_and_received(wired, watched, zero_copy):
    peer = {"x{1": "x}1", "vale0:a": "vale0:b", "eth0": "eth1"}[watched]
    options = {"monitor": "both", "monitor_zero_copy": zero_copy}
    with (
        NetmapPort(watched, device=wired) as near,
        NetmapPort(peer, device=wired) as far,
        NetmapPort(watched, device=wired, **options) as monitor,
    ):
        assert not monitor.capabilities.sends
        sent, came = frames_of(5), frames_of(9)[5:]
        assert (near.send(burst_of(sent)), far.send(burst_of(came))) == (5, 4)
        assert (got(far), got(near)) == (sent, came)
        for port in (near, far):  # slots are given back, and what is done with is seen
            port.receive(1, 0)
            port.flush()
        near.receive(1, 0)
        near.flush()
        assert sorted(got(monitor)) == sorted(sent + came)


def test_an_mtu_beyond_the_buffers_is_explained(kernel):
    kernel.add_interface("big", mtu=9000)
    with pytest.raises(PortUnsupportedError, match="MTU of 9000"):
        NetmapPort("big", device=kernel)


def test_exhausted_memory_is_told(kernel):
    kernel.add_interface("eth0")
    kernel.set_exhausted(1, True)
    with pytest.raises(PortError, match="no memory"):
        NetmapPort("eth0", device=kernel)


def test_without_the_module_the_sentence_says_so():
    if os.path.exists("/dev/netmap"):
        pytest.skip("/dev/netmap is there")
    for address in ("netmap:vale0:a", "netmap:x{1"):
        with pytest.raises(PortUnsupportedError, match="module is not loaded"):
            open_port(address)


def test_a_frame_of_the_wrong_length_is_refused_before_any_is_sent(wired):
    with NetmapPort("eth0", device=wired) as near, NetmapPort("eth1", device=wired) as far:
        for frame in (bytes(13), bytes(1515), b""):
            with pytest.raises(ValueError, match="frame 1 has"):
                near.send(burst_of([bytes(60), frame]))
        assert got(far) == []
        assert near.capabilities.maximum_frame_octets == 1514
        assert (near.capabilities.mtu, len(near.capabilities.mac)) == (1500, 6)


def test_addresses():
    name = f"a{os.getpid()}"
    with (
        open_port(f"netmap:{name}?pipe=7&device=simulated&transmit_slots=64&receive_slots=32") as near,
        open_port(f"netmap:{name}}}7?device=simulated&busy_poll_us=5&timestamps=no") as far,
    ):
        assert near.transmit_slots == (64,)
        assert near.receive_slots == (32,)
        near.send(burst_of(frames_of(2)))
        assert got(far) == frames_of(2)
    assert simulation() is simulation(None)
    for address in (
        "netmap:x?pipe=&device=simulated",
        "netmap:x{1?pipe=1&device=simulated",
        "netmap:x?end=slave&device=simulated",
        "netmap:eth0?rings=some&device=simulated",
        "netmap:eth0?rings=1,1&device=simulated",
        "netmap:eth0?rings=3-1&device=simulated",
        "netmap:eth0?device=elsewhere",
        "netmap:eth0?simulation=/tmp/x",
        "netmap:eth0?ring=1",
    ):
        with pytest.raises(PortAddressError):
            open_port(address)


def test_two_processes_share_a_pipe(kernel):
    path = f"/proc/{os.getpid()}/fd/{kernel.fileno()}"
    program = (
        "import sys; from netmap_io import open_port\n"
        f"with open_port('netmap:x?pipe=1&end=slave&device=simulated&simulation={path}') as port:\n"
        "    print('ready', flush=True)\n"
        "    left = 2000\n"
        "    while left:\n"
        "        burst = port.receive(100, 10)\n"
        "        if not len(burst): sys.exit('nothing came')\n"
        "        left -= len(burst)\n"
        "        while len(burst): burst = burst[port.send(burst):]\n"
    )
    command = [sys.executable, "-c", program]
    with (
        NetmapPort("x{1", device=kernel) as near,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdout.readline() == "ready\n"
        frames, sent, received = frames_of(2000), 0, []
        while len(received) < len(frames):
            sent += near.send(burst_of(frames[sent:])) if sent < len(frames) else 0
            part = got(near, timeout=10)
            assert part
            received += part
        assert received == frames
        assert child.wait(10) == 0


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 20)),
            st.tuples(st.sampled_from(["receive", "lend", "forward", "last"]), st.integers(1, 20)),
        ),
        max_size=60,
    ),
    st.integers(2, 9),
)
def test_any_interleaving_through_two_pipes_keeps_order(steps, slots):
    kernel = NetmapSimulation()
    a, b = pipe(kernel, "x", slots=(slots, slots))
    c, d = NetmapPort("x{2", device=kernel), NetmapPort("x}2", device=kernel)
    with a, b, c, d:
        sent, received = 0, []
        for step, count in steps:
            if step == "send":
                sent += a.send(burst_of(frames_of(count, first=sent)))
            elif step == "forward":
                forward(b, c, count)
            elif step == "lend":
                with d.lend(count) as lent:
                    received += [bytes(frame) for frame in lent]
            elif step == "receive":
                received += got(d, count)
            else:
                burst = b.receive(count, 0)
                while len(burst):
                    burst = burst[c.send(burst) :]
        for _ in range(sent + 3):
            forward(b, c)
            received += got(d)
        assert [frame[:18] for frame in received] == [frame[:18] for frame in frames_of(sent)]


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(1, 6),
            st.integers(0, (256 + 16 * 16) // 4 - 1),
            st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)),
        ),
        max_size=8,
    ),
    st.lists(st.integers(1, 30), min_size=1, max_size=30),
)
def test_a_ring_whose_memory_lies_does_no_harm(lies, counts):
    kernel = NetmapSimulation()
    near, far = pipe(kernel, slots=(16, 16))
    for transmit, syncs, word, value in lies:
        port = "x{1" if transmit else "x}1"
        kernel.corrupt(port, transmit=transmit, number=0, after_syncs=syncs, offset=4 * word, value=value)
    with near, far:
        for count in counts:
            try:
                near.send(burst_of(frames_of(count)))
                for frame in far.receive(count, 0):
                    assert len(frame) <= 64 * 2048
                with far.lend(count) as lent:
                    b"".join(lent)
            except PortError as error:
                assert "contradict" in str(error) or "lost its buffer" in str(error)
