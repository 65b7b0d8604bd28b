"""Fuzzing of capture files: valid ones of every flavour, damaged in every kind, and what must hold for all of them.

    python tests/fuzz/captures.py --seconds 600 --seed 1

An input that breaks a rule is reported with its number; `--only NUMBER` repeats it.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from netmap_io import Burst, PayloadExtractor, udp_frames
from netmap_io.drivers.pcap import PcapReader
from netmap_io.errors import CaptureError

PROTOCOLS = ("udp", "tcp", "auto")
MEMORY_OCTETS = 8 << 20
"""What reading one input may take at its peak: less than a block may claim, since no input holds so much."""
MEMORY_OCTETS_LARGE = 64 << 20
"""The same for the large inputs, whose many sections may fill the catalogue's 16 MiB, in Python's objects too."""
SECTION, INTERFACE, OBSOLETE, SIMPLE, NAMES, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
PCAP_MAGICS = (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34)  # microseconds, nanoseconds, the one with longer records
LINK_TYPES = (1, 1, 1, 147, 162, 0, 101, 108, 113, 276, 9)


@dataclass
class Unit:
    """A block of pcapng, or the header or a record of pcap, with the byte order it was written in."""

    order: str
    octets: bytearray


@dataclass
class Drawn:
    """A valid capture, and the frames that it holds."""

    pcapng: bool
    units: list[Unit] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    def joined(self) -> bytes:
        return b"".join(unit.octets for unit in self.units)


# -- drawing -----------------------------------------------------------------------------------------------------------


def draw_frame(random: Random) -> bytes:
    """A frame: UDP, an IPv4 fragment, TCP, IPv6, or octets of no meaning."""
    kind = random.choice(("udp", "udp", "fragment", "tcp", "tcp", "ipv6", "noise"))
    data = random.randbytes(random.choice((0, 1, 5, 60, 300, 1400)))
    if kind == "noise":
        return data
    if kind == "tcp":
        sequence = random.choice((0, 100, 105, 2**32 - 3)) + random.randrange(20)
        flags = random.choice((0x10, 0x18, 0x02, 0x11, 0x04))
        ports = (random.choice((5000, 5001)), 5000)
        segment = struct.pack(">HHIIBBHHH", *ports, sequence % 2**32, 0, 0x50, flags, 1000, 0, 0) + data
        return _ipv4(random, 6, segment, 0)
    if kind == "fragment":
        more, offset = random.choice((0x2000, 0)), random.choice((0, 1, 8, 185, 8191))
        return _ipv4(random, 17, struct.pack(">4H", 5000, 5000, len(data) + 8, 0) + data, more | offset)
    if kind == "ipv6":
        datagram = struct.pack(">4H", 5000, 5000, len(data) + 8, 0) + data
        extension = random.choice((b"", b"\x11\0" + bytes(6)))
        head = struct.pack(">IHBB", 6 << 28, len(datagram) + len(extension), 0 if extension else 17, 64)
        return bytes(12) + b"\x86\xdd" + head + bytes(32) + extension + datagram
    return bytes(udp_frames(Burst.of([data]), port=random.choice((5000, 5001)))[0])


def _ipv4(random: Random, protocol: int, data: bytes, fragment: int) -> bytes:
    tag = random.choice((b"", b"", b"\x81\0\0\x07"))
    head = struct.pack(">BBHHHBBH", 0x45, 0, len(data) + 20, random.randrange(2), fragment, 64, protocol, 0)
    return bytes(12) + tag + b"\x08\0" + head + bytes(4) + b"\x0a\0\0\x01" + data


def block(order: str, kind: int, body: bytes) -> Unit:
    """A block of pcapng, its length before and after."""
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    octets = struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)
    return Unit(order, bytearray(octets))


def options(random: Random, order: str, *values: tuple[int, bytes]) -> bytes:
    """These options, comments and unknown ones among them, with and without the end of options."""
    listed = list(values)
    for _ in range(random.choice((0, 0, 1, 3))):
        code = random.choice((1, 2, 3, 4, 5, 2988, 40_000))
        listed.insert(random.randint(0, len(listed)), (code, random.randbytes(random.choice((0, 1, 4, 8, 33)))))
    out = b"".join(
        struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in listed
    )
    return out + random.choice((b"", bytes(4))) if listed else out


def draw_pcapng(random: Random) -> Drawn:
    """One to three sections, each in its byte order, with interfaces and every kind of block."""
    drawn = Drawn(pcapng=True)
    for _ in range(random.choice((1, 1, 2, 3))):
        order = random.choice("<>")
        head = struct.pack(order + "IHHq", BYTE_ORDER_MAGIC, 1, random.choice((0, 2)), -1)
        drawn.units.append(block(order, SECTION, head + options(random, order)))
        interfaces = 0
        for _ in range(random.randint(1, 25)):
            if not interfaces or (interfaces < 3 and random.random() < 0.1):
                drawn.units.append(_interface(random, order))
                interfaces += 1
            else:
                drawn.units.append(_block(random, order, interfaces, drawn.frames))
    return drawn


def _interface(random: Random, order: str) -> Unit:
    clock: list[tuple[int, bytes]] = [(2, b"eth0")]
    if random.random() < 0.7:
        clock.append((9, bytes([random.choice((0, 3, 6, 9, 18, 19, 0x80, 0x8A, 0xA0, 0xBF, 0xFF))])))
    if random.random() < 0.3:
        clock.append((14, struct.pack(order + "q", random.choice((0, 100, -9, 2**62, -(2**63))))))
    head = struct.pack(order + "HHI", random.choice(LINK_TYPES), 0, 0)
    return block(order, INTERFACE, head + options(random, order, *clock))


def _block(random: Random, order: str, interfaces: int, frames: list[bytes]) -> Unit:
    kind = random.choice((ENHANCED,) * 6 + (SIMPLE, OBSOLETE, STATISTICS, NAMES, 0x0BAD, 0x80000001))
    number = random.randrange(interfaces)
    ticks = random.choice((0, 1_500_000, 2**32, 2**63, 2**64 - 1, random.randrange(2**60)))
    clock = struct.pack(order + "II", ticks >> 32, ticks & 0xFFFFFFFF)
    if kind == STATISTICS:
        counted = (5, struct.pack(order + "Q", random.randrange(2**64)))
        return block(order, kind, struct.pack(order + "I", number) + clock + options(random, order, counted))
    if kind == NAMES:
        names = ((1, bytes([10, 0, 0, 1]) + b"host\0alias\0"), (2, bytes(15) + b"\x01six\0"), (0, b""))
        listed = [struct.pack(order + "HH", c, len(v)) + v + bytes(-len(v) % 4) for c, v in names]
        return block(order, kind, b"".join(listed))
    if kind not in (ENHANCED, SIMPLE, OBSOLETE):
        return block(order, kind, random.randbytes(random.randrange(60)))
    frame = draw_frame(random)
    frames.append(frame)
    padded = frame + bytes(-len(frame) % 4)
    if kind == SIMPLE:
        return block(order, kind, struct.pack(order + "I", len(frame)) + padded)
    lengths = struct.pack(order + "II", len(frame), len(frame) + random.choice((0, 0, 900)))
    drops = random.choice((0, 4, 0xFFFF))
    which = struct.pack(order + "I", number) if kind == ENHANCED else struct.pack(order + "HH", number, drops)
    notes = ((4, struct.pack(order + "Q", random.choice((0, 6, 2**64 - 1)))),) if random.random() < 0.2 else ()
    return block(order, kind, which + clock + lengths + padded + options(random, order, *notes))


def draw_pcap(random: Random) -> Drawn:
    """Classic pcap in either order, with any of its three magic numbers."""
    order, magic = random.choice("<>"), random.choice(PCAP_MAGICS)
    drawn = Drawn(pcapng=False)
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, random.choice((0, 65_535)), random.choice(LINK_TYPES))
    drawn.units.append(Unit(order, bytearray(head)))
    for _ in range(random.randrange(25)):
        frame = draw_frame(random)
        drawn.frames.append(frame)
        seconds, fraction = random.choice((0, 7, 2**32 - 1)), random.choice((0, 999_999, 2**32 - 1))
        record = struct.pack(order + "4I", seconds, fraction, len(frame), len(frame) + random.choice((0, 0, 900)))
        more = bytes(8) if magic == PCAP_MAGICS[2] else b""
        drawn.units.append(Unit(order, bytearray(record + more + frame)))
    return drawn


# -- damage ------------------------------------------------------------------------------------------------------------


def _put(unit: Unit, at: int, value: int, width: str = "I") -> None:
    if at >= 0 and at + struct.calcsize(width) <= len(unit.octets):
        struct.pack_into(unit.order + width, unit.octets, at, value % (1 << 8 * struct.calcsize(width)))


def _length(random: Random, true: int) -> int:
    near = (true - 4, true - 1, true + 1, true + 4, true + 8, true * 2)
    return random.choice((0, 4, 11, 12, 16, 28, 4096, 16 << 20, (16 << 20) + 4, 2**31 - 1, 2**32 - 1, *near))


def damage_length(random: Random, drawn: Drawn) -> None:
    """A length says something else: of a block (before, after or both), of a frame, of an option."""
    unit = random.choice(drawn.units)
    size = len(unit.octets)
    if not drawn.pcapng:
        _put(unit, random.choice((8, 12, 16)), _length(random, size - 16))
        return
    which = random.choice(("before", "after", "both", "frame", "option"))
    value = _length(random, size)
    if which in ("before", "both"):
        _put(unit, 4, value)
    if which in ("after", "both"):
        _put(unit, size - 4, value)
    if which == "frame":
        _put(unit, random.choice((8, 20, 24)), _length(random, size - 32))
    elif which == "option":
        _put(unit, random.randrange(8, size, 4) + 2, random.choice((0, 1, 8, size, 65_535)), "H")


def damage_kind(random: Random, drawn: Drawn) -> None:
    """A block of one type says that it is of another; in pcap the magic number or version changes."""
    unit = random.choice(drawn.units)
    if drawn.pcapng:
        kinds = (SECTION, INTERFACE, OBSOLETE, SIMPLE, NAMES, STATISTICS, ENHANCED, 0x0BAD, 0x0600_0000)
        _put(unit, 0, random.choice(kinds))
    elif random.random() < 0.5:
        _put(drawn.units[0], 0, random.choice((*PCAP_MAGICS, SECTION, 0)))
    else:
        _put(drawn.units[0], 4, random.choice((0, 1, 3)), "H")


def damage_interface(random: Random, drawn: Drawn) -> None:
    """A frame or statistics of an interface that may not be there, or another link type or snap length."""
    unit = random.choice(drawn.units)
    if random.random() < 0.7:
        _put(unit, 8, random.choice((0, 1, 2, 3, 65_535, 2**31, 2**32 - 1)))
    else:
        _put(unit, 12 if drawn.pcapng else 16, random.choice((0, 1, 10, 2**32 - 1)))


def damage_clock(random: Random, drawn: Drawn) -> None:
    """Another resolution, offset or time stamp."""
    unit = random.choice(drawn.units)
    at = unit.octets.find(struct.pack(unit.order + "HH", 9, 1), 16)
    if at >= 0:
        unit.octets[at + 4 : at + 5] = bytes([random.randrange(256)])
    else:
        _put(unit, random.choice((0, 4) if not drawn.pcapng else (12, 16)), random.choice((0, 2**31, 2**32 - 1)))


def damage_order(random: Random, drawn: Drawn) -> None:
    """A unit's words turned round, or a section that claims the other byte order."""
    unit = random.choice(drawn.units)
    at = random.randrange(0, max(1, len(unit.octets) - 3), 4)
    if drawn.pcapng and random.random() < 0.5:
        at = 8
    unit.octets[at : at + 4] = unit.octets[at : at + 4][::-1]


