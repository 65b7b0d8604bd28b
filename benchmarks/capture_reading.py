"""Reading captures from a warm cache: ours against dpkt, python-pcapng and scapy, the same file in the same run.

    python benchmarks/capture_reading.py [--megaoctets 400]

Each reader walks all frames and hands each over with its time (ours: as columns).  Unit: frames and octets of file
per second of processor time (kernel included), best of several runs on one thread; the peers, being slower, read the
first part of the file.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import dpkt
import pcapng
import pcapng.blocks
from scapy.utils import RawPcapNgReader, RawPcapReader

from netmap_io import Burst, PayloadExtractor, udp_frames
from netmap_io.drivers.pcap import PcapReader, PcapWriter

PEER_FRAMES = 100_000


def ours(path: Path) -> int:
    with PcapReader(path) as port:
        return sum(len(burst) for burst in port.bursts())


def ours_with_payloads(path: Path) -> int:
    extractor = PayloadExtractor("udp", 5000)
    with PcapReader(path) as port:
        return sum(len(extractor.feed(burst)) for burst in port.bursts())


def plain_read(path: Path) -> int:
    with open(path, "rb", buffering=0) as file:
        piece = bytearray(1 << 20)
        while file.readinto(piece):
            pass
    return 0


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


def best(job: Callable[[Path], int], path: Path, runs: int) -> tuple[float, int]:
    times = []
    frames = 0
    for _ in range(runs):
        start = time.process_time()
        frames = job(path)
        times.append(time.process_time() - start)
    return min(times), frames


def write(path: Path, frame_octets: int, megaoctets: int) -> int:
    payloads = Burst.of([bytes(frame_octets - 42)] * 10_000, range(10_000))
    burst = udp_frames(payloads)
    rounds = max(1, megaoctets * 1_000_000 // ((frame_octets + 32) * 10_000))
    with PcapWriter(path, format=path.suffix[1:]) as port:
        for _ in range(rounds):
            port.send(burst)
    return rounds * 10_000


def report(path: Path, frame_octets: int, total: int) -> None:
    size = path.stat().st_size
    print(f"\n{path.suffix[1:]}, {frame_octets} octets a frame, {total} frames, {size / 1e6:.0f} MB")
    seconds, _ = best(plain_read, path, 5)
    print(f"  {'read() alone':24} {'':19} {size / seconds / 1e9:8.2f} GB/s")
    seconds, frames = best(ours, path, 7)
    assert frames == total
    rate = frames / seconds
    print(f"  {'netmap_io':24} {rate / 1e6:10.3f} Mframe/s {size / seconds / 1e9:8.2f} GB/s")
    seconds, frames = best(ours_with_payloads, path, 5)
    assert frames == total
    print(f"  {'netmap_io, UDP payloads':24} {frames / seconds / 1e6:10.3f} Mframe/s {size / seconds / 1e9:8.2f} GB/s")
    peers = {"dpkt": by_dpkt, "scapy (raw reader)": by_scapy}
    if path.suffix == ".pcapng":
        peers["python-pcapng"] = by_python_pcapng
    for name, job in peers.items():
        seconds, frames = best(job, path, 2)
        assert frames == min(total, PEER_FRAMES)
        peer = frames / seconds
        print(
            f"  {name:24} {peer / 1e6:10.3f} Mframe/s {peer * size / total / 1e9:8.3f} GB/s   ours {rate / peer:7.0f}x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megaoctets", type=int, default=400, help="size of each file")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        for suffix, frame_octets in itertools.product(("pcapng", "pcap"), (60, 1514)):
            path = Path(folder) / f"frames.{suffix}"
            report(path, frame_octets, write(path, frame_octets, arguments.megaoctets))


if __name__ == "__main__":
    main()
