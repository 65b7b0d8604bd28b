"""The AF_PACKET driver over a veth pair."""

from __future__ import annotations

import importlib.util
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from netmap_io import Burst, LinkType, open_port
from netmap_io.burst import ETHERNET, RAW_OCTETS
from netmap_io.errors import (
    InterfaceDownError,
    InterfaceError,
    InterfaceVanishedError,
    LentFrameError,
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

TAGGED_HEAD = HEAD[:12] + bytes.fromhex("81002064")


@contextmanager
def ends(veth, near: str = "", far: str = ""):
    with veth.inside(), open_port(f"packet:{veth.near}?{near}") as one, open_port(f"packet:{veth.far}?{far}") as other:
        yield one, other


@pytest.mark.parametrize("transmit_ring", [0, 4096])
def test_5000_frames_both_ways(veth, transmit_ring):
    with ends(veth, *2 * (f"transmit_ring={transmit_ring}",)) as (near, far):
        for sender, receiver in ((near, far), (far, near)):
            sent = frames_of(5000)
            got: list[bytes] = []
            for first in range(0, 5000, 500):
                send_all(sender, sent[first : first + 500])
                got += receive_count(receiver, 500)
            assert got == sent
            assert len(sender.receive(10, 0.02)) == 0  # one's own frames do not come back
            octets = sum(map(len, sent))
            assert (sender.counters.sent_frames, sender.counters.sent_octets) == (5000, octets)
            assert (receiver.counters.received_frames, receiver.counters.received_octets) == (5000, octets)
            assert (receiver.counters.dropped_by_kernel, receiver.counters.dropped_by_port) == (0, 0)


def test_times_are_the_kernels_and_lengths_the_wires(veth):
    with ends(veth) as (near, far):
        before = time.time_ns()
        send_all(near, frames_of(10))
        time.sleep(0.05)
        burst = far.receive(10, 5)
        assert len(burst) == 10
        assert before <= int(burst.timestamps_ns.min()) <= int(burst.timestamps_ns.max()) <= time.time_ns()
        assert burst.original_lengths.tolist() == burst.lengths.tolist()
        assert "kernel" in far.capabilities.timestamp_source


def test_capabilities(veth):
    with ends(veth, near="transmit_ring=4096") as (near, far):
        given = near.capabilities
        assert (given.link_type, given.mtu, given.maximum_frame_octets) == (LinkType.ETHERNET, 1500, 1514)
        assert given.zero_copy and given.back_pressure
        assert given.mode == "AF_PACKET, TPACKET_V3 receive ring, TPACKET_V2 transmit ring"
        assert far.capabilities.mode == "AF_PACKET, TPACKET_V3 receive ring, sendmmsg"
        with veth.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as plain:
            plain.bind((veth.near, 0))
            assert given.mac == plain.getsockname()[4]


def test_a_small_ring_that_nobody_empties_counts_what_the_kernel_drops(veth):
    with ends(veth, far="blocks=2&block_octets=4096") as (near, far):
        sent = frames_of(500, 1000, 1000)
        send_all(near, sent)
        time.sleep(0.05)
        got = receive_count(far, 500, 0.2)
        lost = far.counters.dropped_by_kernel
        assert 0 < len(got) < 500
        assert len(got) + lost == 500
        assert far.counters.dropped_by_kernel == lost  # reading does not reset it for us
        assert [frame for frame in sent if frame in set(got)] == got
    assert far.counters.dropped_by_kernel == lost  # kept after close
    assert far.counters.received_frames == len(got)


def test_lent_frames_lie_in_the_ring_and_their_blocks_are_kept(veth):
    with ends(veth, far="blocks=4&block_octets=131072") as (near, far):
        sent = frames_of(100)
        send_all(near, sent[:50])
        time.sleep(0.05)
        with far.lend(30, 5) as lent:
            assert [bytes(frame) for frame in lent] == sent[:30]
            with far.lend(100, 5) as more:
                assert [bytes(frame) for frame in more] == sent[30:50]
            with pytest.raises(LentFrameError):
                lent[1:3]
            send_all(near, frames_of(2000, seed=2))  # more than the ring holds: drops, but nothing lent changes
            assert [bytes(frame) for frame in lent] == sent[:30]
            columns, copy = lent.columns(), lent.copy()
            assert bytes(lent.buffer) == b"".join(sent[:30])
            assert lent.offsets[-1] == len(bytes(columns[0]))
            assert bytes(lent[-1]) == sent[29]
            with pytest.raises(IndexError):
                lent[30]
        assert far.counters.dropped_by_kernel > 0
        assert [bytes(frame) for frame in copy] == sent[:30]
        while len(far.receive(1000, 0.02)):
            pass
        send_all(near, sent[50:])
        assert receive_count(far, 50) == sent[50:]


@pytest.mark.parametrize("transmit_ring", [0, 64])
def test_a_vlan_tag_is_in_the_frame(veth, transmit_ring):
    """The kernel takes a tag out of a received frame; here it is back, also for the greatest length."""
    with ends(veth, f"transmit_ring={transmit_ring}") as (near, far):
        sent = [TAGGED_HEAD + b"\x88\x88" + bytes(range(60)), TAGGED_HEAD + b"\x88\x88" + b"x" * 1500, HEAD + b"y" * 60]
        send_all(near, sent)
        assert receive_count(far, 3) == sent
        assert far.account["vlan_tags_restored"] == 2
        assert far.account["frames_over_mtu"] == 0
        with pytest.raises(ValueError, match="frame 1 has 1515 octets; near takes 14 to 1514, 4 more with a VLAN tag"):
            near.send(burst_of([HEAD + b"x" * 100, HEAD + b"x" * 1501]))
        assert far.receive(1, 0.02).octets == 0


def checksum(octets: bytes) -> int:
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets[: len(octets) // 2 * 2]))
    total += octets[-1] << 8 if len(octets) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(packet: bytes, protocol: int) -> bytes:
    return packet[12:20] + struct.pack("!BBH", 0, protocol, len(packet) - 20)


def addressed(veth) -> None:
    """The far end's stack sends UDP and TCP to a neighbour that is only an address."""
    veth.ip("addr", "add", "10.9.0.2/24", "dev", veth.far)
    veth.ip("neigh", "add", "10.9.0.1", "lladdr", "02:00:00:00:00:01", "dev", veth.far)


def test_checksums_left_to_a_card_are_finished(veth):
    addressed(veth)
    with ends(veth) as (near, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        for size in range(60):
            plain.sendto(bytes(range(size)), ("10.9.0.1", 7))
        packets = [frame[14:] for frame in receive_count(near, 60) if frame[12:14] == b"\x08\x00"]
        assert len(packets) == 60
        for packet in packets:
            assert packet[9] == socket.IPPROTO_UDP
            assert checksum(pseudo(packet, 17) + packet[20:]) == 0xFFFF
        assert near.account["checksums_finished"] == 60
        assert near.account["checksums_unfinished"] == 0


def test_segments_joined_or_never_cut_come_whole_and_are_counted(veth):
    """UDP segmentation offload: the stack hands the interface one frame for several datagrams."""
    addressed(veth)
    with ends(veth) as (near, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
        plain.sendto(b"z" * 9000, ("10.9.0.1", 7))
        (frame,) = receive_count(near, 1)
        assert len(frame) == 14 + 20 + 8 + 9000
        assert near.account["frames_over_mtu"] == 1
        assert near.counters.dropped_by_kernel == 0


def test_fanout_shares_the_frames(veth):
    with (
        veth.inside(),
        open_port(f"packet:{veth.near}") as near,
        open_port(f"packet:{veth.far}?fanout=lb&fanout_id=7") as one,
        open_port(f"packet:{veth.far}?fanout=lb&fanout_id=7") as two,
    ):
        sent = frames_of(400)
        send_all(near, sent)
        got = [receive_count(port, 200) for port in (one, two)]
        assert [len(frames) for frames in got] == [200, 200]
        assert sorted(got[0] + got[1]) == sorted(sent)
        with pytest.raises(PortBusyError, match="fanout group 7 is in use"):
            open_port(f"packet:{veth.far}?fanout=hash&fanout_id=7")
        for name in ("hash", "cpu", "rollover", "random", "queue"):
            open_port(f"packet:{veth.far}?fanout={name}&fanout_id=9").close()


@pytest.mark.parametrize("transmit_ring", [0, 64])
def test_interface_down_in_mid_burst_and_up_again(veth, transmit_ring):
    with ends(veth, *2 * (f"transmit_ring={transmit_ring}",)) as (near, far):
        sent = frames_of(100)
        send_all(near, sent)
        time.sleep(0.05)
        veth.ip("link", "set", veth.far, "down")
        assert receive_count(far, 100) == sent  # what was there is given first
        with pytest.raises(InterfaceDownError, match="interface far is down"):
            far.receive(10, 1)
        with pytest.raises(InterfaceDownError):
            far.send(burst_of(sent))
        assert (far.counters.received_frames, far.counters.sent_frames) == (100, 0)
        assert len(far.receive(10, 0.02)) == 0  # told once
        veth.ip("link", "set", veth.far, "up")
        time.sleep(0.05)
        send_all(near, sent)
        assert receive_count(far, 100) == sent
        assert near.counters.sent_frames == 200


def test_interface_that_vanishes(veth):
    with ends(veth) as (near, far):
        send_all(near, frames_of(20))
        time.sleep(0.05)
        veth.ip("link", "del", veth.far)
        assert len(receive_count(far, 20)) == 20
        for use in (lambda: far.receive(10, 1), lambda: far.receive(10, 0), lambda: far.send(burst_of(frames_of(2)))):
            with pytest.raises(InterfaceVanishedError, match="interface far has vanished; open the port anew"):
                use()
        assert far.exhausted
        assert far.counters.received_frames == 20
        veth.add()
        with open_port(f"packet:{veth.near}"):
            pass


def test_close_and_open_20_times(veth):
    descriptors = len(os.listdir("/proc/self/fd"))
    for turn in range(20):
        with ends(veth) as (near, far):
            sent = frames_of(10, seed=turn)
            send_all(near, sent)
            assert receive_count(far, 10) == sent
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_loopback_interface_and_its_great_frames(veth):
    veth.ip("link", "set", "lo", "up")
    with veth.inside(), open_port("packet:lo?transmit_ring=131072") as port:
        assert port.capabilities.maximum_frame_octets == 65536 + 14
        sent = [HEAD + bytes([index]) * 65000 for index in range(3)] + frames_of(1000)
        send_all(port, sent)
        assert receive_count(port, len(sent)) == sent
        assert port.account["frames_over_mtu"] == 0


def test_memory_goes_with_the_port(veth):
    def mapped() -> int:
        with open("/proc/self/maps") as maps:
            return sum("socket:" in line for line in maps)

    before = mapped()
    with ends(veth, near="transmit_ring=4096") as (near, far):
        assert mapped() == before + 3
        send_all(near, frames_of(3))
        with far.lend(3, 5) as lent:
            pass
    assert len(repr(lent)) and mapped() == before


ECHO = """
import sys
from netmap_io import open_port
with open_port("packet:far") as port:
    print("ready", flush=True)
    left = 1000
    while left:
        burst = port.receive(1000, 10)
        assert len(burst), left
        left -= len(burst)
        while len(burst):
            burst = burst[port.send(burst):]
"""


def test_two_processes(veth):
    sent = frames_of(1000)
    with veth.inside(), open_port(f"packet:{veth.near}") as near:
        child = subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            send_all(near, sent)
            assert receive_count(near, 1000) == sent
            assert child.wait(10) == 0
        finally:
            child.kill()
            child.communicate()


def test_without_privileges_one_sentence(veth):
    code = (
        "import os, netmap_io.drivers.af_packet as driver\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "from netmap_io import open_port\n"
        "try: open_port('packet:near')\n"
        "except Exception as error: print(type(error).__name__, error, sep=': ')\n"
    )
    with veth.inside():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert PortPrivilegeError.__name__ in done.stdout and "CAP_NET_RAW" in done.stdout
    assert done.stdout.count("\n") == 1, done.stderr


def test_addresses_that_cannot_be(veth):
    for address, error, words in (
        ("packet:nowhere", InterfaceError, 'there is no interface "nowhere"'),
        ("packet:", InterfaceError, "there is no interface"),
        ("packet:a-name-that-is-much-too-long", InterfaceError, "there is no interface"),
        ("packet:near?fanout=some", PortAddressError, "fanout=some is not one of none, hash"),
        ("packet:near?block_octets=5000", PortAddressError, "not a power of two"),
        ("packet:near?promiscous=yes", PortAddressError, "did you mean promiscuous"),
        ("packet:near?timestamps=hardware", PortUnsupportedError, "near: .*stamping frames by the card"),
    ):
        with veth.inside(), pytest.raises(error, match=words):
            open_port(address)
    veth.ip("link", "set", veth.near, "down")
    with veth.inside(), pytest.raises(InterfaceDownError, match="interface near is down"):
        open_port("packet:near")


@pytest.mark.parametrize("transmit_ring", [0, 64])
def test_frames_that_cannot_be_sent(veth, transmit_ring):
    with ends(veth, f"transmit_ring={transmit_ring}") as (near, far):
        with pytest.raises(LinkTypeError, match="carries Ethernet frames"):
            near.send(Burst.of([b"x" * 60], link_types=RAW_OCTETS))
        with pytest.raises(ValueError, match="frame 0 has 13 octets"):
            near.send(burst_of([b"x" * 13]))
        assert near.send(Burst.of([], link_types=ETHERNET)) == 0
        assert near.counters.sent_frames == 0
        near.flush()
        veth.ip("link", "set", veth.near, "mtu", "500")
        with pytest.raises(ValueError, match="is the MTU less than it was"):
            near.send(burst_of([HEAD + b"x" * 1000]))
        assert near.send(burst_of([HEAD + b"x" * 46])) == 1
        assert receive_count(far, 1) == [HEAD + b"x" * 46]


def test_promiscuous_is_set_and_taken_back(veth):
    with veth.inside(), open_port(f"packet:{veth.near}?promiscuous=yes"):
        assert "promiscuity 1" in veth.ip("-d", "link", "show", veth.near)
    assert "promiscuity 0" in veth.ip("-d", "link", "show", veth.near)


def test_a_ring_that_wraps_many_times(veth):
    with ends(veth, near="transmit_ring=64", far="blocks=32&block_octets=4096") as (near, far):
        sent = frames_of(3000, 60, 300)
        got: list[bytes] = []
        for first in range(0, 3000, 50):
            send_all(near, sent[first : first + 50])
            got += receive_count(far, 50)
        assert got == sent


def test_columns_of_a_lent_burst_fit_a_received_one(veth):
    with ends(veth) as (near, far):
        send_all(near, frames_of(20))
        time.sleep(0.05)
        with far.lend(20, 5) as lent:
            assert len(lent) == 20
            kept = lent.copy()
            assert kept == lent
            assert np.array_equal(lent.lengths, kept.lengths)
            assert (len(lent), lent.octets) == (len(kept), kept.octets)
