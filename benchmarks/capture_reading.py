"""Reading captures from a warm cache: ours against dpkt, python-pcapng and scapy, the same file in the same run."""

from __future__ import annotations

import argparse
import itertools
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
slower, read the first 100 000 frames.  "payloads" also takes the UDP data out of the frames, which no peer does
here."""
Job = Callable[[Path], int]
PEER_FRAMES = 100_000


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
