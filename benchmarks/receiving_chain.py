"""CADUs to packets: the whole receiving chain on one core, against named peers."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness
import link_streams as streams

from ccsds.link.managed_parameters import PhysicalChannel
from ccsds.link.receiver import Receiver

UNIT = "MB/s"
TOTAL, PEER_TOTAL, OCTET_TOTAL = 64 << 20, 1 << 20, 1 << 18
PIECE = 1 << 20
PEER_PYTHON = "3.13"
DAMAGED = "AOS, 2 symbol errors per codeword in 10 % of frames"
TITLE = "CADUs to packets"
INCLUDED = f"""`benchmarks/receiving_chain.py`.  `Receiver.feed` in pieces of {PIECE >> 20} MiB (of another size where
the case says so), each batch dropped when the next one is there.  Included: the Python calls, marker search,
derandomiser, Reed-Solomon check or correction, frame headers, accounts, extraction, all columns of frames and packets,
and a copy of every frame and every packet.  MB/s (10^6) are of the octets as they come, markers and check symbols
included.

- {TOTAL >> 20} MiB of CADUs from memory (more than any cache): AOS frames of {streams.FRAME_OCTETS} octets full of
  space packets of 64 to 1024 octets, Reed-Solomon E=16 I=5, short randomizer, markers; TM: the same frames with a frame
  error control field and no code.  "digest": SHA-256 of all packets too.
- Peers get the first {PEER_TOTAL >> 20} MiB, because they are bound by computing.  cadu_generator: `CaduDecoder`, to
  packets; told of one virtual channel, because it tries to decode each frame for every one it knows.  Its Reed-Solomon
  code is not that of the standard (it takes 11 for the root alpha^11), so it gets the same frames and the same damage
  in a coding of its own.  libfec (built by hand; Debian's package `libfec-dev`): `decode_rs_ccsds` alone, on codewords
  that are derandomised and cut beforehand: an upper bound of what a chain around it can do.
- Each note: Gbit/s, thousands of frames and of packets per second, MB/s by the other clock (wall or processor)."""


@dataclass
class Case:
    """A stream, how to receive it, and the octets it is handed over in."""

    name: str
    octets: bytes
    channel: PhysicalChannel
    piece: int = PIECE
    digest: bool = False
    clean: bytes | None = None  # before any damage, where there is some

    def receive(self) -> Receiver:
        """The whole stream through a new receiver; batches are dropped."""
        receiver = Receiver(self.channel, digest=self.digest)
        for piece in self.pieces:
            receiver.feed(piece)
        receiver.finish()
        return receiver

    def cut(self) -> None:
        """Make the pieces beforehand: cutting is not what is measured."""
        self.pieces = [self.octets[at : at + self.piece] for at in range(0, len(self.octets), self.piece)]


def cases() -> list[Case]:
    count = TOTAL // streams.CADU_OCTETS
    frames = streams.aos_frames(count)
    clean = streams.coded(frames)
    aos, tm = streams.aos_channel(), streams.tm_channel()
    damaged = streams.coded(frames, damaged_share=0.1, symbol_errors=2)
    uncoded = streams.with_markers(streams.tm_frames(TOTAL // streams.TM_CADU_OCTETS))
    return [
        Case("AOS", clean, aos),
        Case(DAMAGED, damaged, aos, clean=clean),
        Case("AOS, at a bit offset of 3", streams.shifted(clean, 3), aos),
        Case("AOS, digest", clean, aos, digest=True),
        Case("AOS, pieces of 64 KiB", clean, aos, piece=1 << 16),
        Case("AOS, pieces of 1 KiB", clean[: TOTAL // 16], aos, piece=1 << 10),
        Case("AOS, pieces of 1 octet", clean[:OCTET_TOTAL], aos, piece=1),
        Case("TM without a code", uncoded, tm),
    ]


def lossless(case: Case) -> tuple[int, int]:
    """Frames and packets of the case; all of them have to come through."""
    account = case.receive().account
    frames = sum(row["frames"] for row in account.virtual_channels)
    lost = sum(row["lost_frames"] + row["pointer_mismatches"] for row in account.virtual_channels)
    marker = len(streams.MARKER)
    sent = len(case.octets) // (marker + (streams.BLOCK_OCTETS if case.channel.reed_solomon else streams.FRAME_OCTETS))
    if lost or frames != sent:
        raise AssertionError(f"{case.name}: {frames} of {sent} frames, {lost} losses")
    return frames, sum(row["packets"] for row in account.virtual_channels)


def other_clock(call: Callable[[], object], amount: float) -> str:
    """The rate by the clock that the table does not use."""
    wall = os.environ.pop(harness.WALL, None)
    if wall is None:
        os.environ[harness.WALL] = "1"
    rate = harness.measure(call, amount, seconds=1).rate
    os.environ.pop(harness.WALL, None)
    if wall is not None:
        os.environ[harness.WALL] = wall
    return f"{'processor' if wall else 'wall'} {harness.figure(rate)} MB/s"


def ours(case: Case) -> harness.Row:
    case.cut()
    frames, packets = lossless(case)
    measured = harness.measure(case.receive, len(case.octets) / 1e6, seconds=2, least=5)
    per_second = [harness.figure(count / measured.median / 1e3) for count in (frames, packets)]
    note = f"{harness.figure(measured.rate * 8 / 1e3)} Gbit/s, {per_second[0]} kframes/s, {per_second[1]} kpackets/s, "
    return harness.Row(case.name, UNIT, measured.rate, note=note + other_clock(case.receive, len(case.octets) / 1e6))


def peers(case: Case, row: harness.Row) -> list[harness.Row]:
    """The row of the case, with each peer's figure."""
    cadu = len(streams.MARKER) + (streams.BLOCK_OCTETS if case.channel.reed_solomon else streams.FRAME_OCTETS)
    path = harness.cache() / "cadus.bin"
    taken = PEER_TOTAL // cadu * cadu
    path.write_bytes(case.octets[:taken])
    path.with_suffix(".clean").write_bytes((case.clean or case.octets)[:taken])
    script = Path(__file__).with_name("peers_receiving_chain.py")
    found = []
    for peer in ("cadu_generator", "libfec"):
        rate, note = None, row.note if not found else ""
        try:
            result = measured(peer, script, path, case)
            if result is None:
                continue
            rate = result["octets"] / result["median"] / 1e6
        except harness.PeerError as error:
            note = f"{note}; not measured: {error}"
        found.append(harness.Row(row.case, UNIT, row.ours, peer, rate, note))
    path.unlink()
    path.with_suffix(".clean").unlink()
    return found or [row]


def measured(peer: str, script: Path, path: Path, case: Case) -> dict[str, float] | None:
    """What a peer's script says; None where the case is not for it."""
    if peer == "cadu_generator":
        return harness.run_peer(script, peer, str(path), case.channel.frame_type, python=PEER_PYTHON)
    library = harness.hand_built(peer)
    if library is None or case.channel.reed_solomon is None:
        return None
    out = harness.run([harness.sys.executable, str(script), peer, str(path), str(library)], harness.RUN_SECONDS)
    result: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return result


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    with_peers = ("AOS", DAMAGED, "TM without a code")
    for case in cases():
        row = ours(case)
        report.rows += peers(case, row) if case.name in with_peers and not arguments.no_peers else [row]
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
