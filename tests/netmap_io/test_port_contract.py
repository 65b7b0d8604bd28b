"""The contract of netmap_io.port, against every driver."""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
import select
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from netmap_io import Burst, LinkType, Port, open_port
from netmap_io.burst import ETHERNET, RAW_OCTETS, UNKNOWN_TIME, join
from netmap_io.drivers.memory import memory_pair
from netmap_io.drivers.netmap import NetmapPort, NetmapSimulation
from netmap_io.drivers.shared_memory import SharedMemoryPort
from netmap_io.errors import LinkTypeError, PortClosedError, PortUnsupportedError
from netmap_io.port import require_link_type
from netmap_io.testing import NamespaceError, in_namespace

_SPEC = importlib.util.spec_from_file_location("netmap_io_links", Path(__file__).with_name("links.py"))
links = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(links)

Carry = Callable[[Burst], Port]
"""Sends a burst and gives the port that will receive it."""


@contextmanager
def _pcap(tmp_path, options: str) -> Iterator[Carry]:
    opened = []

    def carry(burst: Burst) -> Port:
        path = tmp_path / f"{len(opened)}.cap"
        with open_port(f"pcap:{path}?mode=write&link_type=raw_octets&{options}") as port:
            assert port.send(burst) == len(burst)
            port.flush()
            assert (port.counters.sent_frames, port.counters.sent_octets) == (len(burst), burst.octets)
        opened.append(open_port(f"pcap:{path}"))
        return opened[-1]

    yield carry
    for port in opened:
        port.close()


@contextmanager
def _memory(tmp_path, options: str) -> Iterator[Carry]:
    near, far = memory_pair()

    def carry(burst: Burst) -> Port:
        assert near.send(burst) == len(burst)
        near.flush()
        near.close()
        assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
        return far

    yield carry
    far.close()


@contextmanager
def _loop(tmp_path, options: str) -> Iterator[Carry]:
    with open_port("memory:") as port:

        def carry(burst: Burst) -> Port:
            assert port.send(burst) == len(burst)
            return port

        yield carry


@contextmanager
def _shared(tmp_path, options: str) -> Iterator[Carry]:
    near = SharedMemoryPort.create()
    far = SharedMemoryPort.attach(near.handover())

    def carry(burst: Burst) -> Port:
        assert near.send(burst) == len(burst)
        near.flush()
        near.close()
        assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
        return far

    yield carry
    far.close()


@contextmanager
def _udp(tmp_path, options: str) -> Iterator[Carry]:
    with open_port(f"udp:127.0.0.1:0?{options}") as port, open_port(f"udp:?peer=127.0.0.1:{port.local[1]}") as near:

        def carry(burst: Burst) -> Port:
            assert near.send(burst) == len(burst)
            near.flush()
            assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
            return port

        yield carry


@contextmanager
def _tcp(tmp_path, options: str) -> Iterator[Carry]:
    """The server sends and closes: the client comes to an end."""
    with open_port(f"tcp:127.0.0.1:0?mode=server&link_type=raw_octets&{options}") as far:
        port = open_port(f"tcp:127.0.0.1:{far.local[1]}?link_type=raw_octets&{options}")

        def carry(burst: Burst) -> Port:
            while not far.peers:
                far.receive(1, 1)
            assert far.send(burst) == len(burst)
            far.flush()
            assert (far.counters.sent_frames, far.counters.sent_octets) == (len(burst), burst.octets)
            far.close()
            poll = select.poll()  # the end has come: all that was before it is there
            poll.register(port._connections[0].socket, select.POLLRDHUP)
            assert poll.poll(10_000)
            return port

        yield carry
        port.close()


@contextmanager
def _tap(tmp_path, options: str) -> Iterator[Carry]:
    """An AF_PACKET socket sends into the interface what the port receives from it."""

    def make() -> tuple[Port, socket.socket]:
        for which in ("all", "default"):  # without IPv6 the system says nothing of its own
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1", encoding="ascii")
        port = open_port(f"tap:tap0?{options}")
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        packets.bind((port.name, 0))
        return port, packets

    try:
        port, packets = in_namespace(make)
    except NamespaceError as error:
        pytest.skip(str(error))
    with port, packets:

        def carry(burst: Burst) -> Port:
            for frame in burst:
                packets.send(frame)
            return port

        yield carry


