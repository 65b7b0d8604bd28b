"""spacepackets' object face, measured in its own environment.  Usage: peers_object_face.py spacepackets HEX."""

from __future__ import annotations

import json
import sys
from typing import Any

import harness

CALLS = 20_000


def main(name: str, packet: str) -> dict[str, Any]:
    from spacepackets.ccsds.spacepacket import SpacePacket, SpacePacketHeader

    octets = bytes.fromhex(packet)
    header = SpacePacketHeader.unpack(octets)
    whole = SpacePacket(header, None, octets[6:])
    cases = {
        "unpack header": lambda: [SpacePacketHeader.unpack(octets) for _ in range(CALLS)],
        "pack header": lambda: [header.pack() for _ in range(CALLS)],
        "pack packet": lambda: [whole.pack() for _ in range(CALLS)],
    }
    return {case: harness.measure(call, CALLS / 1e6).rate for case, call in cases.items()}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
