"""The filter language: against dpkt's reading of the frames, and against the programs that tcpdump makes."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess

import dpkt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst
from netmap_io.wrappers.bpf import BpfError, BpfProgram
from netmap_io.wrappers.filter_language import compile_filter

ADDRESSES = ["10.0.0.1", "10.0.0.2", "192.0.2.77"]
ADDRESSES_6 = ["2001:db8::1", "2001:db8:1::2", "fe80::1"]
PORTS = [53, 5000, 5001]
MACS = [bytes.fromhex("020000000001"), bytes.fromhex("020000000002"), b"\xff" * 6, bytes.fromhex("01005e000001")]

port = st.sampled_from(PORTS)
transports = st.one_of(
    st.builds(lambda s, d, n: (17, dpkt.udp.UDP(sport=s, dport=d, data=bytes(n))), port, port, st.integers(0, 20)),
    st.builds(lambda s, d: (6, dpkt.tcp.TCP(sport=s, dport=d)), port, port),
    st.just((1, dpkt.icmp.ICMP(data=dpkt.icmp.ICMP.Echo()))),
    st.just((132, b"\x00\x35\x13\x88" + bytes(8))),
    st.just((58, b"\x80\x00\x00\x00")),
    st.just((44, bytes([17, 0, 0, 1, 0, 0, 0, 1]) + b"\x00\x35\x13\x88" + bytes(8))),
)


@st.composite
def frames(draw) -> bytes:
    kind = draw(st.sampled_from(["ip", "ip", "ip", "ip6", "ip6", "arp", "rarp", "vlan", "other"]))
    protocol, inner = draw(transports)
    if kind == "ip":
        options = draw(st.sampled_from([b"", bytes([1, 1, 1, 0])]))
        source, destination = (socket.inet_aton(draw(st.sampled_from(ADDRESSES))) for _ in range(2))
        fragment = draw(st.sampled_from([0, 0, 0, 0x2000, 5]))
        octets = bytes(inner)
        header = bytearray(20)
        header[0] = 0x45 + len(options) // 4
        header[2:4] = (20 + len(options) + len(octets)).to_bytes(2)
        header[6:8] = fragment.to_bytes(2)
        header[8], header[9] = 64, protocol
        header[12:16], header[16:20] = source, destination
        data, kind_number = bytes(header) + options + octets, 0x0800
    elif kind == "ip6":
        source, destination = (socket.inet_pton(socket.AF_INET6, draw(st.sampled_from(ADDRESSES_6))) for _ in range(2))
        octets = bytes(inner)
        data = b"\x60\0\0\0" + len(octets).to_bytes(2) + bytes([protocol, 64]) + source + destination + octets
        kind_number = 0x86DD
    elif kind in ("arp", "rarp"):
        source, destination = (socket.inet_aton(draw(st.sampled_from(ADDRESSES))) for _ in range(2))
        data = bytes(dpkt.arp.ARP(spa=source, tpa=destination))
        kind_number = 0x0806 if kind == "arp" else 0x8035
    else:
        data, kind_number = draw(st.binary(max_size=40)), 0x8100 if kind == "vlan" else 0x88B5
    octets = draw(st.sampled_from(MACS)) + draw(st.sampled_from(MACS)) + kind_number.to_bytes(2) + data
    return octets[: draw(st.one_of(st.just(len(octets)), st.integers(0, len(octets))))]


BURSTS = st.lists(frames(), min_size=1, max_size=20).map(lambda given_frames: Burst.of(given_frames, link_types=1))

TESTS = [
    "ip",
    "ip6",
    "arp",
    "rarp",
    "udp",
    "tcp",
    "sctp",
    "icmp",
    "icmp6",
    "port 53",
    "udp port 5000",
    "tcp src port 5001",
    "dst port 53",
    "udp dst portrange 5000-5001",
    "host 10.0.0.1",
    "src host 10.0.0.2",
    "ip dst host 192.0.2.77",
    "arp host 10.0.0.1",
    "net 10.0.0.0/8",
    "dst net 192.0.2.64/26",
    "host 2001:db8::1",
    "src net 2001:db8::/32",
    "ip6 dst net 2001:db8:1::/48",
    "ether host 02:00:00:00:00:01",
    "ether src ff:ff:ff:ff:ff:ff",
    "ether dst 01:00:5e:00:00:01",
    "ether broadcast",
    "ether multicast",
    "ether proto 0x88b5",
    "ether proto \\arp",
    "ip proto 17",
    "ip6 proto 58",
    "less 60",
    "greater 60",
    "len = 42",
    "len >= 43",
    "ip[0] & 0xf != 5",
    "ip[6:2] & 0x1fff = 0",
    "ip6[6] = 17",
    "udp[0:2] = 53",
    "tcp[2:2] > 5000",
    "icmp[0] = 8",
    "ether[12:2] <= 0x800",
    "ether[0:4] < 0x03000000",
]
EXPRESSIONS = st.recursive(
    st.sampled_from(TESTS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"not ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def tcpdump():
    found = shutil.which("tcpdump")
    if found is None:
        pytest.skip("tcpdump is not installed")
    known: dict[str, BpfProgram] = {}

    def program(expression: str) -> BpfProgram:
        if expression not in known:
            command = [found, "-ddd", "-y", "EN10MB", expression]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            known[expression] = BpfProgram.of_text(done.stdout)
        return known[expression]

    return program


def outcome(program: BpfProgram, burst: Burst) -> list[bool]:
    return program.match(burst).tolist()


@pytest.mark.parametrize("expression", TESTS)
def test_each_test_says_what_tcpdumps_says(expression, tcpdump):
    other = tcpdump(expression)

    @given(BURSTS)
    def check(burst):
        assert outcome(compile_filter(expression), burst) == outcome(other, burst)

    check()


@given(EXPRESSIONS, st.lists(frames(), min_size=1, max_size=40))
def test_combinations_say_what_tcpdumps_say(tcpdump, expression, given_frames):
    burst = Burst.of(given_frames, link_types=1)
    whole = Burst.of([frame for frame in given_frames if len(frame) >= 74], link_types=1)
    # Where a frame is cut, it depends on the order of loads what is looked at first: only whole ones must agree.
    if len(whole):
        assert outcome(compile_filter(expression), whole) == outcome(tcpdump(expression), whole)
    assert compile_filter(expression).match(burst).shape == (len(burst),)


@given(st.lists(frames().filter(lambda frame: len(frame) >= 14), min_size=1, max_size=20))
def test_ports_and_addresses_as_dpkt_reads_them(given_frames):
    burst = Burst.of(given_frames, link_types=1)
    found = compile_filter("udp src port 53 and ip dst host 10.0.0.2").match(burst)
    for frame, matches in zip(given_frames, found, strict=True):
        packet = dpkt.ethernet.Ethernet(frame).data if frame[12:14] == b"\x08\x00" else None
        if not isinstance(packet, dpkt.ip.IP) or not isinstance(packet.data, dpkt.udp.UDP):
            continue  # tcpdump's programs are the oracle for what dpkt does not take apart
        assert matches == (packet.data.sport == 53 and packet.dst == socket.inet_aton("10.0.0.2"))


def test_and_and_or_go_from_left_to_right():
    burst = Burst.of([bytes([a, b, c]) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    a, b, c = (f"octets[{n}] = 1" for n in range(3))
    columns = np.frombuffer(burst.buffer, dtype=np.uint8).reshape(8, 3).astype(bool).T
    for text, expected in (
        (f"{a} or {b} and {c}", (columns[0] | columns[1]) & columns[2]),
        (f"{a} || ({b} && {c})", columns[0] | (columns[1] & columns[2])),
        (f"! {a} and not not {b}", ~columns[0] & columns[1]),
        (f"not ({a} or {b})", ~(columns[0] | columns[1])),
    ):
        assert compile_filter(text, 147).match(burst).tolist() == expected.tolist()


def test_a_program_of_tcpdump_is_a_filter():
    text = "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0"
    assert compile_filter(text).match(Burst.of([bytes(12) + b"\x08\x00", bytes(14)])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a test is missing at its end"),
        ("udp prt 5", "'and', 'or' or the end is needed, not 'prt' (did you mean port?)"),
        ("utp", "did you mean udp?"),
        ("port", "a value is missing"),
        ("port 70000", "a port from 0 to 65535"),
        ("port x", "a port is needed"),
        ("portrange 5-3", "FIRST-LAST"),
        ("icmp port 5", "no ports with icmp"),
        ("host 10.0.0.300", "an address is needed"),
        ("host 10.0.0.0/8", "an address is needed"),
        ("net 10.0.0.1/8", "its other bits zero"),
        ("ip6 host 10.0.0.1", "no IPv4 address with ip6"),
        ("ether host 1:2:3", "a MAC address"),
        ("ether proto 5", "Ethernet type"),
        ("ip proto 256", "0 to 255"),
        ("tcp proto 6", "ether proto, ip proto or ip6 proto"),
        ("(udp", "')' is missing"),
        ("udp)", "'and', 'or' or the end"),
        ("udp and", "a test is missing"),
        ("ip[0:3] = 1", "a size of 1, 2 or 4"),
        ("ip[0]", "a comparison (= != < > <= >=) is missing"),
        ("ip[0] = 99999999999", "a number is needed"),
        ("len = 0x1ffffffff", "a number is needed"),
        ("udp $ 5", "character 4: '$' means nothing here"),
        ("less than", "a length is needed"),
        (" or ".join(["octets[0] = 1"] * 140), "too long for a BPF program"),
        (" or ".join(["udp"] * 301), "601 words; 600 fit"),
        ("(" * 41 + "udp" + ")" * 41, "no more than 40 brackets"),
    ],
)
def test_wrong_filters_get_one_sentence(text, sentence):
    with pytest.raises(BpfError) as caught:
        compile_filter(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["udp", "ether[0] = 1", "host 10.0.0.1", "ip[0] = 1", "src 10.0.0.1"])
def test_frames_that_are_not_ethernet_have_no_such_tests(text):
    compile_filter(text)
    with pytest.raises(BpfError, match="needs Ethernet frames; these are of link type 147"):
        compile_filter(text, 147)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_an_error(text):
    try:
        compile_filter.__wrapped__(text)
    except BpfError as error:
        assert "\n" not in str(error) or "\n" in text


@given(st.lists(st.sampled_from(["udp", "port", "(", ")", "not", "and", "53", "ip[0]", "=", "&", "src", "10.0.0.1"])))
def test_any_words_are_a_filter_or_an_error(words):
    with contextlib.suppress(BpfError):
        compile_filter.__wrapped__(" ".join(words))


def test_the_longest_filters_compile():
    alternating = " or ".join(["udp and tcp"] * 149)
    assert compile_filter(alternating).match(Burst.of([bytes(60)], link_types=1)).tolist() == [False]
    compile_filter("(" * 40 + "udp" + ")" * 40)
