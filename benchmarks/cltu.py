"""CLTUs made and received, next to the same steps in numpy in the same run."""

from __future__ import annotations

import argparse
import random
from functools import partial

import harness
import numpy as np
from numpy.typing import NDArray

from ccsds.coding import bch
from ccsds.coding.cltu import CltuEncoder, Code
from ccsds.coding.cltu_decoder import CltuDecoder
from ccsds.coding.randomizer import sequence_octets

FRAME_OCTETS = 1024
FRAMES = 500
SECONDS = 0.3
START = np.frombuffer(bytes.fromhex("eb90"), np.uint8)
TAIL = np.frombuffer(bytes.fromhex("c5c5c5c5c5c5c579"), np.uint8)
TITLE = "CLTUs of telecommand"
INCLUDED = f"""`benchmarks/cltu.py`.  MB/s (10^6) of CLTU or of codeblocks, the Python call and its result included;
{FRAMES} frames of {FRAME_OCTETS} octets, randomized.  On PyPI, ait-dsn 2.0.0 encodes codeblocks, but wants a gevent
that no longer builds; nothing was found that receives CLTUs.  The peer is numpy: the parity of all codeblocks at once
from a table per octet, on whole arrays.  It is told where each CLTU begins; ours looks for it at every bit offset."""

Octets = NDArray[np.uint8]


def parity_tables() -> Octets:
    """Parity octets of single octets at each of seven places, without the complement."""
    table = np.zeros((7, 256), np.uint8)
    power = 0x45
    for place in range(6, -1, -1):
        for bit in range(8):
            table[place, (np.arange(256) >> bit & 1) == 1] ^= power << 1
            power = (power << 1 ^ 0xC5) & 0x7F if power & 0x40 else power << 1
    return table


TABLES = parity_tables()


def parity(information: Octets) -> Octets:
    """One octet for each row of seven."""
    result = TABLES[0][information[:, 0]]
    for place in range(1, 7):
        result = result ^ TABLES[place][information[:, place]]
    return result ^ 0xFE


def encode_blocks(information: bytes) -> bytes:
    rows = np.frombuffer(information, np.uint8).reshape(-1, 7)
    return np.column_stack([rows, parity(rows)]).tobytes()


def check_blocks(codeblocks: bytes) -> tuple[bytes, NDArray[np.bool_]]:
    rows = np.frombuffer(codeblocks, np.uint8).reshape(-1, 8)
    return rows[:, :7].tobytes(), (parity(rows[:, :7]) ^ rows[:, 7]) & 0xFE == 0


def encode_cltus(frames: Octets, sequence: Octets) -> bytes:
    """Of frames of one length, one a row."""
    count, octets = frames.shape
    fill = np.full((count, -octets % 7), 0x55, np.uint8)
    information = np.concatenate([frames ^ sequence, fill], axis=1).reshape(-1, 7)
    blocks = np.column_stack([information, parity(information)]).reshape(count, -1)
    return np.concatenate([np.tile(START, (count, 1)), blocks, np.tile(TAIL, (count, 1))], axis=1).tobytes()


def decode_cltus(units: bytes, count: int, sequence: Octets) -> bytes:
    """Error detection; all begin at octets that are known."""
    rows = np.frombuffer(units, np.uint8).reshape(count, -1)
    blocks = np.ascontiguousarray(rows[:, 2:-8]).reshape(-1, 8)
    information, good = check_blocks(blocks.tobytes())
    if not good.all():
        raise ValueError("a codeblock does not verify")
    return (np.frombuffer(information, np.uint8).reshape(count, -1)[:, : len(sequence)] ^ sequence).tobytes()


def receive(octets: bytes, mode: bch.Mode) -> CltuDecoder:
    decoder = CltuDecoder(mode=mode, randomizer=True)
    decoder.feed(octets)
    return decoder


def shifted(octets: bytes, bits: int) -> bytes:
    """The octets after so many bits of an idle sequence."""
    value = int.from_bytes(b"\x55" + octets, "big") << (8 - bits)
    return (value & ((1 << 8 * len(octets) + 8) - 1)).to_bytes(len(octets) + 1, "big")


def with_errors(codeblocks: bytes) -> bytes:
    """One bit in error in each codeblock."""
    rows = np.frombuffer(codeblocks, np.uint8).reshape(-1, 8).copy()
    number = np.arange(len(rows))
    rows[number, number % 7] ^= (1 << number % 8).astype(np.uint8)
    return rows.tobytes()


