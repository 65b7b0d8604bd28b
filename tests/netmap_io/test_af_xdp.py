"""The AF_XDP driver over a veth pair."""

from __future__ import annotations

import importlib.util
import logging
import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from netmap_io import Burst, LinkType, open_port
from netmap_io.burst import ETHERNET, RAW_OCTETS
from netmap_io.errors import (
    InterfaceDownError,
    InterfaceError,
    InterfaceVanishedError,
    LinkTypeError,
    PortAddressError,
    PortBusyError,
    PortPrivilegeError,
    PortUnsupportedError,
)

_SPEC = importlib.util.spec_from_file_location("netmap_io_links", Path(__file__).with_name("links.py"))
links = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(links)
HEAD, burst_of, frames_of = links.HEAD, links.burst_of, links.frames_of
receive_count, send_all = links.receive_count, links.send_all

MODES = ("driver", "generic")


@contextmanager
def ends(veth, near: str = "", far: str = ""):
    with veth.inside(), open_port(f"af_xdp:{veth.near}?{near}") as one, open_port(f"af_xdp:{veth.far}?{far}") as other:
        yield one, other


def exchange(sender, receiver, frames: list[bytes], at_once: int = 100) -> list[bytes]:
    """A veth pair in driver mode holds 256 frames: no more than that are on their way at a time."""
    got: list[bytes] = []
    for first in range(0, len(frames), at_once):
        part = frames[first : first + at_once]
        send_all(sender, part)
        got += receive_count(receiver, len(part))
    return got


@pytest.mark.parametrize("mode", MODES)
def test_5000_frames_both_ways(veth, mode):
    with ends(veth, f"mode={mode}", f"mode={mode}") as (near, far):
        assert near.capabilities.mode == f"AF_XDP, {mode} mode, copy"
        for sender, receiver in ((near, far), (far, near)):
            sent = frames_of(5000)
            assert exchange(sender, receiver, sent) == sent
            octets = sum(map(len, sent))
            assert (sender.counters.sent_frames, sender.counters.sent_octets) == (5000, octets)
            assert (receiver.counters.received_frames, receiver.counters.received_octets) == (5000, octets)
            counters = receiver.counters
            assert (counters.dropped_by_kernel, counters.dropped_by_ring, counters.dropped_by_port) == (0, 0, 0)
            assert len(receiver.receive(1, 0)) == 0


def test_capabilities_and_remarks(veth, caplog):
    with caplog.at_level(logging.INFO, "netmap_io"), ends(veth) as (near, _):
        given = near.capabilities
        assert (given.link_type, given.mtu, given.maximum_frame_octets) == (LinkType.ETHERNET, 1500, 1514)
        assert given.timestamp_source == "none"
        assert any("no zero copy" in remark for remark in given.remarks)
    assert "no zero copy" in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_fallback_to_generic_mode_is_said_aloud(veth, caplog):
    """veth takes no program in its driver when the MTU leaves a frame no room in a page."""
    veth.ip("link", "set", veth.near, "mtu", "9000")
    veth.ip("link", "set", veth.far, "mtu", "9000")
    with caplog.at_level(logging.WARNING, "netmap_io"), veth.inside():
        with open_port("af_xdp:near?mode=auto") as port:
            assert port.capabilities.mode == "AF_XDP, generic mode, copy"
            assert any("generic mode, slower than the driver's" in remark for remark in port.capabilities.remarks)
            assert any("drops frames of more than 3840 octets" in remark for remark in port.capabilities.remarks)
        assert "generic mode" in caplog.text
        with pytest.raises(PortUnsupportedError, match="attaching a program in the driver"):
            open_port("af_xdp:near?mode=driver")


def test_frames_longer_than_a_chunk_are_counted(veth):
    veth.ip("link", "set", veth.near, "mtu", "3000")
    veth.ip("link", "set", veth.far, "mtu", "3000")
    with ends(veth, "chunk_octets=4096", "mode=generic&chunk_octets=2048") as (near, far):
        assert near.capabilities.maximum_frame_octets == 3014
        assert far.capabilities.maximum_frame_octets == 2048
        sent = [HEAD + b"x" * 2500, HEAD + b"y" * 1000, HEAD + b"x" * 2500]
        send_all(near, sent)
        assert receive_count(far, 1) == sent[1:2]
        assert far.counters.dropped_by_kernel == 2


