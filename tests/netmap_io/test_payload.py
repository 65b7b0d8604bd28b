"""Payloads out of frames that scapy built, TCP against a slow twin, and frames around payloads."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

from netmap_io import Burst, PayloadExtractor, udp_frames
from netmap_io.burst import join
from netmap_io.payload import PayloadError

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)
DATA = b"0123456789" * 3
U4 = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40000, dport=5000) / DATA
U6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=40000, dport=5000) / DATA


def ethernet(kind: int) -> Ether:
    return Ether(type=kind, **MACS)


def extract(frames, link_type=1, original_lengths=None, **choice) -> tuple[list[bytes], dict[str, int]]:
    extractor = PayloadExtractor(**choice)
    burst = Burst.of([bytes(frame) for frame in frames], link_types=link_type, original_lengths=original_lengths)
    payloads = [bytes(payload) for payload in extractor.feed(burst)]
    payloads += [bytes(payload) for payload in extractor.finish()]
    return payloads, {name: value for name, value in extractor.counters.items() if value}


COOKED = struct.pack(">HHHQH", 0, 1, 6, 0, 0x0800)
COOKED_2 = struct.pack(">HHIHBBQ", 0x86DD, 0, 1, 1, 0, 6, 0)
COOKED_2_TAGGED = struct.pack(">HHIHBBQHH", 0x8100, 0, 1, 1, 0, 6, 0, 7, 0x0800)


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, ETHER / U4),
        (1, ETHER / U6),
        (1, ETHER / Dot1Q(vlan=5) / U4),
        (1, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / U6),
        (1, Dot3(**MACS) / LLC() / SNAP(OUI=0, code=0x0800) / U4),
        (1, bytes(ETHER / U4) + bytes(18)),  # padding and a trailer
        (1, ETHER / IP(src="1.2.3.4", dst="4.3.2.1", options=b"\x94\x04\0\0" * 3) / U4[UDP]),
        (1, ETHER / IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / U6[UDP]),
        (1, ETHER / IPv6() / IPv6ExtHdrFragment(offset=0, m=0) / U6[UDP]),  # an atomic fragment
        (113, COOKED + bytes(U4)),
        (276, COOKED_2 + bytes(U6)),
        (276, COOKED_2_TAGGED + bytes(U4)),
        (101, U4),
        (101, U6),
        (228, U4),
        (229, U6),
        (0, struct.pack("<I", 2) + bytes(U4)),
        (0, struct.pack(">I", 30) + bytes(U6)),
        (108, struct.pack(">I", 2) + bytes(U4)),
        (147, DATA),
        (162, DATA),
    ],
)
def test_udp_payloads_behind_every_link_header(link_type, frame):
    payloads, counters = extract([frame], link_type)
    assert payloads == [DATA]
    assert counters.pop("checksum_not_looked_at", 0) == (link_type < 147 or link_type > 162)
    assert counters == {"frames": 1, "payloads": 1, "payload_octets": 30}


def test_what_is_passed_over_is_counted():
    frames = [
        ETHER / ARP(),
        ETHER / IP() / TCP() / b"x",
        ETHER / IP() / GRE() / b"x",
        ETHER / IP() / UDP(sport=1, dport=2) / b"x",
        ETHER / IP() / UDP(sport=5000, dport=2) / b"from",
        ETHER / IP() / UDP(sport=3, dport=5000) / b"to",
        ETHER / IP() / UDP(sport=3, dport=5000),
        bytes(ETHER / U4)[:30],
        bytes(ETHER / U4)[:5],
        bytes(ETHER / U4)[:-1],
        ETHER / IP(ihl=3) / b"0123456789012345678901234567890",
        ETHER / IP() / UDP(sport=3, dport=5000, len=7) / b"x",
        ETHER / IP() / UDP(sport=3, dport=5000, len=70) / b"x",
        bytes(ethernet(0x0800)) + b"\x35" + bytes(40),
        b"",
    ]
    payloads, counters = extract(frames, protocol="udp", port=5000)
    assert payloads == [b"from", b"to"]
    assert counters == {
        "frames": 15,
        "payloads": 2,
        "payload_octets": 6,
        "other_protocol": 3,
        "other_port": 1,
        "empty": 1,
        "malformed": 8,
        "checksum_not_looked_at": 3,
    }
    assert extract([b"x"], link_type=9)[1] == {"frames": 1, "other_link_type": 1}
    assert extract([b"x"], link_type=147, protocol="udp")[1] == {"frames": 1, "other_protocol": 1}


@pytest.mark.parametrize("kept", range(72))
def test_a_record_cut_by_the_snap_length_is_counted_as_such(kept):
    frame = bytes(ETHER / U4)
    payloads, counters = extract([frame[:kept]], original_lengths=[len(frame)])
    if kept == len(frame):
        assert payloads == [DATA]
    else:
        assert (payloads, counters) == ([], {"frames": 1, "cut_by_snap_length": 1})
    payloads, _ = extract([frame[:kept]], original_lengths=[len(frame)], offset=2, length=5)
    assert payloads == ([DATA[2:7]] if kept >= 49 else [])  # enough when the wanted part is there


@given(st.binary(max_size=50), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 60)))
def test_the_cut_is_a_slice(data, offset, length):
    end = None if length is None else offset + length
    for frame, link_type, protocol in ((ETHER / IP() / UDP() / data, 1, "udp"), (data, 1, "raw")):
        payloads, _ = extract([frame], link_type, protocol=protocol, offset=offset, length=length)
        assert payloads == [piece for piece in [data[offset:end]] if piece]


def test_after_the_link_header():
    assert extract([ethernet(0x88B5) / DATA], protocol="ethernet", offset=4)[0] == [DATA[4:]]
    assert extract([ETHER / Dot1Q(type=0x88B5) / DATA], protocol="ethernet")[0] == [DATA]
    assert extract([DATA], 147, protocol="ethernet")[0] == [DATA]


@pytest.mark.parametrize("version", [4, 6])
@given(st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=40)
def test_fragments_in_any_order_are_put_together(version, rng, again):
    datas = [rng.randbytes(rng.randrange(600, 3000)) for _ in range(3)]
    pieces = []
    for number, data in enumerate(datas):
        if version == 4:
            whole = IP(src="10.0.0.1", dst="10.0.0.2", id=number) / UDP(sport=1, dport=5000) / data
            pieces += fragment(whole, fragsize=400)
        else:
            head = IPv6(src="::1", dst="::2") / IPv6ExtHdrFragment(id=number)
            pieces += fragment6(head / UDP(sport=1, dport=5000) / data, 500)
    total = len(pieces)
    rng.shuffle(pieces)
    pieces = [piece for number, piece in enumerate(pieces) for _ in range(1 + (number < again))]  # some twice
    payloads, counters = extract([ETHER / bytes_of(piece) for piece in pieces], port=5000)
    assert sorted(payloads) == sorted(datas)
    assert counters["fragments"] == total + again
    assert counters["datagrams_reassembled"] == 3
    assert counters.get("fragments_lost", 0) == again


def bytes_of(packet):
    return type(packet)(bytes(packet))


def test_fragments_that_never_join_are_counted():
    whole = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=1, dport=5000) / bytes(2000)
    first, second, *_ = [ETHER / piece for piece in fragment(whole, fragsize=800)]
    assert extract([first, second])[1]["fragments_lost"] == 2
    filler = [ETHER / ARP()] * 10_001
    late = extract([first, *filler, second])[1]
    assert late["fragments_lost"] == 2 and "datagrams_reassembled" not in late
    clash = bytearray(bytes(second))
    clash[20] = 0x20  # more fragments, at offset 8: within the first
    clash[21] = 1
    assert extract([first, bytes(clash)])[1]["fragments_lost"] == 2


def test_a_flood_of_fragments_is_bounded():
    burst = []
    for number in range(3000):
        head = IP(src="10.0.0.1", dst="10.0.0.2", id=number, flags="MF", proto=17)
        burst.append(ETHER / head / Raw(bytes(1024)))
    extractor = PayloadExtractor()
    extractor.feed(Burst.of([bytes(frame) for frame in burst], link_types=1))
    assert extractor.counters["fragments_lost"] == 3000 - 1024
    extractor.finish()
    assert extractor.counters["fragments_lost"] == 3000


# --- TCP


def segment(sequence: int, data: bytes, flags: str = "PA", sport: int = 40000, version: int = 4) -> bytes:
    head = IP(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="::1", dst="::2")
    return bytes(ETHER / head / TCP(sport=sport, dport=5000, seq=sequence % 2**32, flags=flags) / data)


@given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=150)
def test_streams_come_out_in_order_whatever_happens_on_the_way(rng, start, lose):
    """The twin: a table of octets by position, filled first come first served."""
    stream = rng.randbytes(rng.randrange(1, 2000))
    cuts = sorted(rng.sample(range(len(stream) + 1), min(len(stream), rng.randrange(1, 30))))
    cuts = sorted({0, len(stream), *cuts})
    spans = list(pairwise(cuts))
    if lose and len(spans) > 2:
        spans.pop(rng.randrange(1, len(spans) - 1))
    for _ in range(rng.randrange(6)):  # retransmissions, cut elsewhere
        low = rng.randrange(len(stream))
        spans.append((low, min(len(stream), low + rng.randrange(1, 200))))
    rng.shuffle(spans)
    frames = [segment(start, b"", "S")]
    frames += [segment(start + 1 + low, stream[low:high]) for low, high in spans]
    payloads, counters = extract(frames, protocol="tcp", port=5000)
    present = {at for low, high in spans for at in range(low, high)}
    assert b"".join(payloads) == bytes(stream[at] for at in sorted(present))
    end = max(present) + 1
    assert counters.get("tcp_gap_octets", 0) == end - len(present)
    assert counters.get("tcp_overlap_octets", 0) == sum(high - low for low, high in spans) - len(present)


def test_a_stream_without_its_start_and_over_the_wrap():
    first = 2**32 - 5
    frames = [segment(first, b"01234"), segment(first + 5, b"56789", "FA")]
    payloads, counters = extract(frames, protocol="tcp")
    assert payloads == [b"01234", b"56789"] and counters["tcp_streams_without_start"] == 1


def test_a_hole_is_given_up_when_the_window_is_full():
    extractor = PayloadExtractor("tcp")
    frames = [segment(0, b"", "S"), segment(1, b"begin")]
    frames += [segment(100 + n * 1000, bytes([n % 251]) * 1000) for n in range(1200)]
    out = extractor.feed(Burst.of(frames, link_types=1))
    assert out.octets > 1_000_000 and bytes(out[0]) == b"begin"
    assert extractor.counters["tcp_gap_octets"] == 94 and extractor.counters["tcp_gaps"] == 1
    assert len(extractor.finish()) == 0


def test_connections_between_the_same_ends_and_both_directions():
    answer = ETHER / IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=5000, dport=40000, seq=9, flags="PA") / b"answer"
    frames = [
        segment(100, b"", "S"),
        segment(101, b"one"),
        segment(101, b"one", "FPA"),  # again
        answer,
        segment(5, b"", "S"),
        segment(5, b"", "S"),
        segment(6, b"two"),
        segment(1, b"six", version=6),
        segment(1, b"other", sport=40001),
    ]
    extractor = PayloadExtractor("tcp", 5000)
    out = extractor.feed(Burst.of(frames, link_types=1))
    assert [bytes(piece) for piece in out] == [b"one", b"answer", b"two", b"six", b"other"]
    assert out.interfaces.tolist() == [0, 1, 2, 3, 4]
    assert extractor.flows[2] == "10.0.0.1:40000 > 10.0.0.2:5000"
    assert extractor.flows[3] == "[::1]:40000 > [::2]:5000"


def test_a_flood_of_streams_is_bounded():
    template = segment(1, b"x")
    frames = []
    for number in range(6000):
        frame = bytearray(template)
        struct.pack_into(">I", frame, 26, number)
        frames.append(bytes(frame))
    extractor = PayloadExtractor("tcp")
    assert len(extractor.feed(Burst.of(frames, link_types=1))) == 6000
    assert len(extractor.flows) == 4096
    assert extractor.counters["tcp_streams_evicted"] == 6000 - 4096


SEEDS = [
    bytes(frame)
    for frame in (
        ETHER / U4,
        ETHER / Dot1Q() / U6,
        segment(5, b"abc"),
        ETHER / IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(m=1) / bytes(16),
        *[ETHER / piece for piece in fragment(IP() / UDP() / bytes(900), fragsize=400)],
    )
]


@given(
    st.lists(st.one_of(st.sampled_from(SEEDS), st.binary(max_size=80)), max_size=12),
    st.randoms(use_true_random=False),
    st.sampled_from(["auto", "udp", "tcp", "ethernet", "raw"]),
    st.sampled_from([0, 1, 101, 108, 113, 147, 276, 9]),
    st.integers(0, 12),
)
@settings(max_examples=400)
def test_any_octets_are_accounted(frames, rng, protocol, link_type, split):
    noisy = []
    for frame in frames:
        octets = bytearray(frame)
        for _ in range(rng.randrange(4)):
            if octets:
                octets[rng.randrange(len(octets))] = rng.randrange(256)
        noisy.append(bytes(octets))
    more = [rng.choice([0, 0, 100]) for _ in frames]
    burst = Burst.of(
        noisy, link_types=link_type, original_lengths=[len(f) + m for f, m in zip(noisy, more, strict=True)]
    )
    whole, parts = PayloadExtractor(protocol), PayloadExtractor(protocol)
    out = join([whole.feed(burst), whole.finish()])
    assert out == join([parts.feed(burst[:split]), parts.feed(burst[split:]), parts.finish()])
    counters = whole.counters
    assert counters == parts.counters
    assert (counters["payloads"], counters["payload_octets"]) == (len(out), out.octets)
    if protocol != "tcp":
        skipped = ("other_protocol", "other_port", "other_link_type", "cut_by_snap_length", "malformed", "empty")
        waiting = counters["fragments"] - counters["datagrams_reassembled"]
        assert counters["frames"] == counters["payloads"] + sum(counters[name] for name in skipped) + waiting


# --- the other way


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(0, 65535), st.integers(0, 65535))
def test_udp_frames_have_the_checksums_that_scapy_computes(payloads, port, first):
    burst = Burst.of(payloads, list(range(len(payloads))))
    frames = udp_frames(burst, port=port, source="10.1.2.3", destination="10.3.2.1", first_identification=first)
    for number, frame in enumerate(frames):
        parsed = Ether(bytes(frame))
        again = Ether(bytes(frame))
        del again[IP].chksum, again[UDP].chksum, again[IP].len, again[UDP].len
        assert bytes(again) == bytes(frame)
        assert (parsed[IP].src, parsed[IP].dst, parsed[UDP].dport) == ("10.1.2.3", "10.3.2.1", port)
        assert parsed[IP].id == (first + number) % 65536
    assert frames.timestamps_ns.tolist() == list(range(len(payloads)))
    extractor = PayloadExtractor("udp", port)
    assert [bytes(each) for each in extractor.feed(frames)] == [each for each in payloads if each]


def test_the_longest_payload_and_one_more():
    largest = random.Random(1).randbytes(65507)
    frames = udp_frames(Burst.of([largest]))
    assert len(frames[0]) == 14 + 65535
    assert bytes(PayloadExtractor().feed(frames)[0]) == largest
    with pytest.raises(PayloadError, match="payload 1 has 65508 octets"):
        udp_frames(Burst.of([b"", largest + b"x"]))


def test_a_checksum_of_zero_is_sent_as_ones():
    frame = udp_frames(Burst.of([bytes(2)]), port=0, source_port=0)[0]
    checksum = struct.unpack_from(">H", frame, 40)[0]
    needed = struct.pack(">H", checksum)  # this much more makes the sum all ones
    frame = bytes(udp_frames(Burst.of([needed]), port=0, source_port=0)[0])
    assert frame[40:42] == b"\xff\xff"


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"protocol": "sctp"}, "protocol is one of auto, udp"),
        ({"port": 65536}, "0 to 65535"),
        ({"protocol": "raw", "port": 3}, "no ports"),
        ({"offset": -1}, "offset is 0 or more"),
        ({"length": 0}, "length 1 or more"),
    ],
)
def test_senseless_choices(choice, sentence):
    with pytest.raises(PayloadError, match=sentence):
        PayloadExtractor(**choice)


@pytest.mark.parametrize(
    "choice", [{"source": "::1"}, {"destination": "host"}, {"port": -1}, {"source_mac": b"x"}, {"source_port": 70000}]
)
def test_senseless_ends(choice):
    with pytest.raises(PayloadError):
        udp_frames(Burst.of([b"x"]), **choice)
