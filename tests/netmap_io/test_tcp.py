"""tcp: what the contract suite does not ask.  The other end is Python's own socket wherever it can be."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmap_io import Burst, LinkType, open_port
from netmap_io.errors import PortAddressError, PortSystemError

LENGTH16 = "framing=length16"


def frames_of(burst: Burst) -> list[bytes]:
    return [bytes(frame) for frame in burst]


def received(port, count: int) -> list[bytes]:
    """At least `count` frames, or what came within ten seconds."""
    frames: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(frames) < count and not port.exhausted and time.monotonic() < deadline:
        frames += frames_of(port.receive(1000, 0.5))
    return frames


def until_exhausted(port) -> list[bytes]:
    frames: list[bytes] = []
    deadline = time.monotonic() + 10
    while not port.exhausted:
        assert time.monotonic() < deadline, "never exhausted"
        frames += frames_of(port.receive(1000, 0.2))
    return frames


@contextlib.contextmanager
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server, server.getsockname()[1]


@contextlib.contextmanager
def client_of(options: str):
    """A TcpClient and the plain socket that it is connected to."""
    with listener() as (server, number), open_port(f"tcp://127.0.0.1:{number}?{options}") as port:
        other, _ = server.accept()
        other.settimeout(10)
        with other:
            yield port, other


@contextlib.contextmanager
def server_of(options: str):
    with open_port(f"tcp:127.0.0.1:0?mode=server&{options}") as port:
        yield port, lambda: socket.create_connection(port.local, timeout=10)


def accepted(server: socket.socket, port) -> socket.socket:
    """A connection to `server`, to which `port` comes while it is waited on."""
    server.setblocking(False)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            other, _ = server.accept()
            other.settimeout(10)
            return other
        assert len(port.receive(9, 0.02)) == 0
    raise AssertionError("nobody came")


def reset(other: socket.socket) -> None:
    """Close so that the peer gets a reset."""
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    other.close()


def prefixed(frame: bytes, octets: int = 2, own: bool = False) -> bytes:
    return (len(frame) + (octets if own else 0)).to_bytes(octets, "big") + frame


@pytest.mark.parametrize(
    ("options", "octets", "own"),
    [
        ("framing=length16", 2, False),
        ("framing=length16&length_counts=all", 2, True),
        ("framing=length32", 4, False),
        ("framing=length32&length_counts=all", 4, True),
    ],
)
def test_lengths_are_as_python_writes_them(options, octets, own):
    frames = [b"abc", b"", bytes(5000), b"z"]
    stream = b"".join(prefixed(frame, octets, own) for frame in frames)
    with client_of(options) as (port, other):
        other.sendall(stream)
        assert received(port, 4) == frames
        assert port.send(Burst.of(frames)) == 4
        port.flush()
        assert other.recv(len(stream), socket.MSG_WAITALL) == stream
        assert port.account["header_octets"] == 4 * octets


def test_fixed_records_and_frames_of_another_length():
    with client_of("framing=fixed:5") as (port, other):
        other.sendall(b"01234abcdeXYZ")
        assert received(port, 2) == [b"01234", b"abcde"]
        assert port.account["held_octets"] == 3
        for frames in ([b"1234"], [b"12345", b"123456"], [b""]):
            with pytest.raises(ValueError, match=r"5 octets"):
                port.send(Burst.of(frames))
        assert port.send(Burst.of([b"12345"])) == 1
        assert other.recv(99) == b"12345"


def test_a_stream_is_a_cadu_stream_and_gives_octets_as_they_come():
    with client_of("maximum_frame_octets=1000") as (port, other):
        assert port.capabilities.link_type is LinkType.CADU_STREAM
        other.sendall(bytes(range(256)) * 20)
        got = b""
        while len(got) < 5120:
            burst = port.receive(9, 10)
            assert burst.lengths.max() <= 1000
            got += b"".join(frames_of(burst))
        assert got == bytes(range(256)) * 20
        port.send(Burst.of([b"ab", b"", b"cd"]))
        assert other.recv(9) == b"abcd"


@settings(max_examples=40)
@given(
    frames=st.lists(st.binary(max_size=300), max_size=20),
    cuts=st.lists(st.integers(1, 200), max_size=20),
    at_once=st.integers(1, 7),
)
def test_any_split_of_the_stream_gives_the_same_records_and_the_account_balances(frames, cuts, at_once):
    stream = b"".join(prefixed(frame) for frame in frames) + b"\x01\x00part"
    with server_of(f"{LENGTH16}&accepts=1") as (port, connect):
        got = []
        with connect() as other:
            rest = stream
            for cut in cuts:
                other.sendall(rest[:cut])
                rest = rest[cut:]
                got += frames_of(port.receive(at_once, 0))
            other.sendall(rest)
        while not port.exhausted:
            burst = port.receive(at_once, 10)
            assert len(burst) <= at_once
            got += frames_of(burst)
        assert got == frames
        account = port.account
        assert account["partial_record_octets"] == 6
        assert account["received_octets"] + account["header_octets"] + 6 == len(stream)


@settings(max_examples=60)
@given(
    octets=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 9, 40, 255]), max_size=300).map(bytes),
    framing=st.sampled_from(["stream", "fixed:7", "length16", "length16&length_counts=all", "length32"]),
    at_once=st.integers(1, 9),
)
def test_any_octets_are_records_or_refused_and_the_account_balances_to_the_octet(octets, framing, at_once):
    maximum = "" if framing == "fixed:7" else "&maximum_frame_octets=40"
    with server_of(f"framing={framing}&accepts=1{maximum}") as (port, connect):
        with connect() as other:
            other.sendall(octets)
        got = 0
        while not port.exhausted:
            got += port.receive(at_once, 10).octets
        account = port.account
        counted = sum(
            account[name]
            for name in ("received_octets", "header_octets", "refused_octets", "partial_record_octets", "held_octets")
        )
        assert got == account["received_octets"] == port.counters.received_octets
        assert counted == len(octets)  # few enough to be read at once: none is left in the socket when refused


@pytest.mark.parametrize("options", ["length_counts=record&maximum_frame_octets=100", "length_counts=all"])
def test_hostile_lengths_are_refused_counted_and_end_the_connection(options):
    bad = b"\x00\x65" if "record" in options else b"\x00\x01"
    with client_of(f"{LENGTH16}&{options}") as (port, other):
        good = prefixed(b"good", own="all" in options)
        other.sendall(good + bad + b"what follows")
        assert until_exhausted(port) == [b"good"]
        account = port.account
        assert (account["refused_lengths"], account["refused_octets"]) == (1, 14)
        assert port.counters.dropped_by_port == 1
        assert "a record length of" in port.end_reason
        with pytest.raises(PortSystemError, match="which none may have"):
            port.send(Burst.of([b"x"]))
        with contextlib.suppress(ConnectionResetError):  # either is the end
            assert other.recv(9) == b""


def test_a_reset_in_mid_record_leaves_an_account_that_balances():
    with client_of(LENGTH16) as (port, other):
        other.sendall(prefixed(b"whole") + b"\x00\x09half")
        assert received(port, 1) == [b"whole"]
        reset(other)
        assert until_exhausted(port) == []
        account = port.account
        assert account["partial_record_octets"] == 6
        assert account["received_octets"] + account["header_octets"] + account["partial_record_octets"] == 13
        assert "reset" in port.end_reason
        assert len(port.receive(9, None)) == 0
        with pytest.raises(PortSystemError, match="cannot send: connection reset"):
            port.send(Burst.of([b"x"]))


def test_a_peer_that_stops_reading_makes_send_short_and_nothing_is_lost():
    burst = Burst.of([bytes([index % 256]) * 1000 for index in range(2000)])
    with client_of(f"{LENGTH16}&queue_octets=65536") as (port, other):
        sent = 0
        while taken := port.send(burst[sent % 2000 :]):
            sent += taken
        account = port.account
        assert account["queued_octets"] > 0
        assert sent == account["sent_frames"] + account["queued_frames"]
        got = bytearray()
        while len(got) < sent * 1002:
            port.flush()
            got += other.recv(1 << 20)
        assert bytes(got) == b"".join(prefixed(bytes(burst[index % 2000])) for index in range(sent))
        port.flush()
        assert (port.counters.sent_frames, port.counters.sent_octets) == (sent, sent * 1000)


def test_frames_queued_for_a_peer_that_goes_are_counted_as_dropped():
    burst = Burst.of([bytes(1000)] * 1000)
    with client_of(f"{LENGTH16}&queue_octets=65536") as (port, other):
        taken = 0
        while count := port.send(burst):
            taken += count
        reset(other)
        with pytest.raises(PortSystemError, match="cannot send"):
            for _ in range(1000):
                taken += port.send(burst)
                time.sleep(0.01)
        counters = port.counters
        assert counters.dropped_by_port > 0
        assert taken == counters.sent_frames + counters.dropped_by_port


def test_what_came_before_the_loss_of_the_way_back_is_still_received():
    with client_of(LENGTH16) as (port, other):
        other.sendall(b"".join(prefixed(bytes([index])) for index in range(10)))
        assert frames_of(port.receive(1, 10)) == [b"\0"]  # the others are held
        other.sendall(prefixed(b"last"))
        other.close()
        time.sleep(0.05)
        with contextlib.suppress(PortSystemError):
            for _ in range(20):
                port.send(Burst.of([b"x"]))
                time.sleep(0.005)
        assert until_exhausted(port) == [*(bytes([index]) for index in range(1, 10)), b"last"]


def test_a_peer_that_only_stops_sending_is_still_sent_to():
    with client_of(LENGTH16) as (port, other):
        other.sendall(prefixed(b"question"))
        other.shutdown(socket.SHUT_WR)
        assert until_exhausted(port) == [b"question"]
        assert port.send(Burst.of([b"answer"])) == 1
        assert other.recv(99) == prefixed(b"answer")


def test_close_hands_on_what_is_queued():
    burst = Burst.of([bytes(1000)] * 2000)
    with client_of(f"{LENGTH16}&queue_octets=4000000&close_ms=10000") as (port, other):
        taken = port.send(burst)
        assert taken == 2000
        got = []
        reader = threading.Thread(target=lambda: got.extend(map(len, iter(lambda: other.recv(65536), b""))))
        reader.start()
        port.close()
        reader.join(10)
        assert sum(got) == taken * 1002


def test_a_client_connects_again_and_backs_off():
    with listener() as (server, number):
        address = f"tcp:127.0.0.1:{number}?{LENGTH16}&reconnects=3&backoff_ms=20"
        with open_port(address) as port:
            for name in (b"first", b"second", b"third"):
                with accepted(server, port) as other:
                    other.sendall(prefixed(name))
                    assert received(port, 1) == [name]
                    if name == b"third":
                        server.close()
            start = time.monotonic()
            assert until_exhausted(port) == []
            assert time.monotonic() - start >= 0.1  # it tried and waited in between
            assert "nobody listens there" in port.end_reason
            assert port.account["connections"] == 3


def test_reconnecting_never_takes_longer_than_the_callers_timeout():
    with listener() as (server, number):
        address = f"tcp:127.0.0.1:{number}?{LENGTH16}&reconnects=1000&backoff_ms=5000"
        with open_port(address) as port:
            server.accept()[0].close()
            server.close()
            for timeout in (0, 0.05):
                start = time.monotonic()
                assert len(port.receive(9, timeout)) == 0
                assert time.monotonic() - start < timeout + 1
            start = time.monotonic()
            assert port.send(Burst.of([b"x"])) == 0
            assert not port.connected
            assert not port.exhausted
        assert time.monotonic() - start < 1  # nor does close


def test_a_client_that_only_sends_connects_again():
    with listener() as (server, number):
        address = f"tcp:127.0.0.1:{number}?{LENGTH16}&reconnects=50&backoff_ms=10"
        with open_port(address) as port:
            reset(server.accept()[0])
            deadline = time.monotonic() + 10
            while port.account["connections"] < 2:
                assert time.monotonic() < deadline
                port.send(Burst.of([b"lost or not"]))
                time.sleep(0.01)
            other, _ = server.accept()
            with other:
                while not port.send(Burst.of([b"anew"])):
                    time.sleep(0.01)
                other.settimeout(10)
                assert b"anew" in other.recv(9999)


def test_opening_may_come_before_the_server():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
        with open_port(f"tcp:127.0.0.1:{number}?{LENGTH16}&reconnects=100&backoff_ms=10&connect_ms=0") as port:
            assert port.send(Burst.of([b"early"])) == 0
            assert len(port.receive(9, 0.05)) == 0
            other.listen()
            other.settimeout(10)
            deadline = time.monotonic() + 10
            while not port.send(Burst.of([b"late"])):
                assert time.monotonic() < deadline
                port.receive(9, 0.01)
            with other.accept()[0] as peer:
                assert peer.recv(99) == prefixed(b"late")


def test_a_server_takes_several_peers_and_sends_to_all():
    with server_of(f"{LENGTH16}&peers=2") as (port, connect), connect() as one, connect() as two, connect() as three:
        one.sendall(prefixed(b"one"))
        two.sendall(prefixed(b"two"))
        three.sendall(prefixed(b"three"))
        burst = port.receive(9, 10)
        while len(burst) < 2:
            burst = Burst.of(frames_of(burst) + frames_of(port.receive(9, 10)), interfaces=0)
        assert set(frames_of(burst)) == {b"one", b"two"}
        assert port.peers == 2
        assert port.send(Burst.of([b"to both"])) == 1
        assert one.recv(99) == two.recv(99) == prefixed(b"to both")
        assert port.counters.sent_frames == 2
        one.close()
        late = port.receive(9, 10)
        while not len(late):
            late = port.receive(9, 10)
        assert frames_of(late) == [b"three"]
        assert late.interfaces.tolist() == [2]
        assert port.send(Burst.of([b"again"])) == 1
        assert three.recv(99) == prefixed(b"again")


def test_the_slowest_peer_sets_the_pace_of_a_server():
    with server_of(f"{LENGTH16}&peers=2&queue_octets=10000") as (port, connect), connect() as slow, connect() as fast:
        burst = Burst.of([bytes(1000)] * 1000)
        while port.peers < 2:
            port.receive(9, 0.1)
        fast.setblocking(False)
        got = sent = 0
        for _ in range(200):
            sent += port.send(burst)
            with contextlib.suppress(BlockingIOError):
                while part := fast.recv(1 << 20):
                    got += len(part)
        assert port.send(burst) == 0  # the slow one is full, although the fast one is not
        deadline = time.monotonic() + 10
        while got < sent * 1002 and time.monotonic() < deadline:
            port.flush()
            with contextlib.suppress(BlockingIOError):
                got += len(fast.recv(1 << 20))
        assert got == sent * 1002
        account = port.account
        assert account["sent_frames"] + account["queued_frames"] == 2 * sent
        assert slow.recv(2) == b"\x03\xe8"


def test_asyncio_waits_for_what_is_held_too():
    async def run() -> list[bytes]:
        loop = asyncio.get_running_loop()
        with server_of(f"{LENGTH16}") as (port, connect), connect() as other:
            got: list[bytes] = []
            done = loop.create_future()

            def readable() -> None:
                got.extend(frames_of(port.receive(3, 0)))
                if len(got) == 10:
                    done.set_result(None)

            loop.add_reader(port.fileno(), readable)
            loop.call_later(0.02, other.sendall, b"".join(prefixed(bytes([index])) for index in range(10)))
            await asyncio.wait_for(done, 10)
            loop.remove_reader(port.fileno())
            assert not select.select([port.fileno()], [], [], 0)[0]
            return got

    assert asyncio.run(run()) == [bytes([index]) for index in range(10)]


def test_keep_alive_is_asked_of_the_system():
    with client_of(f"{LENGTH16}&keep_alive_seconds=7") as (port, _):
        opened = port._connections[0].socket
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 28_000


def test_one_thread_sends_while_another_receives():
    count = 20_000
    burst = Burst.of([bytes([index % 256]) * (index % 200) for index in range(100)])
    with client_of(LENGTH16) as (port, other):

        def echo() -> None:
            while octets := other.recv(65536):
                other.sendall(octets)

        def send() -> None:
            sent = 0
            while sent < count:
                sent += port.send(burst[sent % 100 :])

        threads = [threading.Thread(target=echo, daemon=True), threading.Thread(target=send)]
        other.settimeout(30)
        for thread in threads:
            thread.start()
        got: list[bytes] = []
        deadline = time.monotonic() + 30
        while len(got) < count and time.monotonic() < deadline:
            got += frames_of(port.receive(1000, 1))
            port.flush()
        threads[1].join(30)
        other.shutdown(socket.SHUT_RDWR)
        threads[0].join(30)
        assert got[:count] == frames_of(burst) * (count // 100)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("tcp:nohost.invalid:5", "host is unknown"),
        ("tcp:127.0.0.1:1", r"connect to tcp:127\.0\.0\.1:1: connection refused \(nobody listens there\)"),
        ("tcp:192.0.2.1:0?mode=server", "no such address"),
        ("tcp:127.0.0.1", "not host:port"),
        ("tcp:127.0.0.1:1?framing=length24", "framing=length24"),
        ("tcp:127.0.0.1:1?framing=fixed:0", "framing=fixed:0"),
        ("tcp:127.0.0.1:1?framing=stream&length_counts=all", "length_counts"),
        ("tcp:127.0.0.1:1?framing=fixed:8&maximum_frame_octets=9", "framing=fixed"),
        ("tcp:127.0.0.1:1?framming=stream", "did you mean framing"),
    ],
)
def test_what_cannot_be_opened_gets_one_sentence(address, sentence):
    with pytest.raises((PortSystemError, PortAddressError), match=sentence) as caught:
        open_port(address)
    assert "\n" not in str(caught.value)


def test_a_busy_port_gets_one_sentence():
    with server_of("") as (port, _), pytest.raises(PortSystemError, match="busy"):
        open_port(f"tcp:127.0.0.1:{port.local[1]}?mode=server")


def test_a_server_that_does_not_answer_is_given_up_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        number = silent.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(4):  # the queue of those who wait is full: the next one hears nothing
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(("127.0.0.1", number))
            start = time.monotonic()
            with pytest.raises(PortSystemError, match=r"no answer within 0\.3 s"):
                open_port(f"tcp:127.0.0.1:{number}?connect_ms=300")
            assert time.monotonic() - start < 5