def test_lent_frames_lie_in_the_rings_memory_and_are_not_filled_again(veth):
    with ends(veth, far="receive_frames=64") as (near, far):
        sent = frames_of(40)
        send_all(near, sent)
        time.sleep(0.05)
        with far.lend(30, 5) as lent:
            assert [bytes(frame) for frame in lent] == sent[:30]
            assert [bytes(frame) for frame in far.receive(100, 0)] == sent[30:]
            send_all(near, frames_of(100, seed=5))
            time.sleep(0.05)
            assert [bytes(frame) for frame in lent] == sent[:30]
            assert bytes(lent.buffer) == b"".join(sent[:30])
            frame = lent[3]
        with pytest.raises(ValueError):
            bytes(frame)
        counted = far.counters
        lost = counted.dropped_by_kernel + counted.dropped_by_ring
        assert lost > 0
        assert len(receive_count(far, 100, 0.3)) == 100 - lost
        sent = frames_of(300, seed=6)
        assert exchange(near, far, sent, 50) == sent  # every chunk came back


def test_several_queues(veth):
    """Frames sent on a queue of one end arrive by the queue of the same number; both queues are one port."""
    with (
        veth.inside(),
        open_port("af_xdp:far?queue=0-1") as far,
        open_port("af_xdp:near?queue=1&mode=generic") as near,
    ):
        assert far.queues == (0, 1)
        sent = frames_of(50)
        send_all(near, sent)
        assert select.select([far.fileno()], [], [], 5)[0]
        burst = far.receive(1000, 5)
        assert set(burst.interfaces.tolist()) == {1}
        got = [bytes(frame) for frame in burst] + receive_count(far, 50 - len(burst))
        assert got == sent
        assert not select.select([far.fileno()], [], [], 0)[0]
        send_all(far, sent)


def test_frames_of_a_queue_without_a_socket_go_to_the_stack(veth):
    # in driver mode: a veth tells the generic hook of no queue but 0
    with veth.inside(), open_port("af_xdp:far?queue=1&mode=driver") as far, open_port("packet:far") as stack:
        sent = frames_of(20)
        for queue, receiver, other in ((0, stack, far), (1, far, stack)):
            with open_port(f"af_xdp:near?queue={queue}") as near:
                send_all(near, sent)
                assert receive_count(receiver, 20) == sent
                assert len(other.receive(10, 0.02)) == 0


def test_interface_down_in_mid_burst_and_up_again(veth):
    with ends(veth) as (near, far):
        sent = frames_of(100)
        send_all(near, sent)
        time.sleep(0.05)
        veth.ip("link", "set", veth.far, "down")
        assert receive_count(far, 100) == sent
        with pytest.raises(InterfaceDownError, match="interface far is down"):
            far.receive(10, 1)
        with pytest.raises(InterfaceDownError):
            far.send(burst_of(sent))
        assert (far.counters.received_frames, far.counters.sent_frames) == (100, 0)
        assert len(far.receive(10, 0.02)) == 0
        veth.ip("link", "set", veth.far, "up")
        time.sleep(0.05)
        assert exchange(near, far, sent) == sent


def test_interface_that_vanishes(veth):
    with ends(veth) as (near, far):
        send_all(near, frames_of(20))
        time.sleep(0.05)
        veth.ip("link", "del", veth.far)
        assert len(receive_count(far, 20)) == 20
        for use in (lambda: far.receive(10, 1), lambda: far.receive(10, 0), lambda: far.send(burst_of(frames_of(2)))):
            with pytest.raises(InterfaceVanishedError, match="interface far has vanished"):
                use()
        assert far.exhausted
        assert far.counters.received_frames == 20
    assert (far.counters.received_frames, near.counters.sent_frames) == (20, 20)


@pytest.mark.parametrize("mode", MODES)
def test_close_and_open_20_times(veth, mode):
    descriptors = len(os.listdir("/proc/self/fd"))
    for turn in range(20):
        with ends(veth, f"mode={mode}", f"mode={mode}") as (near, far):
            sent = frames_of(10, seed=turn)
            send_all(near, sent)
            assert receive_count(far, 10) == sent
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert "xdp" not in veth.ip("-d", "link", "show", veth.far)


def test_the_program_goes_with_the_port_and_with_the_process(veth):
    with veth.inside():
        with open_port("af_xdp:far"):
            assert "prog/xdp" in veth.ip("-d", "link", "show", veth.far)
        assert "prog/xdp" not in veth.ip("-d", "link", "show", veth.far)
        code = "import os, netmap_io; port = netmap_io.open_port('af_xdp:far'); os.kill(os.getpid(), 9)"
        assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, timeout=60).returncode == -9
        with open_port("af_xdp:far"):
            pass


