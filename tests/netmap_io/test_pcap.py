"""Captures: round trips in every flavour, hand-made blocks, any octets, any piece size, bounded memory."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmap_io import Burst
from netmap_io.burst import join
from netmap_io.drivers.pcap import PcapReader, PcapWriter, Statistics
from netmap_io.errors import CaptureDamagedError, CaptureError, CaptureTooLongError, NotACaptureError

S = 1_000_000_000
FLAVOURS = [
    (format, nanoseconds, big_endian)
    for format in ("pcap", "pcapng")
    for nanoseconds in (True, False)
    for big_endian in (True, False)
]


@st.composite
def bursts(draw) -> Burst:
    frames = draw(st.lists(st.binary(max_size=200), max_size=12))
    times = [draw(st.integers(0, 2**32 * S - 1)) for _ in frames]
    cut = [draw(st.sampled_from([0, 0, 1, 1000])) for _ in frames]
    notes = [
        (index, draw(st.integers(1, 0xFFFF)), draw(st.binary(max_size=9)))
        for index in range(len(frames))
        if draw(st.booleans())
    ]
    lengths = [len(frame) + more for frame, more in zip(frames, cut, strict=True)]
    return Burst.of(frames, times, original_lengths=lengths, annotations=notes, link_types=147)


def write(burst: Burst, **options) -> bytes:
    file = io.BytesIO()
    with PcapWriter(file, link_type="raw_octets", **options) as port:
        assert port.send(burst) == len(burst)
    return file.getvalue()


def read(octets: bytes, **options) -> Burst:
    with PcapReader(octets, **options) as port:
        burst = join(list(port.bursts()))
        assert not port.truncated
        return burst if len(burst) else Burst.of([], link_types=147)


@given(bursts(), st.sampled_from(FLAVOURS), st.integers(1, 300), st.booleans())
def test_what_is_written_is_read(burst, flavour, piece_octets, packed):
    format, nanoseconds, big_endian = flavour
    octets = write(burst, format=format, nanoseconds=nanoseconds, big_endian=big_endian)
    if packed:
        octets = gzip.compress(octets)
    unit = 1 if nanoseconds else 1000
    expected = Burst(
        *burst.columns()[:2],
        burst.timestamps_ns // unit * unit,
        original_lengths=burst.original_lengths,
        link_types=147,
        annotations=burst.annotations if format == "pcapng" else [],
    )
    assert read(octets) == expected
    assert read(octets, piece_octets=piece_octets) == expected


def test_unknown_times_survive_in_pcapng_only():
    burst = Burst.of([b"a", b""], link_types=147)
    assert read(write(burst)).timestamps_ns.tolist() == [-1, -1]
    assert read(write(burst, format="pcap")).timestamps_ns.tolist() == [0, 0]


def test_times_that_pcap_cannot_hold_are_refused():
    late = Burst.of([b"a"], [2**32 * S], link_types=147)
    assert read(write(late)) == late
    with pytest.raises(ValueError, match="2106"):
        write(late, format="pcap")


def test_names_comments_and_statistics():
    file = io.BytesIO()
    counted = Statistics(timestamp_ns=7, received=5, dropped_by_interface=2, dropped_by_operating_system=3)
    for big_endian in (False, True):  # two files back to back are one capture of two sections
        with PcapWriter(file, name="eth7", description="the ß one", comment="hi", big_endian=big_endian) as port:
            port.send(Burst.of([b"frame"], [1], link_types=1, annotations=[(0, 1, b"mine")]))
            port.write_statistics(counted)
    with PcapReader(file.getvalue()) as port:
        burst = join(list(port.bursts()))
        assert burst.interfaces.tolist() == [0, 1]
        assert burst.comments == {0: ["mine"], 1: ["mine"]}
        assert [(each.name, each.description) for each in port.interfaces] == [("eth7", "the ß one")] * 2
        assert [each.statistics for each in port.interfaces] == [counted] * 2
        assert [(each.comments, each.application, each.big_endian) for each in port.sections] == [
            (["hi"], "netmap_io", False),
            (["hi"], "netmap_io", True),
        ]
        assert (port.counters.dropped_by_ring, port.counters.dropped_by_kernel) == (4, 6)
        assert port.format == "pcapng" and port.position == len(file.getvalue())


# --- blocks made by hand, sharing nothing with the writer


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, options: bytes = b"") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def interface(order: str, link_type: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap) + options)


def enhanced(order: str, number: int, ticks: int, data: bytes, original: int | None = None, options=b"") -> bytes:
    length = len(data) if original is None else original
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
    return block(order, 6, head + data + bytes(-len(data) % 4) + options)


@pytest.fixture(params=["<", ">"])
def order(request) -> str:
    return request.param


def zoo(order: str) -> bytes:
    """Every kind of block, two sections, three interfaces with clocks of their own."""
    other = "<" if order == ">" else ">"
    return b"".join(
        [
            section(order, option(order, 1, b"all") + option(order, 0, b"")),
            block(order, 0x0BAD, b"private, before any interface"),
            interface(order, 1, 10, option(order, 9, b"\x03")),
            interface(order, 113, 0, option(order, 9, b"\x8a") + option(order, 14, struct.pack(order + "q", 100))),
            enhanced(order, 0, 1500, b"milliseconds", 4000, option(order, 1, b"note") + option(order, 2, b"flag")),
            enhanced(order, 1, 512, b"half"),
            block(order, 3, struct.pack(order + "I", 12) + b"0123456789"),
            block(order, 2, struct.pack(order + "HH4I", 0, 4, 0, 2000, 3, 3) + b"old\0"),
            block(order, 2, struct.pack(order + "HH4I", 0, 0xFFFF, 0, 2000, 3, 3) + b"OLD\0"),
            block(
                order,
                4,
                option(order, 1, bytes([10, 0, 0, 1]) + b"host\0alias\0")
                + option(order, 2, bytes(15) + b"\x01six\0")
                + option(order, 0, b""),
            ),
            block(order, 5, struct.pack(order + "3I", 0, 0, 3000) + option(order, 5, struct.pack(order + "Q", 9))),
            enhanced(order, 0, 3000, b"dropped before", options=option(order, 4, struct.pack(order + "Q", 6))),
            section(other),
            interface(other, 147, 0, option(other, 9, b"\x06") + option(other, 14, struct.pack(other + "q", -9))),
            enhanced(other, 0, 8_000_000, b"before 1970"),
            enhanced(other, 0, 10_000_000, b"after"),
            block(other, 0xFFFF, b""),
        ]
    )


def test_every_kind_of_block(order):
    with PcapReader(zoo(order)) as port:
        burst = join(list(port.bursts()))
        assert [bytes(frame) for frame in burst] == [
            b"milliseconds",
            b"half",
            b"0123456789",
            b"old",
            b"OLD",
            b"dropped before",
            b"before 1970",
            b"after",
        ]
        assert burst.timestamps_ns.tolist() == [
            1_500_000_000,
            100 * S + S // 2,
            -1,
            2 * S,
            2 * S,
            3 * S,
            -1,
            1 * S,
        ]
        assert burst.original_lengths.tolist() == [4000, 4, 12, 3, 3, 14, 11, 5]
        assert burst.interfaces.tolist() == [0, 1, 0, 0, 0, 0, 2, 2]
        assert burst.link_types.tolist() == [1, 113, 1, 1, 1, 1, 147, 147]
        assert burst.annotations[:2] == [(0, 1, b"note"), (0, 2, b"flag")]
        assert port.names == [("10.0.0.1", "host"), ("10.0.0.1", "alias"), ("::1", "six")]
        assert port.interfaces[0].statistics == Statistics(timestamp_ns=3 * S, dropped_by_interface=9)
        assert [each.section for each in port.interfaces] == [0, 0, 1]
        account = port.account
        assert account["other_blocks"] == 2
        assert account["dropped_by_annotation"] == 10
        assert account["times_out_of_range"] == 1


@given(st.sampled_from("<>"), st.integers(1, 200), st.integers(1, 9))
def test_any_piece_size_and_any_burst_size_give_the_same(order, piece_octets, max_frames):
    whole = read(zoo(order))
    with PcapReader(zoo(order), piece_octets=piece_octets) as port:
        parts = list(port.bursts(max_frames))
        assert all(len(part) <= max_frames for part in parts)
        assert join(parts) == whole


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_cut_record_is_counted_and_not_raised(order, cut):
    octets = zoo(order)
    whole = read(octets)
    with PcapReader(octets[:-cut]) as port:
        burst = join(list(port.bursts()))
        assert burst == whole[: len(burst)] and len(burst) >= 6
        assert port.exhausted
        assert port.truncated == (port.truncated_octets > 0)
        assert port.position + port.truncated_octets == len(octets) - cut


def test_a_cut_gzip_stream_is_truncated_and_a_bad_one_damaged():
    burst = Burst.of([bytes([i % 251]) * 500 for i in range(2000)], list(range(2000)), link_types=147)
    packed = gzip.compress(write(burst))
    with PcapReader(packed[:-9]) as port:
        assert join(list(port.bursts())) == burst
        assert port.truncated
    bad = bytearray(packed)
    bad[-5] ^= 1  # its check sequence
    with PcapReader(bytes(bad)) as port:
        given = []
        with pytest.raises(CaptureDamagedError, match="gzip"):
            for part in port.bursts():
                given.append(part)
        assert join(given) == burst
    assert read(packed + gzip.compress(b"")) == burst  # several members are one stream


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (enhanced("<", 1, 0, b"x"), "interface 1 is not described"),
        (block("<", 6, bytes(8)), "only 20 octets"),
        (block("<", 6, struct.pack("<5I", 0, 0, 0, 9, 9) + b"abcd"), "a packet of 9 octets in a block with room for 4"),
        (block("<", 3, struct.pack("<I", 9) + b"abcd"), "room for 4"),
        (struct.pack("<III", 6, 14, 0), "no multiple of 4"),
        (struct.pack("<III", 6, 8, 0), "no multiple of 4 from 12"),
        (struct.pack("<III", 77, 12, 16), "begins with length 12 and ends with length 16"),
        (block("<", 0x0A0D0D0A, b"nope" + bytes(12)), "byte-order magic"),
        (block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "version 2.0"),
    ],
)
def test_damage_raises_after_the_frames_before_it(octets, sentence):
    good = section("<") + interface("<") + enhanced("<", 0, 1, b"good")
    port = PcapReader(good + octets + enhanced("<", 0, 1, b"never"))
    assert [bytes(frame) for frame in port.receive()] == [b"good"]
    for _ in range(2):  # it stays so
        with pytest.raises(CaptureDamagedError, match=sentence) as caught:
            port.receive()
        assert caught.value.octet_offset == len(good)
        assert "\n" not in str(caught.value)


def test_a_claim_of_much_is_refused_and_nothing_allocated(order):
    huge = section(order) + interface(order) + struct.pack(order + "II", 6, 0x7FFFFFFC) + bytes(100)
    old = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack(order + "4I", 0, 0, 2**31, 5)
    for octets in (huge, old):
        with PcapReader(octets) as port, pytest.raises(CaptureTooLongError, match="more than the 16777216 allowed"):
            port.receive()
    below = section(order) + interface(order) + struct.pack(order + "II", 6, 0xFFFFFC) + bytes(100)
    before = _peak_octets()
    with PcapReader(below) as port:
        assert len(port.receive()) == 0 and port.truncated_octets == 108
    assert _peak_octets() - before < 4 << 20


def _peak_octets() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def test_memory_stays_bounded_over_a_long_capture(tmp_path):
    path = tmp_path / "long"
    with PcapWriter(path, link_type="raw_octets") as writer:
        burst = Burst.of(
            [bytes(1000)] * 20_000, annotations=[(i, 1, b"c" * 40) for i in range(0, 20_000, 50)], link_types=147
        )
        for _ in range(10):
            writer.send(burst)
    del burst
    with PcapReader(path) as port:
        port.receive()
        before = _peak_octets()
        tracemalloc.start()
        count = sum(len(part) for part in port.bursts())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count > 190_000
    assert peak < 4 << 20 and _peak_octets() - before < 24 << 20


def test_endless_metadata_is_bounded():
    comments = interface("<", options=b"".join(option("<", 1, b"c" * 60_000) for _ in range(8)))
    octets = section("<") + comments * 60 + enhanced("<", 0, 1, b"x")
    with PcapReader(octets) as port:
        assert len(port.receive()) == 1
        assert port.account["metadata_not_kept"] > 100
    with (
        PcapReader(section("<") + interface("<") * 100_000) as port,
        pytest.raises(CaptureDamagedError, match="too many"),
    ):
        port.receive()


def seeds() -> list[bytes]:
    burst = Burst.of([b"abc", b"", bytes(300)], [1, 2 * S, 3 * S], link_types=147, annotations=[(1, 1, b"note")])
    flavoured = [write(burst, format=f, nanoseconds=n, big_endian=b) for f, n, b in FLAVOURS]
    return [*flavoured, zoo("<"), zoo(">"), gzip.compress(zoo("<")), gzip.compress(flavoured[0])]


SEEDS = seeds()


@st.composite
def mutated(draw) -> bytes:
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.sampled_from(["set", "word", "cut", "drop", "double", "insert"])):
            case "set":
                octets[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                octets[at : at + 4] = draw(st.sampled_from([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x0c\0\0\0"]))
            case "cut":
                del octets[at:]
            case "drop":
                del octets[at : at + draw(st.integers(1, 40))]
            case "double":
                octets[at:at] = octets[at : at + draw(st.integers(1, 80))]
            case "insert":
                octets[at:at] = draw(st.binary(max_size=12))
    return bytes(octets)


def survey(octets: bytes, **options) -> tuple[list[bytes], str]:
    """All frames, and how it ended; only the documented errors may come."""
    frames = []
    try:
        with PcapReader(octets, **options) as port:
            for burst in port.bursts():
                frames += [bytes(frame) for frame in burst]
                assert bool((burst.original_lengths >= burst.lengths).all())
                assert bool((burst.timestamps_ns >= -1).all())
            port.interfaces, port.sections, port.names, port.counters, port.account  # noqa: B018
            return frames, f"truncated {port.truncated_octets}"
    except CaptureError as error:
        return frames, str(error)


@given(st.one_of(mutated(), st.binary(max_size=300)), st.integers(1, 100))
@settings(max_examples=500)
def test_any_octets_give_frames_or_the_documented_error(octets, piece_octets):
    assert survey(octets) == survey(octets, piece_octets=piece_octets)


def test_the_patched_pcap_header_is_known():
    header = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<4I", 5, 6, 3, 60) + bytes(8) + b"abc"
    burst = read(header + record * 2)
    assert [bytes(frame) for frame in burst] == [b"abc"] * 2
    assert burst.timestamps_ns.tolist() == [5_000_006_000] * 2


def test_pcap_of_another_version_is_no_capture():
    with pytest.raises(NotACaptureError, match=r"version 3\.4"):
        PcapReader(struct.pack("<IHHiIII", 0xA1B2C3D4, 3, 4, 0, 0, 65535, 1))


def test_long_frames_of_every_length_are_copied_whole():
    frames = [np.random.default_rng(n).bytes(n) for n in [*range(56, 72), 127, 128, 129, 65535, 70_000]]
    burst = Burst.of(frames, list(range(len(frames))), link_types=147)
    for format in ("pcap", "pcapng"):
        assert read(write(burst, format=format)) == burst
