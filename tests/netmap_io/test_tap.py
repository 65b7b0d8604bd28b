"""tap: in network namespaces of the tests' own; the system's side is an AF_PACKET socket or a UDP socket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys

import pytest

from netmap_io import Burst, LinkType, open_port
from netmap_io.burst import ETHERNET
from netmap_io.drivers.tap import TapPort
from netmap_io.errors import LinkTypeError, PortAddressError, PortSystemError
from netmap_io.testing import NamespaceError, in_namespace

HEADER = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5"  # the type is for local experiments
SIOCGIFFLAGS = 0x8913


@pytest.fixture
def namespace():
    try:
        return in_namespace(lambda: in_namespace)
    except NamespaceError as error:
        pytest.skip(str(error))


def quiet() -> None:
    """Without IPv6 the system says nothing of its own."""
    for which in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w", encoding="ascii") as switch:
            switch.write("1")


def tap_and_packets(options: str = "", name: str = "tap0") -> tuple[TapPort, socket.socket]:
    """A TapPort and the system's side of it.  To be called in a namespace."""
    quiet()
    port = open_port(f"tap:{name}?{options}")
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packets.bind((port.name, 0))
    packets.settimeout(10)
    return port, packets


def ethernet(*frames: bytes) -> Burst:
    return Burst.of([HEADER + frame for frame in frames], link_types=ETHERNET)


def test_frames_cross_both_ways_and_are_counted(namespace):
    port, packets = namespace(tap_and_packets)
    with port, packets:
        frames = [HEADER + bytes([index]) * (index * 14) for index in range(100)]
        for frame in frames:
            packets.send(frame)
        burst = port.receive(1000, 10)
        assert [bytes(frame) for frame in burst] == frames
        assert set(burst.link_types.tolist()) == {ETHERNET}
        assert port.send(ethernet(b"one", b"two" * 400)) == 2
        assert [packets.recv(9999), packets.recv(9999)] == [HEADER + b"one", HEADER + b"two" * 400]
        counters = port.counters
        assert (counters.received_frames, counters.received_octets) == (100, sum(map(len, frames)))
        assert (counters.sent_frames, counters.sent_octets) == (2, 28 + 3 + 1200)
        assert counters.dropped_by_kernel == 0


def test_mac_and_mtu_are_set_and_told(namespace):
    port, packets = namespace(lambda: tap_and_packets("mac=02:00:00:00:00:77&mtu=9000"))
    with port, packets:
        capabilities = port.capabilities
        assert (capabilities.mac, capabilities.mtu) == (bytes.fromhex("020000000077"), 9000)
        assert capabilities.link_type is LinkType.ETHERNET
        assert capabilities.maximum_frame_octets == 9018
        packets.send(HEADER + bytes(9000))
        assert port.receive(9, 10).lengths.tolist() == [9014]
        assert port.send(ethernet(bytes(9000))) == 1
        assert len(packets.recv(65536)) == 9014
        with pytest.raises(ValueError, match="9018"):
            port.send(ethernet(bytes(9005)))


def test_what_the_queue_of_the_interface_has_no_room_for_is_in_the_account(namespace):
    port, packets = namespace(tap_and_packets)
    with port, packets:
        for index in range(3000):
            with contextlib.suppress(OSError):  # no buffer space: the kernel says it at once, and counts it too
                packets.send(HEADER + bytes([index % 256]) * 50)
        received = 0
        while len(burst := port.receive(9999, 0)):
            received += len(burst)
        counters = port.counters
        assert counters.dropped_by_kernel > 0
        assert received == counters.received_frames == 3000 - counters.dropped_by_kernel


def test_an_interface_that_goes_down_is_one_sentence_and_comes_up_again(namespace):
    port, packets = namespace(tap_and_packets)
    with port, packets:
        assert port.up
        port.set_up(False)
        assert not port.up
        with pytest.raises(PortSystemError, match="cannot send: tap0 is down"):
            port.send(ethernet(b"x"))
        assert len(port.receive(9, 0.05)) == 0
        assert not port.exhausted
        assert port.counters.sent_frames == 0
        port.set_up(True)
        assert port.send(ethernet(b"again")) == 1
        assert port.counters.sent_frames == 1


def test_an_interface_that_is_removed_exhausts_the_port(namespace):
    def make():
        quiet()
        port = open_port("tap:tap0")
        subprocess.run(["ip", "link", "delete", "tap0"], check=True, timeout=30)
        return port

    with namespace(make) as port:
        assert len(port.receive(9, 10)) == 0
        assert port.exhausted
        assert select.select([port.fileno()], [], [], 0)[0]
        with pytest.raises(PortSystemError, match="tap0 has been removed"):
            port.send(ethernet(b"x"))
        assert port.counters.dropped_by_kernel is None


