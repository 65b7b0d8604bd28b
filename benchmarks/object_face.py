"""The object face: one packet at a time, against spacepackets."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness

from ccsds.packets.space_packet import PRIMARY_HEADER, SpacePacket

UNIT = "million/s"
CALLS = 20_000
TITLE = "Object face of the space packet"
INCLUDED = """`benchmarks/object_face.py`.  One packet of 71 octets, again and again, in a list comprehension.
spacepackets has no decoder of a whole packet: its header unpack is set against our decode of the whole packet,
which also copies the packet data field and checks the length."""

PACKET = SpacePacket(application_process_id=42, packet_data_field=bytes(range(65)), packet_sequence_count=77)
OCTETS = PACKET.encode()
HEADER = PRIMARY_HEADER.values(OCTETS)

# Ours, and the peer's call that does the same or less.
CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "decode packet": (lambda: [SpacePacket.decode(OCTETS) for _ in range(CALLS)], "unpack header"),
    "decode_from packet": (lambda: [SpacePacket.decode_from(OCTETS) for _ in range(CALLS)], "unpack header"),
    "header to tuple": (lambda: [PRIMARY_HEADER.values(OCTETS) for _ in range(CALLS)], "unpack header"),
    "header to dict": (lambda: [PRIMARY_HEADER.unpack(OCTETS) for _ in range(CALLS)], "unpack header"),
    "pack header": (lambda: [PRIMARY_HEADER.pack_values(*HEADER) for _ in range(CALLS)], "pack header"),
    "encode packet": (lambda: [PACKET.encode() for _ in range(CALLS)], "pack packet"),
}


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    theirs: dict[str, float] = {}
    note = ""
    if not arguments.no_peers:
        try:
            script = Path(__file__).with_name("peers_object_face.py")
            theirs = harness.run_peer(script, "spacepackets", OCTETS.hex())
        except harness.PeerError as error:
            note = f"not measured: {error}"
    for case, (call, twin) in CASES.items():
        rate = harness.measure(call, CALLS / 1e6).rate
        report.rows.append(harness.Row(case, UNIT, rate, f"spacepackets: {twin}", theirs.get(twin), note))
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