def damage_units(random: Random, drawn: Drawn) -> None:
    """Whole units lost, repeated or moved."""
    units = drawn.units
    at = random.randrange(len(units))
    kind = random.choice(("lose", "repeat", "move"))
    if kind == "lose" and len(units) > 1:
        del units[at]
    elif kind == "repeat":
        units.insert(random.randint(0, len(units)), Unit(units[at].order, bytearray(units[at].octets)))
    else:
        units.insert(random.randrange(len(units)), units.pop(at))


UNIT_DAMAGE: tuple[Callable[[Random, Drawn], None], ...] = (
    damage_length,
    damage_length,
    damage_kind,
    damage_interface,
    damage_clock,
    damage_order,
    damage_units,
)


def damage_octets(random: Random, octets: bytes) -> bytes:
    """Bits turned, ranges lost and repeated, noise, the end cut off."""
    out = bytearray(octets)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(out) + 1)
        count = random.choice((1, 2, 4, 32, 500))
        kind = random.choice(("bit", "bit", "bit", "lose", "repeat", "noise", "cut"))
        if kind == "bit" and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif kind == "lose":
            del out[at : at + count]
        elif kind == "repeat":
            out[at:at] = out[at : at + count]
        elif kind == "noise":
            out[at : at + random.choice((0, count))] = random.randbytes(count)
        elif kind == "cut":
            del out[at:]
    return bytes(out)


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """Everything that came out of a capture, columns as digests so that nothing is held."""

    frames: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    annotations: list[tuple[int, int, bytes]] = field(default_factory=list)
    error: tuple[type, str, int] | None = None
    port: dict[str, Any] = field(default_factory=dict)
    payloads: dict[str, tuple[dict[str, str], dict[str, int]]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)