@contextmanager
def _interfaces(tmp_path, address: str) -> Iterator[Carry]:
    """Two interfaces wired to each other, a port on each."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    pair = links.VethPair()
    try:
        with pair.inside(), open_port(address.format("near")) as near, open_port(address.format("far")) as far:

            def carry(burst: Burst) -> Port:
                assert near.send(burst) == len(burst)
                near.flush()
                assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
                time.sleep(0.02 if len(burst) else 0)  # until the last of them is handed over
                return far

            yield carry
    finally:
        pair.close()


@contextmanager
def _netmap_pipe(tmp_path, device: str) -> Iterator[Carry]:
    """The two ends of a pipe."""
    if device == "/dev/netmap" and not os.path.exists(device):
        pytest.skip("no /dev/netmap")
    name = f"c{os.getpid()}"
    end = f"netmap:{name}?pipe=1&device={device}&end="
    with open_port(end + "master") as near, open_port(end + "slave") as far:
        yield _straight(near, far)


@contextmanager
def _netmap_devices(tmp_path, options: str) -> Iterator[Carry]:
    """Two simulated network devices, wired to each other."""
    simulation = NetmapSimulation()
    for name in ("near", "far"):
        simulation.add_interface(name)
    simulation.connect("near", "far")
    with NetmapPort("near", device=simulation) as near, NetmapPort("far", device=simulation) as far:
        yield _straight(near, far)


@contextmanager
def _netmap_switch(tmp_path, options: str) -> Iterator[Carry]:
    """Two ports of a simulated switch, which drops what has no room."""
    simulation = NetmapSimulation()
    with NetmapPort("vale0:near", device=simulation) as near, NetmapPort("vale0:far", device=simulation) as far:
        assert not near.capabilities.back_pressure
        yield _straight(near, far)


def _straight(near: Port, far: Port) -> Carry:
    def carry(burst: Burst) -> Port:
        assert near.send(burst) == len(burst)
        near.flush()
        assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
        return far

    return carry


SUBJECTS = {
    "pcapng": (_pcap, "format=pcapng"),
    "pcap": (_pcap, "format=pcap"),
    "pcap-big-endian": (_pcap, "format=pcap&byte_order=big"),
    "memory-pair": (_memory, ""),
    "memory-loop": (_loop, ""),
    "memory-shared": (_shared, ""),
    "udp": (_udp, "gro=no"),
    "udp-joined": (_udp, "gro=yes"),
    "tcp-length16": (_tcp, "framing=length16"),
    "tcp-length32": (_tcp, "framing=length32&length_counts=all"),
    "tap": (_tap, ""),
    "tap-checksums": (_tap, "checksums=yes"),
    "packet": (_interfaces, "packet:{}"),
    "packet-ring": (_interfaces, "packet:{}?transmit_ring=4096"),
    "af_xdp-driver": (_interfaces, "af_xdp:{}?mode=driver"),
    "af_xdp-generic": (_interfaces, "af_xdp:{}?mode=generic"),
    "netmap-pipe": (_netmap_pipe, "simulated"),
    "netmap-device": (_netmap_devices, ""),
    "netmap-vale": (_netmap_switch, ""),
    "netmap-module": (_netmap_pipe, "/dev/netmap"),
}
NETMAP = {"netmap-pipe", "netmap-device", "netmap-vale", "netmap-module"}
ENDLESS = {
    "memory-loop",
    "udp",
    "udp-joined",
    "tap",
    "tap-checksums",
    "packet",
    "packet-ring",
    "af_xdp-driver",
    "af_xdp-generic",
} | NETMAP
"""Those that never know that no more will come."""
STAMPED = NETMAP | {
    "udp",
    "udp-joined",
    "tcp-length16",
    "tcp-length32",
    "tap",
    "tap-checksums",
    "packet",
    "packet-ring",
}
"""Those that carry no times: who receives stamps."""
UNSTAMPED = {"af_xdp-driver", "af_xdp-generic"}
"""Those that carry no times, and nobody stamps."""
ON_ETHERNET = {"tap", "tap-checksums", "packet", "packet-ring", "af_xdp-driver", "af_xdp-generic"} | NETMAP
"""Those that carry Ethernet frames and nothing else."""


@pytest.fixture(params=SUBJECTS)
def subject(request, tmp_path):
    driver, options = SUBJECTS[request.param]
    with driver(tmp_path, options) as carry:
        carry.name = request.param
        yield carry


@pytest.fixture
def burst(subject) -> Burst:
    """A hundred frames, empty ones among them where the carrier can have them."""
    ethernet = subject.name in ON_ETHERNET
    least = 14 if ethernet else 0
    frames = [bytes([index]) * (least + index % 70) for index in range(100)]
    if ethernet:  # from somebody to all: a switch drops what goes back where it came from
        frames = [b"\xff" * 6 + b"\2" + bytes(5) + frame[12:] for frame in frames]
    times = [1_700_000_000_000_000_000 + index for index in range(100)]
    return Burst.of(frames, times, link_types=ETHERNET if ethernet else RAW_OCTETS)


def assert_same(subject, received: Burst, burst: Burst) -> None:
    """All is the same, but for times where the carrier cannot keep them: those are of now."""
    if subject.name in STAMPED:
        assert (np.abs(received.timestamps_ns - time.time_ns()) < 600_000_000_000).all()
    elif subject.name in UNSTAMPED:
        assert (received.timestamps_ns == UNKNOWN_TIME).all()
    if subject.name in STAMPED | UNSTAMPED:
        columns = {"original_lengths": received.original_lengths, "link_types": received.link_types}
        received = Burst.of(list(received), burst.timestamps_ns, **columns)
    assert received == burst


def test_what_is_sent_is_received(subject, burst):
    assert_same(subject, subject(burst).receive(1000, 0), burst)


def test_receive_keeps_to_max_frames_and_loses_nothing(subject, burst):
    port = subject(burst)
    parts = [port.receive(33, 0) for _ in range(4)]
    assert [len(part) for part in parts] == [33, 33, 33, 1]
    assert [bytes(frame) for part in parts for frame in part] == [bytes(frame) for frame in burst]
    assert_same(subject, join(parts), burst)
    assert (port.counters.received_frames, port.counters.received_octets) == (100, burst.octets)


def test_nothing_there_is_an_empty_burst_in_time(subject, burst):
    port = subject(burst)
    port.receive(1000, 0)
    assert len(port.receive(1000, 0)) == 0
    assert len(port.receive(1000, 0.01)) == 0
    if subject.name not in ENDLESS:
        assert port.exhausted
        assert len(port.receive(1000, None)) == 0  # at once
        assert list(port.bursts()) == []


def test_max_frames_must_be_positive(subject, burst):
    with pytest.raises(ValueError, match="max_frames"):
        subject(burst).receive(0, 0)


def test_a_received_burst_outlives_everything(subject, burst):
    port = subject(burst)
    received = port.receive(1000, 0)
    frame = received[50]
    port.close()
    del port
    gc.collect()
    assert bytes(frame) == bytes(burst[50])
    assert_same(subject, pickle.loads(pickle.dumps(received)), burst)


def test_lent_frames_raise_after_their_block(subject, burst):
    port = subject(burst)
    with port.lend(10) as lent:
        assert [bytes(frame) for frame in lent] == [bytes(frame) for frame in burst[:10]]
        kept, frame, view, columns = lent.copy(), lent[5], lent.buffer, lent.timestamps_ns
    for use in (
        lambda: len(lent),
        lambda: lent[0],
        lambda: list(lent),
        lambda: lent.buffer,
        lambda: lent.offsets,
        lent.copy,
        frame.tobytes,
        view.tobytes,
    ):
        with pytest.raises(ValueError):
            use()
    assert_same(subject, kept, burst[:10])
    assert columns.tolist() == kept.timestamps_ns.tolist()
    assert_same(subject, port.receive(1000, 0), burst[10:])


def test_lent_frames_are_taken_back_when_the_block_fails(subject, burst):
    port = subject(burst)
    with pytest.raises(ZeroDivisionError), port.lend(10) as lent:
        frame = lent[3]
        1 / 0  # noqa: B018
    with pytest.raises(ValueError):
        frame.tobytes()
    port.close()


def test_close_is_idempotent_and_final(subject, burst):
    port = subject(burst)
    with port:
        pass
    port.close()
    assert port.closed
    for use in (
        lambda: port.receive(1, 0),
        lambda: port.send(burst),
        port.flush,
        port.fileno,
    ):
        with pytest.raises(PortClosedError):
            use()


def test_close_releases_the_port(subject, burst):
    port = subject(burst)
    if "pcap" not in subject.name:
        descriptor = port.fileno()
        port.close()
        with pytest.raises(OSError):
            select.select([descriptor], [], [], 0)
    else:
        port.close()
        assert port._reader is None


def test_fileno_polls_readable_or_says_that_there_is_none(subject, burst):
    port = subject(burst)
    try:
        descriptor = port.fileno()
    except PortUnsupportedError as error:
        assert "no file descriptor" in str(error)
        return
    assert select.select([descriptor], [], [], 0)[0] == [descriptor]
    port.receive(1000, 0)
    waits = subject.name in ENDLESS
    assert bool(select.select([descriptor], [], [], 0)[0]) != waits  # the end of it is readable too


def test_capabilities_are_told(subject, burst):
    capabilities = subject(burst).capabilities
    ethernet = subject.name in ON_ETHERNET
    assert capabilities.link_type is (LinkType.ETHERNET if ethernet else LinkType.RAW_OCTETS)
    assert capabilities.maximum_frame_octets >= 1514
    assert capabilities.timestamp_source
    with pytest.raises(AttributeError):
        capabilities.mtu = 3


def test_another_link_type_is_refused_with_a_sentence(subject, burst, tmp_path):
    port = subject(burst)
    given = port.capabilities.link_type
    require_link_type(port, given)
    with pytest.raises(LinkTypeError, match=f"carries {given.value}, not a CADU stream"):
        require_link_type(port, LinkType.CADU_STREAM)


def test_sending_another_link_type_is_refused(tmp_path):
    burst = Burst.of([b"abc"], link_types=ETHERNET)
    addresses = (
        "memory:",
        f"pcap:{tmp_path}/x?mode=write&link_type=raw_octets",
        "udp:?peer=127.0.0.1:9",
        "tcp:127.0.0.1:0?mode=server",
    )
    for port in map(open_port, addresses):
        with port, pytest.raises(LinkTypeError, match=r"carries|holds"):
            port.send(burst)
        assert port.counters.sent_frames == 0


def test_an_empty_burst_is_nothing(subject):
    port = subject(Burst.of([]))
    assert len(port.receive(10, 0)) == 0


def test_memory_is_not_kept_by_closed_ports():
    port = open_port("memory:")
    port.send(Burst.of([b"x" * 100]))
    gone = weakref.ref(port)
    port.close()
    del port
    gc.collect()
    assert gone() is None


def test_full_memory_port_gives_a_short_send_or_drops():
    frames = Burst.of([b"a", b"b", b"c"])
    with open_port("memory:?capacity_frames=2") as port:
        assert port.send(frames) == 2
        assert port.counters.dropped_by_port == 0
        assert port.receive(10, 0) == frames[:2]
        assert port.send(frames[2:]) == 1
    with open_port("memory:?capacity_frames=2&when_full=drop") as port:
        assert port.send(frames) == 3
        assert (port.counters.sent_frames, port.counters.dropped_by_port) == (2, 1)


def test_memory_pair_carries_both_ways_and_notices_the_other_end_close():
    near, far = memory_pair()
    near.send(Burst.of([b"there"]))
    far.send(Burst.of([b"back"]))
    assert [bytes(frame) for frame in far.receive(9, 0)] == [b"there"]
    assert [bytes(frame) for frame in near.receive(9, 0)] == [b"back"]
    far.close()
    assert near.exhausted
    with pytest.raises(PortClosedError, match="other end"):
        near.send(Burst.of([b"x"]))
    near.close()


def test_link_numbers():
    assert Burst.of([b"x"]).link_types.tolist() == [RAW_OCTETS]
