"""The fastest bulk use that each peer documents, to packet headers.  Runs in the peer's own environment.

Usage: peers_space_packets.py PEER FILE PACKET_OCTETS (0: mixed).  Prints JSON: packets, median seconds.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness


def spacepackets(path: Path, fixed: int) -> Callable[[], int]:
    """No bulk interface: SpacePacketHeader.unpack in a loop (a header object per packet)."""
    from spacepackets.ccsds.spacepacket import SpacePacketHeader

    octets = path.read_bytes()

    def walk() -> int:
        at, headers = 0, []
        while at < len(octets):
            header = SpacePacketHeader.unpack(octets[at : at + 6])
            headers.append(header)
            at += header.packet_len
        return len(headers)

    return walk


def ccsdspy(path: Path, fixed: int) -> Callable[[], int]:
    """FixedLength.load with the primary header where all packets are alike, else utils.read_primary_headers."""
    import logging

    import ccsdspy as peer
    from ccsdspy.utils import read_primary_headers

    logging.disable(logging.INFO)
    octets = path.read_bytes()
    if not fixed:
        return lambda: len(read_primary_headers(io.BytesIO(octets))["CCSDS_APID"])
    layout = peer.FixedLength([peer.PacketArray(name="data", data_type="uint", bit_length=8, array_shape=fixed - 6)])
    return lambda: len(layout.load(io.BytesIO(octets), include_primary_header=True)["CCSDS_APID"])


def space_packet_parser(path: Path, fixed: int) -> Callable[[], int]:
    """ccsds_generator over the octets, header_values of each packet."""
    from space_packet_parser.generators import ccsds_generator

    octets = path.read_bytes()
    return lambda: len([packet.header_values for packet in ccsds_generator(octets)])


def fast_ccsds_parser(path: Path, fixed: int) -> Callable[[], int]:
    """scan_bytes without payload, then the seven columns, which it makes when they are asked for."""
    from fast_ccsds_parser import scan_bytes

    octets = path.read_bytes()
    columns = (
        "version", "type", "secondary_header_flag", "apid", "sequence_flags", "sequence_count", "packet_length",
    )  # fmt: skip

    def scan() -> int:
        table = scan_bytes(octets, payload=False)
        return min(len(getattr(table, name)) for name in columns)

    return scan


def ccsds(path: Path, fixed: int) -> Callable[[], int]:
    """decode_packets on a file (it takes nothing else; the file is in the page cache), the header of each packet."""
    from ccsds import decode_packets

    def decode() -> int:
        headers = [
            (h.version, h.type_flag, h.has_secondary_header, h.apid, h.sequence_flags, h.sequence_id, h.len_minus1)
            for h in (packet.header for packet in decode_packets(str(path)))
        ]
        return len(headers)

    return decode


PEERS: dict[str, Callable[[Path, int], Callable[[], int]]] = {
    "spacepackets": spacepackets,
    "ccsdspy": ccsdspy,
    "space-packet-parser": space_packet_parser,
    "fast-ccsds-parser": fast_ccsds_parser,
    "ccsds": ccsds,
}


def main(name: str, file: str, fixed: str) -> dict[str, Any]:
    call = PEERS[name](Path(file), int(fixed))
    packets = call()
    measurement = harness.measure(call, packets)
    return {"packets": packets, "median": measurement.median, "runs": measurement.runs}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