class Digests:
    """A running digest of each column of bursts, the same however the frames are divided into bursts."""

    def __init__(self) -> None:
        names = ("octets", "lengths", "timestamps_ns", "original_lengths", "link_types", "interfaces")
        self._columns = {name: hashlib.sha256() for name in names}

    def add(self, burst: Burst) -> None:
        first, last = int(burst.offsets[0]), int(burst.offsets[-1])
        for name, digest in self._columns.items():
            octets = burst.buffer[first:last] if name == "octets" else np.ascontiguousarray(getattr(burst, name)).data
            digest.update(octets)

    def told(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._columns.items()}


def read(octets: bytes, piece: int, maximum: int, max_frames: int, protocols: tuple[str, ...]) -> Reading:
    """Read a capture to its end or its error, and take the payloads out of its frames."""
    reading, digests = Reading(), Digests()
    extractors = {each: (PayloadExtractor(each), Digests()) for each in protocols}
    try:
        port = PcapReader(octets, piece_octets=piece, maximum_block_octets=maximum)
    except CaptureError as error:
        reading.error = (type(error), error.message, error.octet_offset)
        return reading
    with port:
        try:
            for burst in port.bursts(max_frames):
                assert 0 < len(burst) <= max_frames
                shifted = [(index + reading.frames, code, value) for index, code, value in burst.annotations]
                reading.annotations += shifted
                reading.frames += len(burst)
                reading.lengths += burst.lengths.tolist()
                digests.add(burst)
                for extractor, payloads in extractors.values():
                    payloads.add(extractor.feed(burst))
        except CaptureError as error:
            reading.error = (type(error), error.message, error.octet_offset)
            _assert_stays(port, error)
        assert (reading.error is not None) != port.exhausted
        assert port.counters.received_frames == reading.frames
        assert port.counters.received_octets == sum(reading.lengths)
        described = ("format", "sections", "interfaces", "names", "truncated", "truncated_octets", "account")
        reading.port = {name: getattr(port, name) for name in (*described, "position")}
    reading.columns = digests.told()
    for name, (extractor, payloads) in extractors.items():
        payloads.add(extractor.finish())
        reading.payloads[name] = payloads.told(), extractor.counters
        _assert_accounted(name, extractor.counters, reading.frames)
    return reading


