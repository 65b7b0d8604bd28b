"""spacepackets on USLP frames, measured in its own environment.  Usage: peers_frames.py spacepackets HEX."""

from __future__ import annotations

import json
import sys

import harness

CALLS = 5_000


def main() -> None:
    from spacepackets.uslp import frame as uslp

    octets = bytes.fromhex(sys.argv[2])
    properties = uslp.VarFrameProperties(has_insert_zone=False, has_fecf=False, truncated_frame_len=len(octets))
    kind = uslp.FrameType.VARIABLE
    whole = uslp.TransferFrame.unpack(octets, kind, properties)
    if bytes(whole.pack(frame_type=kind)) != octets:
        raise AssertionError("spacepackets does not give the frame back")
    calls = {
        "decode": lambda: [uslp.TransferFrame.unpack(octets, kind, properties) for _ in range(CALLS)],
        "encode": lambda: [whole.pack(frame_type=kind) for _ in range(CALLS)],
    }
    rates = {
        f"USLP without error control, {name}": harness.measure(call, CALLS / 1e3).rate for name, call in calls.items()
    }
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
