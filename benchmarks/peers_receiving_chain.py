"""The receiving chains of peers, each in its own environment.

Usage: peers_receiving_chain.py PEER FILE_OF_CADUS FRAME_TYPE_OR_LIBRARY.  Beside it, with the ending .clean, the
same CADUs before any damage.  Prints JSON: octets, packets, median seconds.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness

MARKER_OCTETS, DEPTH, CODEWORD_OCTETS = 4, 5, 255


def configuration(frame_type: str) -> str:
    """What cadu_generator wants to know of the stream, in JSON, which is YAML."""
    channel = {"vcid": 5, "frame_size": 1115, "version": 1, "include_fecf": False}
    if frame_type == "TM":
        channel = {"vcid": 5, "frame_size": 1115, "include_fecf": True}
    coded = frame_type == "AOS"
    coding = {"use_randomizer": coded, "rs_enabled": coded, "rs_n": 255, "rs_k": 223, "rs_interleaving": DEPTH}
    spacecraft = {
        "scid": 42,
        "payload_generators": [],
        "physical_links": [{"id": "link", "cadu": coding}],
        "master_channels": [{"mode": frame_type, "physical_link_id": "link", "virtual_channels": [channel]}],
    }
    return json.dumps({"simulation": {"threads": 1}, "spacecrafts": [spacecraft]})


def recoded(octets: bytes, clean: bytes) -> bytes:
    """The same frames with the same damage, coded by cadu_generator.

    Its Reed-Solomon code is another one than that of CCSDS 131.0-B (it takes 11 for the root alpha^11, which is 173),
    so that it can decode neither our codeblocks nor anybody's, only its own.
    """
    import numpy as np
    from cadu_generator.algorithms import rs_interleave_and_encode
    from cadu_generator.scrambling import ccsds_randomize_bytes_pn8_table as randomize

    block = DEPTH * CODEWORD_OCTETS
    rows = np.frombuffer(clean, np.uint8).reshape(-1, MARKER_OCTETS + block)
    damage = rows ^ np.frombuffer(octets, np.uint8).reshape(rows.shape)
    made = rows.copy()
    for row in made:
        frame = randomize(row[MARKER_OCTETS:])[: 223 * DEPTH].tobytes()
        coded = rs_interleave_and_encode(frame, rows=DEPTH, n=255, k=223)
        row[MARKER_OCTETS:] = randomize(np.frombuffer(coded, np.uint8))
    return (made ^ damage).tobytes()


def cadu_generator(path: Path, frame_type: str) -> Callable[[], int]:
    """CaduDecoder over the whole input, as its command `cadudec` uses it; counts packets."""
    from cadu_generator.decoder import CaduDecoder, DecodedRecord, FailedCADU, LostCADU, load_decoder_config
    from cadu_generator.primitives import TMPacket

    octets = path.read_bytes()
    if frame_type == "AOS":
        octets = recoded(octets, path.with_suffix(".clean").read_bytes())
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(configuration(frame_type))
        file.flush()
        known = load_decoder_config(file.name)

    def decode() -> int:
        packets = 0
        for record in CaduDecoder(known).decode_records(octets):
            if isinstance(record, FailedCADU | LostCADU):
                raise AssertionError(f"it loses what was sent: {record}")
            packets += isinstance(record, DecodedRecord) and isinstance(record.value, TMPacket)
        return packets

    return decode


def libfec(path: Path, library: str) -> Callable[[], int]:
    """decode_rs_ccsds on all codewords, which are prepared outside of the measured call."""
    import numpy as np

    from ccsds.coding.randomizer import randomize

    decode_codeword = ctypes.CDLL(library).decode_rs_ccsds
    block = DEPTH * CODEWORD_OCTETS
    cadus = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, MARKER_OCTETS + block)[:, MARKER_OCTETS:]
    sent = np.frombuffer(randomize(cadus.tobytes(), "short", block), np.uint8)
    codewords = np.ascontiguousarray(sent.reshape(-1, CODEWORD_OCTETS, DEPTH).transpose(0, 2, 1))
    codewords = codewords.reshape(-1, CODEWORD_OCTETS)

    def decode() -> int:
        work = codewords.copy()  # it corrects in place
        start = work.ctypes.data
        for at in range(0, work.size, CODEWORD_OCTETS):
            if decode_codeword(ctypes.c_void_p(start + at), None, 0, 0) < 0:
                raise AssertionError("it does not decode what was sent")
        return 0

    return decode


def main() -> None:
    peer, path, argument = sys.argv[1:]
    call = {"cadu_generator": cadu_generator, "libfec": libfec}[peer](Path(path), argument)
    octets, packets = Path(path).stat().st_size, call()
    measured = harness.measure(call, octets, seconds=3)
    print(json.dumps({"octets": octets, "packets": packets, "median": measured.median}))


if __name__ == "__main__":
    main()
