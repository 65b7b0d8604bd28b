"""Peak resident memory of `ccsds replay` on recordings of two gigabytes."""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import harness
import link_streams as streams
import numpy as np

FILE_OCTETS = 2 * 10**9
PART_FRAMES = 16_384
LIMIT_MB = 200
TITLE = "Memory of a replay"
INCLUDED = f"""`benchmarks/memory.py`.  Peak resident memory (`ru_maxrss`, interpreter and libraries included) of
`ccsds replay FILE --mission FILE --json` on files of {FILE_OCTETS / 1e9:.0f} GB: CADUs back to back; the same, a CADU
per UDP datagram in a pcapng capture; noise in which hardly a marker is found.  The goal is under {LIMIT_MB} MB."""
MISSION = f"""
name = "benchmark"
[physical_channel]
frame_type = "AOS"
frame_octets = {streams.FRAME_OCTETS}
randomizer = "short"
reed_solomon = {{ error_correction = 16, interleaving_depth = {streams.DEPTH} }}
synchronization = {{}}
[[physical_channel.master_channels]]
spacecraft_id = {streams.SPACECRAFT}
"""
# A process of its own between us and what is measured: on Linux a child's peak begins at that of its parent.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
channels = json.loads(done.stdout)["virtual_channels"]
print(json.dumps({"peak": peak, "frames": sum(row["frames"] for row in channels)}))
"""


def repeated(path: Path, head: bytes, part: bytes) -> int:
    """Write the part again and again until the file has its size; how often."""
    times = FILE_OCTETS // len(part)
    with path.open("wb") as file:
        file.write(head)
        for _ in range(times):
            file.write(part)
    return times


def datagrams(cadus: bytes) -> tuple[bytes, bytes]:
    """Head and packet blocks of a pcapng capture, a CADU per UDP datagram."""
    head = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack(
        "<IIHHII", 1, 20, 1, 0, 0, 20
    )
    size = streams.CADU_OCTETS
    ethernet = bytes(12) + b"\x08\x00"
    internet = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 28 + size, 0, 0, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    )
    front = ethernet + internet + struct.pack(">HHHH", 5000, 5000, 8 + size, 0)
    octets = len(front) + size
    padding = -octets % 4
    total = 32 + octets + padding
    before = struct.pack("<IIIIIII", 6, total, 0, 0, 0, octets, octets) + front
    rows = np.frombuffer(cadus, np.uint8).reshape(-1, size)
    blocks = np.zeros((len(rows), total), np.uint8)
    blocks[:, : len(before)] = np.frombuffer(before, np.uint8)
    blocks[:, len(before) : len(before) + size] = rows
    blocks[:, -4:] = np.frombuffer(struct.pack("<I", total), np.uint8)
    return head, blocks.tobytes()


def files(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """Each file in turn, and the frames in it; one at a time stands on the disk."""
    cadus = streams.coded(streams.aos_frames(PART_FRAMES))
    noise = np.random.default_rng(3).bytes(len(cadus))
    for name, (head, part), frames in (
        ("CADUs back to back", (b"", cadus), PART_FRAMES),
        ("pcapng, a CADU per datagram", datagrams(cadus), PART_FRAMES),
        ("noise", (b"", noise), 0),
    ):
        path = folder / "recording"
        yield name, path, repeated(path, head, part) * frames
        path.unlink()


def replay(path: Path, mission: Path) -> dict[str, int]:
    """Peak memory in octets, and frames."""
    ccsds = str(Path(sys.executable).parent / "ccsds")
    command = [sys.executable, "-c", MEASURE, ccsds, "replay", str(path), "--mission", str(mission), "--json"]
    result: dict[str, int] = json.loads(harness.run(command, harness.RUN_SECONDS))
    return result


def build(_arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    with tempfile.TemporaryDirectory(dir=harness.cache()) as folder:
        mission = Path(folder) / "mission.toml"
        mission.write_text(MISSION)
        for name, path, frames in files(Path(folder)):
            result = replay(path, mission)
            if result["frames"] < frames:
                raise AssertionError(f"{name}: {result['frames']} of {frames} frames")
            peak = result["peak"] / 1e6
            note = f"{'under' if peak < LIMIT_MB else 'NOT under'} {LIMIT_MB} MB; {os.path.getsize(path) / 1e9:.2f} GB"
            report.rows.append(harness.Row(name, "MB", peak, note=note))
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
