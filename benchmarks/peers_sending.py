"""Peers of sending.py.  Usage: peers_sending.py (spacepackets TM_HEX USLP_HEX | cadu_generator FRAMES)."""

from __future__ import annotations

import json
import sys

import harness

CALLS = 2000
DEPTH, CODEWORD_OCTETS, FRAME_OCTETS = 5, 255, 1115
MARKER = bytes.fromhex("1acffc1d")


def spacepackets(tm: str, uslp: str) -> dict[str, float]:
    """Encode and decode of the same frames."""
    from spacepackets.ccsds.tm_frame import TmTransferFrame
    from spacepackets.uslp.frame import FrameType, TransferFrame, VarFrameProperties

    tm_octets, uslp_octets = bytes.fromhex(tm), bytes.fromhex(uslp)
    properties = VarFrameProperties(
        has_insert_zone=False, has_fecf=True, truncated_frame_len=len(uslp_octets), insert_zone_len=0
    )
    tm_frame = TmTransferFrame.unpack(tm_octets, len(tm_octets), False)
    uslp_frame = TransferFrame.unpack(uslp_octets, FrameType.VARIABLE, properties)
    uslp_frame.has_fecf = True  # its unpack forgets it
    if bytes(uslp_frame.pack()) != uslp_octets or bytes(tm_frame.pack()) != tm_octets:
        raise AssertionError("it makes other octets of the same frame")
    cases = {
        "TM encode": lambda: [tm_frame.pack() for _ in range(CALLS)],
        "TM decode": lambda: [TmTransferFrame.unpack(tm_octets, len(tm_octets), False) for _ in range(CALLS)],
        "USLP encode": lambda: [uslp_frame.pack() for _ in range(CALLS)],
        "USLP decode": lambda: [
            TransferFrame.unpack(uslp_octets, FrameType.VARIABLE, properties) for _ in range(CALLS)
        ],
    }
    return {case: harness.measure(call, CALLS / 1e3).rate for case, call in cases.items()}


def cadu_generator(frames: str) -> dict[str, float]:
    """MB/s of CADUs."""
    import numpy as np
    from cadu_generator.algorithms import rs_interleave_and_encode
    from cadu_generator.scrambling import ccsds_randomize_bytes_pn8_table as randomize

    count = int(frames)
    frame = bytes(range(223)) * DEPTH

    def code() -> list[bytes]:
        units = []
        for _ in range(count):
            block = rs_interleave_and_encode(frame, rows=DEPTH, n=255, k=223)
            units.append(MARKER + randomize(np.frombuffer(block, np.uint8)).tobytes())
        return units

    octets = sum(map(len, code()))
    if octets != count * (len(MARKER) + DEPTH * CODEWORD_OCTETS):
        raise AssertionError(f"{octets} octets of {count} frames")
    return {"cadus": harness.measure(code, octets / 1e6).rate}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