def _assert_stays(port: PcapReader, error: CaptureError) -> None:
    """A capture that cannot be read on says so again, and the same."""
    try:
        port.receive()
    except CaptureError as again:
        assert (type(again), again.message) == (type(error), error.message)
    else:
        raise AssertionError("the second receive after an error raised nothing")


def _assert_accounted(protocol: str, counters: dict[str, int], frames: int) -> None:
    assert counters["frames"] == frames
    if protocol != "tcp":
        skipped = ("other_protocol", "other_port", "other_link_type", "cut_by_snap_length", "malformed", "empty")
        waiting = counters["fragments"] - counters["datagrams_reassembled"]
        assert frames == counters["payloads"] + sum(counters[name] for name in skipped) + waiting


def memory(reset: bool) -> int:
    """Octets of memory: now, where the peak is to be counted anew, else the peak since; 0 where nobody counts them."""
    status, peak = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and peak.exists()):
        return 0
    if reset:
        peak.write_text("5")
    name = "VmRSS:" if reset else "VmHWM:"
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10


# -- one input ---------------------------------------------------------------------------------------------------------


def draw_input(random: Random) -> tuple[str, bytes, Drawn, int | None]:
    """Its kind, its octets, the capture it was made of, and the octets of the capture within, where that is known."""
    drawn = draw_pcapng(random) if random.random() < 0.7 else draw_pcap(random)
    kind = random.choice(("whole", "cut") + ("units",) * 6 + ("octets",) * 4 + ("both", "noise"))
    if kind in ("units", "both"):
        for _ in range(random.choice((1, 1, 2, 6))):
            random.choice(UNIT_DAMAGE)(random, drawn)
    octets = drawn.joined()
    if kind == "cut":
        octets = octets[: random.randrange(len(octets))]
    elif kind in ("octets", "both"):
        octets = damage_octets(random, octets)
    elif kind == "noise":
        octets = octets[: random.choice((4, 8, 24, 28))] + random.randbytes(random.randrange(200))
    if random.random() < 0.75:
        return kind, octets, drawn, len(octets)
    packed = gzip.compress(octets, random.choice((1, 9)), mtime=0)
    if random.random() < 0.5:
        return kind, packed, drawn, len(octets)
    return "gzip", damage_octets(random, packed), drawn, None