def names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def test_the_interface_goes_with_its_port_unless_it_is_persistent(namespace):
    def run() -> list[list[str]]:
        seen = []
        with open_port("tap:tap7"):
            seen.append(names())
        seen.append(names())
        open_port("tap:tap7?persistent=yes").close()
        seen.append(names())
        with pytest.raises(PortSystemError, match="busy, or there is an interface of that name already"):
            open_port("tap:tap7?create=exclusive")
        open_port("tap:tap7?create=no&persistent=no").close()
        seen.append(names())
        return seen

    assert [("tap7" in each) for each in namespace(run)] == [True, False, True, False]


def test_the_system_counts_names_where_asked(namespace):
    def run() -> list[str]:
        with open_port("tap:") as one, open_port("tap:t%d") as two, open_port("tap:t%d?up=no") as three:
            assert (one.up, three.up) == (True, False)
            return [one.name, two.name, three.name]

    assert namespace(run) == ["tap0", "t0", "t1"]


def test_several_queues_of_one_interface(namespace):
    def make():
        port, packets = tap_and_packets("multi_queue=yes")
        return port, open_port("tap:tap0?multi_queue=yes"), packets

    one, two, packets = namespace(make)
    with one, two, packets:
        for index in range(64):
            source = struct.pack(">BBBBBB", 2, 0, 0, 0, 0, index)
            packets.send(b"\xff" * 6 + source + b"\x88\xb5" + bytes([index]) * 46)
        got = [bytes(frame)[-1] for port in (one, two) for frame in port.receive(99, 1)]
        assert sorted(got) == list(range(64))
        for port in (one, two):
            port.send(ethernet(b"from a queue"))
            assert packets.recv(99).endswith(b"from a queue")


def test_checksums_left_to_us_are_completed(namespace):
    def make():
        quiet()
        port = open_port("tap:tap0?checksums=yes")
        for command in (
            "address add 10.9.8.1/24 dev tap0",
            "neighbor add 10.9.8.2 lladdr 02:00:00:00:00:02 dev tap0",
        ):
            subprocess.run(["ip", *command.split()], check=True, timeout=30)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return port, sender

    port, sender = namespace(make)
    with port, sender:
        sender.sendto(b"odd", ("10.9.8.2", 5000))
        (frame,) = [bytes(frame) for frame in port.receive(9, 10)]
        assert port.account == {"completed_checksums": 1, "malformed": 0}
        segment = frame[34:]
        pseudo = frame[26:34] + struct.pack(">HH", 17, len(segment)) + segment + b"\0"
        total = sum(struct.unpack(f">{len(pseudo) // 2}H", pseudo))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
        assert port.send(ethernet(b"behind a header of zeros")) == 1


def test_two_taps_bridged_by_a_pump_are_one_wire(namespace):
    near, near_packets = namespace(tap_and_packets)
    far, far_packets = namespace(tap_and_packets)
    with near, far, near_packets, far_packets:
        for number in range(50):
            near_packets.send(HEADER + b"there" + bytes([number]))
            far_packets.send(HEADER + b"back" + bytes([number]))
            for source, target in ((near, far), (far, near)):
                burst = source.receive(99, 10)
                assert target.send(burst) == len(burst)
            assert far_packets.recv(99) == HEADER + b"there" + bytes([number])
            assert near_packets.recv(99) == HEADER + b"back" + bytes([number])


def test_frames_that_are_none_are_refused(namespace):
    port, packets = namespace(tap_and_packets)
    with port, packets:
        with pytest.raises(LinkTypeError, match="carries Ethernet frames"):
            port.send(Burst.of([bytes(60)]))
        with pytest.raises(ValueError, match="14 octets at least"):
            port.send(Burst.of([bytes(60), bytes(13)], link_types=ETHERNET))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("tap:a-name-that-is-too-long", "cannot name an interface"),
        ("tap:a/b", "cannot name an interface"),
        ("tap:tap0?mac=02:00", "six octets"),
        ("tap:tap0?mac=zz:00:00:00:00:00", "six octets"),
        ("tap:tap0?create=maybe", "create=maybe"),
        ("tap:tap0?persist=yes", "did you mean persistent"),
        ("tap:nosuch0?create=no", "there is no interface of that name"),
    ],
)
def test_wrong_addresses_get_one_sentence(address, sentence):
    with pytest.raises((PortAddressError, PortSystemError), match=sentence) as caught:
        open_port(address)
    assert "\n" not in str(caught.value)


def test_an_interface_of_another_kind_and_a_busy_one_get_one_sentence(namespace):
    def run() -> None:
        with pytest.raises(PortSystemError, match="of another kind"):
            open_port("tap:lo")
        with open_port("tap:tap0"), pytest.raises(PortSystemError, match="busy"):
            open_port("tap:tap0")

    namespace(run)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to do without it")
def test_without_privilege_one_sentence_says_so():
    code = (
        "import os, netmap_io, netmap_io.drivers.tap\n"
        "from netmap_io.errors import PortSystemError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: netmap_io.open_port('tap:tap0')\n"
        "except PortSystemError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "cannot open tap:tap0: it needs CAP_NET_ADMIN, or an interface that is this user's\n", done
