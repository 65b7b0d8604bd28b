"""Space packets back to back to packet offsets and the seven header columns, one core, against named peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import harness
import numpy as np

from ccsds.link.packet_batch import packet_batches, space_packets
from ccsds.packets.space_packet import PRIMARY_HEADER

PEERS = ("spacepackets", "ccsdspy", "space-packet-parser", "fast-ccsds-parser", "ccsds")
UNIT = "million packets/s"
CACHED, MEMORY, CHUNK = 1 << 20, 256 << 20, 1 << 20
PEER_MEMORY = 16 << 20
SIZES = {"71 octets": (71, 71), "64 to 1024 octets": (64, 1024)}
TITLE = "Space packets to offsets and header columns"
OUTPUT = MEMORY // 71 * 18 >> 20
INCLUDED = f"""`benchmarks/space_packets.py`.  Ours: `space_packets(bytes)`.  Included: the Python call, packet offsets
(uint64), all seven header columns (uint8, uint16) and their memory.

- "in cache": one buffer of {CACHED >> 20} MiB, read again and again.  The output memory is that of the batch before, as
  in any loop that drops its batches; "kept": all batches are kept, so that the memory is fresh each time.
- "from memory": {MEMORY >> 20} MiB, whose output ({OUTPUT} MiB at 71 octets) is fresh memory in each call.
- "from a file": the same octets by `packet_batches` in chunks of {CHUNK >> 20} MiB from a file in the page cache,
  reading included.
- Peers get their fastest documented bulk interface (`peers_space_packets.py`), in an environment of their own, and for
  "from memory" only the first {PEER_MEMORY >> 20} MiB, because they are bound by computing."""


def packet_file(octets: int, smallest: int, largest: int) -> bytes:
    """Packets of twenty application processes with counts of their own, data of noise; sizes are uniform."""
    random = np.random.default_rng(20)
    noise = random.bytes(1 << 16)
    pieces, made, counts = [], 0, [0] * 20
    while made < octets:
        process = int(random.integers(20))
        size = int(random.integers(smallest, largest + 1))
        at = int(random.integers(len(noise) - size))
        header = PRIMARY_HEADER.pack_values(0, 0, 1, 100 + process, 3, counts[process] % 16384, size - 7)
        pieces.append(header + noise[at : at + size - 6])
        counts[process] += 1
        made += size
    return b"".join(pieces)


def large(octets: int, smallest: int, largest: int) -> bytes:
    """The same, repeated: making 256 MiB packet by packet takes longer than measuring it."""
    part = packet_file(min(octets, 16 << 20), smallest, largest)
    return part * (octets // len(part) or 1)


def from_file(path: Path) -> int:
    with path.open("rb", buffering=0) as file:
        return sum(len(batch) for batch in packet_batches(file, chunk_octets=CHUNK))


def kept(octets: bytes) -> Callable[[], int]:
    batches = []

    def call() -> int:
        batches.append(space_packets(octets))
        return len(batches)

    return call


def ours(name: str, sizes: tuple[int, int]) -> list[harness.Row]:
    small, big = packet_file(CACHED, *sizes), large(MEMORY, *sizes)
    in_small, in_big = len(space_packets(small)), len(space_packets(big))
    path = harness.cache() / "packets.bin"
    path.write_bytes(big)
    cases = [
        (f"{name}, in cache", in_small, lambda: space_packets(small)),
        (f"{name}, in cache, kept", in_small, kept(small)),
        (f"{name}, from memory", in_big, lambda: space_packets(big)),
        (f"{name}, from a file", in_big, lambda: from_file(path)),
    ]
    rows = [
        harness.Row(case, UNIT, harness.measure(call, packets / 1e6, seconds=2, least=7).rate)
        for case, packets, call in cases
    ]
    path.unlink()
    return rows


def peers(name: str, sizes: tuple[int, int], rows: list[harness.Row]) -> list[harness.Row]:
    script = Path(__file__).with_name("peers_space_packets.py")
    found = []
    for row, octets in ((rows[0], CACHED), (rows[2], PEER_MEMORY)):
        path = harness.cache() / f"packets-{sizes[0]}-{sizes[1]}-{octets >> 20}.bin"
        path.write_bytes(packet_file(octets, *sizes))
        for peer in PEERS:
            rate, note = None, ""
            try:
                fixed = sizes[0] if sizes[0] == sizes[1] else 0
                result = harness.run_peer(script, peer, str(path), str(fixed))
                rate = result["packets"] / result["median"] / 1e6
            except harness.PeerError as error:
                note = f"not measured: {error}"
            found.append(harness.Row(row.case, UNIT, row.ours, peer, rate, note))
    return found


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    for name, sizes in SIZES.items():
        rows = ours(name, sizes)
        if arguments.no_peers:
            report.rows += rows
        else:
            report.rows += [*peers(name, sizes, rows), rows[1], rows[3]]
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
