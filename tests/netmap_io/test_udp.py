"""udp: what the contract suite does not ask.  The other end is Python's own socket wherever it can be."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import subprocess
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmap_io import Burst, LinkType, open_port
from netmap_io.drivers.udp import UdpPort, UdpSettings
from netmap_io.errors import LinkTypeError, PortAddressError, PortSystemError, PortUnsupportedError
from netmap_io.testing import NamespaceError, in_namespace

GROUP = "239.77.66.55"


def frames_of(burst: Burst) -> list[bytes]:
    return [bytes(frame) for frame in burst]


@contextlib.contextmanager
def python_socket(family: int = socket.AF_INET, host: str = "127.0.0.1"):
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind((host, 0))
        other.settimeout(10)
        yield other, other.getsockname()[1]


@pytest.mark.parametrize(
    "address", ["udp:127.0.0.1:0", "udp://127.0.0.1:0", "udp::0", "udp:localhost:0", "udp:[::1]:0"]
)
def test_both_spellings_names_and_both_families(address):
    with open_port(address) as port:
        family = socket.AF_INET6 if "[" in address else socket.AF_INET
        host = "::1" if "[" in address else "127.0.0.1"
        with python_socket(family, host) as (other, number):
            other.sendto(b"abc", (host, port.local[1]))
            assert frames_of(port.receive(9, 10)) == [b"abc"]
            assert port.last_sender == (host, number)


def test_a_name_with_ipv4_and_ipv6_is_ipv4():
    with open_port("udp:localhost:0") as port:
        assert port.local[0] == "127.0.0.1"


def test_a_peer_is_sent_to_and_alone_heard_where_connected():
    with python_socket() as (other, number), python_socket() as (stranger, _):
        for connect, heard in (("yes", [b"peer"]), ("no", [b"stranger", b"peer"])):
            with open_port(f"udp:127.0.0.1:0?peer=127.0.0.1:{number}&connect={connect}") as port:
                stranger.sendto(b"stranger", port.local)
                other.sendto(b"peer", port.local)
                assert frames_of(port.receive(9, 10)) == heard
                assert port.send(Burst.of([b"one", b"two"])) == 2
                assert [other.recv(99), other.recv(99)] == [b"one", b"two"]


def test_mode_connect_makes_the_target_the_peer():
    with python_socket() as (other, number), open_port(f"udp://127.0.0.1:{number}?mode=connect") as port:
        port.send(Burst.of([b"x"]))
        assert other.recvfrom(9) == (b"x", port.local)


def test_reply_goes_to_the_last_sender():
    with open_port("udp:127.0.0.1:0?reply=yes") as port, python_socket() as (one, _), python_socket() as (two, _):
        assert port.send(Burst.of([b"to nobody yet"])) == 0
        for other in (one, two, one):
            other.sendto(b"hello", port.local)
            assert len(port.receive(9, 10)) == 1
            assert port.send(Burst.of([b"answer"])) == 1
            assert other.recv(99) == b"answer"
        assert port.counters.sent_frames == 3


def test_joined_datagrams_are_split_for_python_and_by_us():
    burst = Burst.of([bytes([index]) * 1000 for index in range(40)])
    with python_socket() as (other, number), open_port(f"udp:?peer=127.0.0.1:{number}") as port:
        assert port.send(burst) == 40
        assert [other.recv(2000) for _ in range(40)] == frames_of(burst)
        assert port.account["sent_joined"] == 40
    with open_port("udp:127.0.0.1:0") as far, open_port(f"udp:?peer=127.0.0.1:{far.local[1]}") as near:
        near.send(burst)
        assert frames_of(far.receive(7, 10)) == frames_of(burst[:7])
        assert select.select([far.fileno()], [], [], 0)[0]  # held ones show in the descriptor too
        assert frames_of(far.receive(99, 0)) == frames_of(burst[7:])
        assert not select.select([far.fileno()], [], [], 0)[0]
        assert far.account["received_joined"] == 40


def test_neither_joined_nor_split_where_told():
    burst = Burst.of([bytes(1000)] * 40)
    with open_port("udp:127.0.0.1:0?gro=no") as far, open_port(f"udp:?peer=127.0.0.1:{far.local[1]}&gso=no") as near:
        near.send(burst)
        assert frames_of(far.receive(99, 10)) == frames_of(burst)
        assert (near.account["sent_joined"], far.account["received_joined"]) == (0, 0)


@settings(max_examples=60)
@given(
    lengths=st.lists(st.one_of(st.integers(0, 40), st.sampled_from([0, 1, 1000, 1472, 9000, 33000])), max_size=40),
    gro=st.booleans(),
    gso=st.booleans(),
    at_once=st.integers(1, 50),
)
def test_any_lengths_cross_in_any_mode(lengths, gro, gso, at_once):
    burst = Burst.of([bytes([index]) * length for index, length in enumerate(lengths)])
    sides = UdpSettings(listen=("127.0.0.1", 0), joined=gro, receive_buffer_octets=16 << 20)
    with UdpPort(sides) as far, UdpPort(UdpSettings(peer=far.local, joining=gso)) as near:
        assert near.send(burst) == len(burst)
        received = []
        while len(received) < len(burst) and len(part := far.receive(at_once, 1)):
            assert len(part) <= at_once
            received += frames_of(part)
        lost = far.counters.dropped_by_kernel
        assert received == frames_of(burst) or lost, (len(received), len(burst))


def test_longer_datagrams_are_cut_counted_and_their_length_told():
    for gro in ("yes", "no"):
        with open_port(f"udp:127.0.0.1:0?maximum_frame_octets=100&gro={gro}") as port, python_socket() as (other, _):
            for length in (99, 100, 101, 5000):
                other.sendto(bytes(length), port.local)
            burst = port.receive(9, 10)
            assert burst.lengths.tolist() == [99, 100, 100, 100]
            assert burst.original_lengths.tolist() == [99, 100, 101, 5000]
            assert port.account["truncated"] == 2


def test_the_kernels_drops_are_counted_and_the_account_balances():
    with open_port("udp:127.0.0.1:0?receive_buffer_octets=8192&gro=no") as port, python_socket() as (other, _):
        for _ in range(500):
            other.sendto(bytes(1000), port.local)
        while len(port.receive(9999, 0)):
            pass
        other.sendto(b"", port.local)  # drops are told with the next one
        assert len(port.receive(9, 10)) == 1
        counters = port.counters
        assert counters.dropped_by_kernel > 0
        assert counters.received_frames + counters.dropped_by_kernel == 501


def test_a_peer_that_nobody_is_at_is_counted_and_nothing_breaks():
    with python_socket() as (other, number):
        pass
    with open_port(f"udp:?peer=127.0.0.1:{number}") as port:
        for _ in range(3):
            assert port.send(Burst.of([b"x"])) == 1
            assert len(port.receive(9, 0.01)) == 0
        assert port.account["network_errors"] >= 2
        assert port.account["last_network_error"] == 111
        assert port.counters.sent_frames == 3
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", number))
            other.settimeout(10)
            assert port.send(Burst.of([b"back"])) == 1
            assert other.recv(9) == b"back"


def test_times_are_the_kernels():
    with open_port("udp:127.0.0.1:0") as port, python_socket() as (other, _):
        before = time.time_ns()
        other.sendto(b"x", port.local)
        after = time.time_ns()
        time.sleep(0.05)
        assert before - 1_000_000 <= port.receive(9, 10).timestamps_ns[0] <= after + 1_000_000
        assert port.capabilities.timestamp_source == "kernel, on arrival"


def test_groups_are_joined_by_name_by_address_and_from_one_source():
    with open_port(f"udp:{GROUP}:0?interface=lo") as by_name:
        number = by_name.local[1]
        with (
            open_port(f"udp:{GROUP}:{number}?interface=127.0.0.1") as by_address,
            open_port(f"udp:{GROUP}:{number}?interface=lo&source=127.0.0.1") as from_us,
            open_port(f"udp:{GROUP}:{number}?interface=lo&source=127.0.0.9") as from_another,
            open_port(f"udp:127.0.0.1:0?peer={GROUP}:{number}&interface=lo") as sender,
        ):
            assert sender.send(Burst.of([b"to all"])) == 1
            for port in (by_name, by_address, from_us):
                assert frames_of(port.receive(9, 10)) == [b"to all"]
            assert len(from_another.receive(9, 0.05)) == 0
    with open_port("udp:[ff02::77%25lo]:0?interface=::1"), open("/proc/net/igmp6", encoding="ascii") as table:
        assert any("lo" in row and row.split()[2] == "ff020000000000000000000000000077" for row in table)


def test_groups_of_ipv6_are_joined_and_sent_to():
    def run() -> None:
        with open_port("tap:tap0"):  # an interface that knows groups
            address = "-6 address add fd00::1/64 dev tap0 nodad"
            subprocess.run(["ip", *address.split()], check=True, timeout=30)
            with (
                open_port("udp:[ff05::77]:0?interface=tap0") as six,
                open_port(f"udp:[fd00::1]:0?peer=[ff05::77]:{six.local[1]}&interface=fd00::1") as sender,
            ):
                assert sender.send(Burst.of([b"six"])) == 1
                assert frames_of(six.receive(9, 10)) == [b"six"]
                assert six.last_sender == ("fd00::1", sender.local[1])

    try:
        in_namespace(run)
    except NamespaceError as error:
        pytest.skip(str(error))


def test_asyncio_waits_on_the_descriptor():
    async def run() -> list[bytes]:
        loop = asyncio.get_running_loop()
        with open_port("udp:127.0.0.1:0") as port, open_port(f"udp:?peer=127.0.0.1:{port.local[1]}") as near:
            got: list[bytes] = []
            done = loop.create_future()

            def readable() -> None:
                got.extend(frames_of(port.receive(2, 0)))  # fewer than are joined: the rest shows again
                if len(got) == 10:
                    done.set_result(None)

            loop.add_reader(port.fileno(), readable)
            loop.call_later(0.02, near.send, Burst.of([bytes([index]) * 50 for index in range(10)]))
            await asyncio.wait_for(done, 10)
            loop.remove_reader(port.fileno())
            return got

    assert asyncio.run(run()) == [bytes([index]) * 50 for index in range(10)]


def test_epoll_and_poll_wait_on_the_descriptor():
    with open_port("udp:127.0.0.1:0") as port, python_socket() as (other, _):
        poll, epoll = select.poll(), select.epoll()
        poll.register(port.fileno(), select.POLLIN)
        epoll.register(port.fileno(), select.EPOLLIN)
        with epoll:
            assert (poll.poll(0), epoll.poll(0)) == ([], [])
            other.sendto(b"x", port.local)
            assert poll.poll(10_000) == [(port.fileno(), select.POLLIN)]
            assert epoll.poll(10) == [(port.fileno(), select.EPOLLIN)]


def test_receive_waits_with_the_interpreter_released_and_keeps_to_its_timeout():
    with open_port("udp:127.0.0.1:0") as port, python_socket() as (other, _):
        start = time.monotonic()
        assert len(port.receive(9, 0.1)) == 0
        assert 0.09 < time.monotonic() - start < 5
        timer = threading.Timer(0.05, other.sendto, (b"late", port.local))
        timer.start()
        assert frames_of(port.receive(9, None)) == [b"late"]
        timer.join()


def test_received_bursts_can_be_sent_on():
    with (
        open_port("udp:127.0.0.1:0") as middle,
        python_socket() as (other, number),
        open_port(f"udp:?peer=127.0.0.1:{number}") as out,
    ):
        other.sendto(b"through", middle.local)
        with middle.lend(9, 10) as lent:
            assert out.send(lent) == 1
        assert other.recv(99) == b"through"


def test_frames_that_cannot_be_sent_are_refused_with_a_sentence():
    with open_port("udp:127.0.0.1:0") as port, pytest.raises(PortUnsupportedError, match=r"peer=host:port or reply="):
        port.send(Burst.of([b"x"]))
    with open_port("udp:?peer=127.0.0.1:9&link_type=ethernet") as port:
        assert port.capabilities.link_type is LinkType.ETHERNET
        with pytest.raises(LinkTypeError, match="carries Ethernet"):
            port.send(Burst.of([b"x"]))
    with open_port("udp:?peer=127.0.0.1:9") as port, pytest.raises(ValueError, match="65507"):
        port.send(Burst.of([bytes(65508)]))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("udp:nohost.invalid:5000", "host is unknown"),
        ("udp:192.0.2.1:0", "no such address"),
        (f"udp:{GROUP}:0?interface=nosuch0", "no interface nosuch0"),
        (f"udp:{GROUP}:0?interface=192.0.2.1", "no interface has the address"),
        (f"udp:?peer={GROUP}:1&interface=2001:db8::1", "no interface has the address"),
        ("udp:127.0.0.1", "not host:port"),
        ("udp:127.0.0.1:70000", "not host:port"),
        ("udp:::1:5000", "stands in brackets"),
        ("udp:", "needs an address"),
        ("udp:127.0.0.1:0?peer=[::1]:5", "both be IPv4"),
        ("udp:127.0.0.1:0?peer=127.0.0.1:1&reply=yes", "contradict"),
        ("udp:127.0.0.1:0?mode=connect&peer=127.0.0.1:1", "mode=connect"),
        ("udp:127.0.0.1:0?maximum_frame_octets=65528", "from 1 to 65527"),
        ("udp:127.0.0.1:0?gros=no", "did you mean gro"),
    ],
)
def test_wrong_addresses_get_one_sentence(address, sentence):
    with pytest.raises((PortSystemError, PortAddressError), match=sentence) as caught:
        open_port(address)
    assert "\n" not in str(caught.value)


def test_a_busy_port_gets_one_sentence_and_may_be_shared_when_told():
    with open_port("udp:127.0.0.1:0?reuse=yes") as port:
        with pytest.raises(PortSystemError, match=r"busy: somebody else listens"):
            open_port(f"udp:127.0.0.1:{port.local[1]}")
        open_port(f"udp:127.0.0.1:{port.local[1]}?reuse=yes").close()


def test_a_way_that_does_not_exist_is_an_error_and_not_a_loss():
    with open_port("udp:127.0.0.1:0?peer=192.0.2.1:9&connect=no") as port:
        with pytest.raises(PortSystemError, match="cannot send to"):
            port.send(Burst.of([b"x"]))  # from loopback nothing leaves the machine
        assert port.counters.sent_frames == 0
