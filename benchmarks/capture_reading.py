"""Reading captures from a warm cache: ours against dpkt, python-pcapng and scapy, the same file in the same run.

pcapng also against a walk in C (c/walk_pcapng.c), which is built here and needs cc.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import dpkt
import harness
import pcapng
import pcapng.blocks
from scapy.utils import RawPcapNgReader, RawPcapReader

from netmap_io import Burst, PayloadExtractor, udp_frames
from netmap_io.drivers.pcap import PcapReader, PcapWriter

MEGAOCTETS = 400
TITLE = "Reading captures"
INCLUDED = f"""`benchmarks/capture_reading.py`.  Files of {MEGAOCTETS} MB in the page cache, opening and reading
included.  Each reader walks all frames and hands each over with its time (ours: bursts of columns); the peers, being
slower, read the first 100 000 frames.  "C walk" is a loop of our own in C over all blocks of the same file, already
mapped when its clock starts: lengths checked, lengths and times summed, nothing handed over; "copy" also copies each
frame into a ring of 4 MB.  "payloads" also takes the UDP data out of the frames, which no peer does here."""
Job = Callable[[Path], int]
PEER_FRAMES = 100_000
PEER_SECONDS = 1.0
IN_C = {"C walk": (), "C walk, copy": ("copy",)}


def ours(path: Path) -> int:
    with PcapReader(path) as port:
        return sum(len(burst) for burst in port.bursts())


def ours_with_payloads(path: Path) -> int:
    extractor = PayloadExtractor("udp", 5000)
    with PcapReader(path) as port:
        return sum(len(extractor.feed(burst)) for burst in port.bursts())


def _count(packets: Iterable[object]) -> int:
    return sum(1 for _ in itertools.islice(packets, PEER_FRAMES))


def by_dpkt(path: Path) -> int:
    with open(path, "rb") as file:
        reader = dpkt.pcapng.Reader(file) if path.suffix == ".pcapng" else dpkt.pcap.Reader(file)
        return _count(reader)


def by_python_pcapng(path: Path) -> int:
    with open(path, "rb") as file:
        packets = (each for each in pcapng.FileScanner(file) if isinstance(each, pcapng.blocks.EnhancedPacket))
        return _count((each.timestamp, each.packet_data) for each in packets)


def by_scapy(path: Path) -> int:
    reader = RawPcapNgReader(str(path)) if path.suffix == ".pcapng" else RawPcapReader(str(path))
    with reader:
        return _count(reader)


def build_walk() -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise harness.PeerError("needs cc")
    program = harness.cache() / "walk_pcapng"
    source = Path(__file__).resolve().parent / "c" / "walk_pcapng.c"
    harness.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)], 60)
    return program


def in_c(path: Path, total: int, options: tuple[str, ...]) -> float:
    """Million frames per second of the walk in C."""
    told = harness.run([str(build_walk()), str(path), str(PEER_SECONDS), *options], 60)
    frames, processor, wall = map(float, told.split())
    assert frames == total
    return frames / (wall if os.environ.get(harness.WALL) else processor) / 1e6


def write(path: Path, frame_octets: int, megaoctets: int) -> int:
    payloads = Burst.of([bytes(frame_octets - 42)] * 10_000, range(10_000))
    burst = udp_frames(payloads)
    rounds = max(1, megaoctets * 1_000_000 // ((frame_octets + 32) * 10_000))
    with PcapWriter(path, format=path.suffix[1:]) as port:
        for _ in range(rounds):
            port.send(burst)
    return rounds * 10_000


def rows(report: harness.Report, path: Path, frame_octets: int, total: int, peers: bool) -> None:
    case = f"{path.suffix[1:]}, {frame_octets} octets"
    megaoctets = path.stat().st_size / 1e6
    assert ours(path) == ours_with_payloads(path) == total
    rate = harness.measure(lambda: ours(path), total / 1e6).rate
    note = f"{rate * megaoctets * 1e6 / total / 1e3:.1f} GB/s"
    theirs: dict[str, Job] = {"dpkt": by_dpkt, "scapy, raw reader": by_scapy}
    if path.suffix == ".pcapng":
        theirs["python-pcapng"] = by_python_pcapng
    for name, job in theirs.items() if peers else ():
        count = job(path)
        assert count == min(total, PEER_FRAMES)
        peer = harness.measure(lambda job=job: job(path), count / 1e6, least=2).rate  # type: ignore[misc]
        report.rows.append(harness.Row(case, "million frames/s", rate, name, peer, note))
    for name, options in IN_C.items() if peers and path.suffix == ".pcapng" else ():
        try:
            peer = in_c(path, total, options)
        except harness.PeerError as error:
            report.rows.append(harness.Row(case, "million frames/s", rate, name, None, str(error)))
            continue
        there = f"{peer * megaoctets * 1e6 / total / 1e3:.1f} GB/s there"
        report.rows.append(harness.Row(case, "million frames/s", rate, name, peer, f"{note}, {there}"))
    rate = harness.measure(lambda: ours_with_payloads(path), total / 1e6).rate
    report.rows.append(harness.Row(f"{case}, payloads", "million frames/s", rate))


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    with tempfile.TemporaryDirectory(dir=harness.cache()) as folder:
        for suffix, frame_octets in itertools.product(("pcapng", "pcap"), (60, 1514)):
            path = Path(folder) / f"frames.{suffix}"
            total = write(path, frame_octets, MEGAOCTETS)
            rows(report, path, frame_octets, total, not arguments.no_peers)
            path.unlink()
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