def add(report: harness.Report, case: str, octets: int, ours: object, theirs: object, note: str = "") -> None:
    rates = [
        harness.measure(work, octets / 1e6, seconds=SECONDS).rate if callable(work) else None for work in (ours, theirs)
    ]
    peer = f"numpy {np.__version__}" if theirs else ""
    report.rows.append(harness.Row(case, "MB/s", rates[0], peer, rates[1], note))


def codeblocks(report: harness.Report) -> None:
    information = random.Random(1).randbytes(7 * 146 * FRAMES)
    blocks = bch.encode(information)
    assert encode_blocks(information) == blocks
    assert check_blocks(blocks)[0] == information
    damaged = with_errors(blocks)
    assert bch.decode(damaged, "correct").information == information
    assert not check_blocks(damaged)[1].any()
    encoded, checked = partial(encode_blocks, information), partial(check_blocks, blocks)
    add(report, "codeblocks, encode", len(blocks), partial(bch.encode, information), encoded)
    add(report, "codeblocks, detect", len(blocks), partial(bch.decode, blocks, "detect"), checked)
    correct = partial(bch.decode, damaged, "correct")
    add(report, "codeblocks, correct one bit in each", len(blocks), correct, None)


def cltus(report: harness.Report) -> None:
    octets = random.Random(2).randbytes(FRAMES * FRAME_OCTETS)
    frames = np.frombuffer(octets, np.uint8).reshape(FRAMES, FRAME_OCTETS)
    sequence = np.frombuffer(sequence_octets("telecommand", FRAME_OCTETS), np.uint8)
    offsets = np.arange(FRAMES + 1, dtype=np.uint64) * np.uint64(FRAME_OCTETS)
    encoder = CltuEncoder(randomizer=True)
    units = encoder.encode_batch(octets, offsets).octets
    assert encode_cltus(frames, sequence) == units
    assert decode_cltus(units, FRAMES, sequence) == octets
    received = CltuDecoder(randomizer=True).feed(shifted(units, 3))
    assert b"".join(unit.octets[:FRAME_OCTETS] for unit in received) == octets
    encode = partial(encoder.encode_batch, octets, offsets)
    add(report, "CLTUs, encode, batch", len(units), encode, partial(encode_cltus, frames, sequence))
    known = partial(decode_cltus, units, FRAMES, sequence)
    add(report, "CLTUs, decode, detect", len(units), partial(receive, units, "detect"), known)
    add(
        report,
        "CLTUs, decode, correct, three bits late",
        len(units),
        partial(receive, shifted(units, 3), "correct"),
        None,
    )
    one = octets[:FRAME_OCTETS]
    single = encoder.encode(one)

    def hundred() -> None:
        for _ in range(100):
            encoder.encode(one)

    add(report, "CLTUs, encode, one a call", 100 * len(single), hundred, None)


def ldpc(report: harness.Report) -> None:
    """Bits of CLTUs, 2 % of them in error."""
    source = np.random.default_rng(4)
    octets = random.Random(4).randbytes(20 * FRAME_OCTETS)
    offsets = np.arange(21, dtype=np.uint64) * np.uint64(FRAME_OCTETS)
    codes: tuple[Code, ...] = ("LDPC (128,64)", "LDPC (512,256)")
    for code in codes:
        encoder = CltuEncoder(code)
        units = encoder.encode_batch(octets, offsets).octets
        bits = np.unpackbits(np.frombuffer(units, np.uint8))
        bits ^= (source.random(len(bits)) < 0.02).astype(np.uint8)

        def work(code: Code = code, bits: Octets = bits) -> CltuDecoder:
            decoder = CltuDecoder(code)
            decoder.feed_bits(bits)
            return decoder

        counters = work().counters
        assert counters.cltus >= 18
        add(report, f"CLTUs, encode, {code}", len(units), partial(encoder.encode_batch, octets, offsets), None)
        note = f"2 % of bits in error, {counters.corrected_bits} corrected"
        add(report, f"CLTUs, decode, {code}", len(units), work, None, note)


def noise(report: harness.Report) -> None:
    octets = random.Random(3).randbytes(4_000_000)
    modes: tuple[bch.Mode, ...] = ("detect", "correct")
    for mode in modes:
        counters = receive(octets, mode).counters
        note = f"{counters.cltus} CLTUs, {counters.false_starts} false starts"
        add(report, f"noise, 4 MB, {mode}", len(octets), partial(receive, octets, mode), None, note)


def build(_arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    codeblocks(report)
    cltus(report)
    ldpc(report)
    noise(report)
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