def run_large(random: Random) -> tuple[str, int]:
    """A small gzip file that says much: its memory must not follow what it claims."""
    drawn = draw_pcapng(random) if random.random() < 0.7 else draw_pcap(random)
    again = drawn.joined() if drawn.pcapng else b"".join(unit.octets for unit in drawn.units[1:])
    again *= max(1, (2 << 20) // max(1, len(again)))
    first = b"" if drawn.pcapng else gzip.compress(bytes(drawn.units[0].octets), mtime=0)
    octets = first + gzip.compress(again, 1, mtime=0) * 50
    before = memory(reset=True)
    frames = 0
    with PcapReader(octets) as port:
        extractor = PayloadExtractor(random.choice(PROTOCOLS))
        try:
            for burst in port.bursts():
                frames += len(burst)
                extractor.feed(burst)
        except CaptureError as error:
            assert "too many sections and interfaces" in error.message, error
        assert memory(reset=False) - before < MEMORY_OCTETS_LARGE
        assert port.counters.received_frames == extractor.counters["frames"] == frames
        position = port.position
    return "large", position


def run_one(number: int) -> tuple[str, int]:
    """Draw the input of this number and check it.  Returns its kind and its octets; raises what is wrong."""
    random = Random(number)
    if number % 500 == 499:
        return run_large(random)
    kind, octets, drawn, within = draw_input(random)
    maximum = random.choice((16 << 20, 16 << 20, 4096, 200)) if kind not in ("whole", "cut") else 16 << 20
    before = memory(reset=True)
    whole = read(octets, 1 << 20, maximum, 65_536, PROTOCOLS)
    pieces = read(octets, random.choice((2, 7, 61, 700)), maximum, random.choice((1, 3, 65_536)), PROTOCOLS)
    assert memory(reset=False) - before < MEMORY_OCTETS
    assert pieces == whole
    if kind == "whole":
        assert whole.error is None
        assert whole.columns["octets"] == hashlib.sha256(b"".join(drawn.frames)).hexdigest()
    if kind in ("whole", "cut"):
        assert whole.lengths == [len(frame) for frame in drawn.frames[: whole.frames]]
        assert kind == "cut" or whole.frames == len(drawn.frames)
    if within is not None and whole.port:
        ended = whole.port["position"] + whole.port["truncated_octets"]
        assert ended == within if whole.error is None else ended <= within
    return kind if whole.error is None or kind == "cut" else f"{kind}, refused", len(octets)


def inputs(seed: int, seconds: float) -> Iterator[int]:
    """Numbers of inputs until the time is over."""
    end = time.monotonic() + seconds
    for number in itertools.count(seed * 1_000_000_000):
        if time.monotonic() > end:
            return
        yield number


def main() -> None:
    """Fuzz for some time; say how much that was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one input")
    arguments = parser.parse_args()
    kinds: dict[str, int] = {}
    octets = 0
    for number in [arguments.only] if arguments.only is not None else inputs(arguments.seed, arguments.seconds):
        try:
            kind, size = run_one(number)
        except BaseException:
            print(f"input {number} breaks a rule", flush=True)
            raise
        kinds[kind] = kinds.get(kind, 0) + 1
        octets += size
    print(f"{sum(kinds.values()):,} inputs, {octets:,} octets: {dict(sorted(kinds.items()))}")


if __name__ == "__main__":
    main()