def test_a_busy_interface(veth):
    with veth.inside(), open_port("af_xdp:far"):
        begun = time.monotonic()
        for mode in ("auto", *MODES):
            with pytest.raises(PortBusyError, match="far is busy: another port or program has its XDP hook"):
                open_port(f"af_xdp:far?mode={mode}&retry_ms=100")
        assert 0.3 <= time.monotonic() - begun < 5


ECHO = """
import sys
from netmap_io import open_port
with open_port("af_xdp:far") as port:
    print("ready", flush=True)
    left = 1000
    while left:
        burst = port.receive(50, 10)
        assert len(burst), left
        left -= len(burst)
        while len(burst):
            burst = burst[port.send(burst):]
"""


def test_two_processes(veth):
    sent = frames_of(1000)
    with veth.inside(), open_port("af_xdp:near") as near:
        child = subprocess.Popen(
            [sys.executable, "-c", ECHO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            assert exchange(near, near, sent, 50) == sent
            assert child.wait(10) == 0
        finally:
            child.kill()
            child.communicate()


def test_without_privileges_one_sentence(veth):
    code = (
        "import os, netmap_io.drivers.af_xdp as driver\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "from netmap_io import open_port\n"
        "try: open_port('af_xdp:near')\n"
        "except Exception as error: print(type(error).__name__, error, sep=': ')\n"
    )
    with veth.inside():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert PortPrivilegeError.__name__ in done.stdout and "CAP_NET_ADMIN" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1


def test_what_cannot_be(veth):
    for address, error, words in (
        ("af_xdp:nowhere", InterfaceError, "there is no interface"),
        ("af_xdp:near?queue=99", PortUnsupportedError, "near has no queue 99"),
        ("af_xdp:near?queue=3-1", PortAddressError, "queues"),
        ("af_xdp:near?queue=0,0", PortAddressError, "queues"),
        ("af_xdp:near?queue=all", PortAddressError, "queue=all is not a list of numbers"),
        ("af_xdp:near?mode=fast", PortAddressError, "mode=fast is not one of auto, driver, generic"),
        ("af_xdp:near?receive_frames=1000", PortAddressError, "not a power of two"),
        ("af_xdp:near?buffers=zero_copy", PortUnsupportedError, "near: its driver offers no zero copy"),
        ("af_xdp:near?buffers=zero_copy&mode=generic", PortUnsupportedError, "no zero copy in generic mode"),
    ):
        with veth.inside(), pytest.raises(error, match=words):
            open_port(address)
    with veth.inside(), open_port("af_xdp:near?buffers=copy"):
        pass  # nothing that failed was left behind
    veth.ip("link", "set", veth.near, "down")
    with veth.inside(), pytest.raises(InterfaceDownError, match="interface near is down"):
        open_port("af_xdp:near")


def test_frames_that_cannot_be_sent(veth):
    with ends(veth) as (near, _):
        with pytest.raises(LinkTypeError, match="carries Ethernet frames"):
            near.send(Burst.of([b"x" * 60], link_types=RAW_OCTETS))
        with pytest.raises(ValueError, match="frame 1 has 1515 octets; near takes 14 to 1514"):
            near.send(burst_of([HEAD, HEAD + b"x" * 1501]))
        assert near.send(Burst.of([], link_types=ETHERNET)) == 0
        assert near.counters.sent_frames == 0
        near.flush()


def test_what_the_device_refuses_is_counted(veth):
    """In driver mode a veth holds 256 frames and drops the rest when nobody runs to take them."""
    with ends(veth) as (near, far):
        sent = frames_of(4000, 60, 60)
        send_all(near, sent)
        got = receive_count(far, 4000, 0.5)
        counted = near.counters
        assert counted.sent_frames + near.account["refused_by_device"] == 4000
        dropped = far.counters.dropped_by_kernel + far.counters.dropped_by_ring
        assert len(got) + dropped == counted.sent_frames
        assert len(set(got)) == len(got)


def test_memory_goes_with_the_port(veth):
    def mapped() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")

    with ends(veth):
        pass
    before = mapped()
    for _ in range(3):
        with ends(veth) as (near, far):
            assert mapped() - before > 20 << 20
            send_all(near, frames_of(3))
            with far.lend(3, 5) as lent:
                pass
    assert len(repr(lent)) and mapped() - before < 10 << 20
