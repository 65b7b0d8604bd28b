"""Channel coding kernels through the Python binding, each variant next to a peer of the same run."""

from __future__ import annotations

import argparse
import random
import timeit
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import crcmod
import harness
import numpy as np
import reedsolo

from ccsds import _native
from ccsds.coding.randomizer import Sequence, randomize, sequence_octets
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control

FRAME_OCTETS = 1115
DEPTH = 5
BLOCKS = 200
SECONDS = 0.3
ALPHA_11 = 0xAD
TITLE = "Channel coding kernels"
INCLUDED = """`benchmarks/coding_kernels.py`.  MB/s (10^6) of codeblock (Reed-Solomon) or of input (the others), the
Python call and its result included.  reedsolo is pure Python here and gets one codeword of the conventional basis per
call; numpy's XOR writes into fresh memory as our randomizer does.  No faster Reed-Solomon is on PyPI; libfec, where it
is built by hand, stands beside the whole chain."""

Work = Callable[[], object]


def add(report: harness.Report, case: str, octets: int, ours: dict[str, Work], peer: tuple[str, int, Work]) -> None:
    """A row per variant of ours, against the peer."""
    name, peer_octets, work = peer
    theirs = rate(work, peer_octets)
    for variant, call in ours.items():
        report.rows.append(harness.Row(case, "MB/s", rate(call, octets), name, theirs, variant))


def rate(work: Work, octets: int) -> float:
    """MB/s; short calls are measured a thousand at a time, so that the clock itself does not count."""
    calls = 1000 if octets < 10_000 and timeit.timeit(work, number=3) < 3e-4 else 1

    def several() -> None:
        for _ in range(calls):
            work()

    return harness.measure(several, calls * octets / 1e6, seconds=SECONDS).rate


def crc(report: harness.Report) -> None:
    frame = random.Random(1).randbytes(FRAME_OCTETS)
    peer_name = f"crcmod-plus {version('crcmod-plus')}"
    for code, polynomial, preset in ((CRC_16, 0x11021, 0xFFFF), (CRC_32, 0x100A00805, 0)):
        peer = crcmod.mkCrcFun(polynomial, initCrc=preset, rev=False)
        assert peer(frame) == frame_error_control(frame, code)
        ours = {"crc-fast": partial(frame_error_control, frame, code)}
        title = f"{code.name}, {FRAME_OCTETS} octets"
        add(report, title, len(frame), ours, (peer_name, len(frame), partial(peer, frame)))


def randomizers(report: harness.Report) -> None:
    block_octets = 255 * DEPTH
    blocks = random.Random(2).randbytes(BLOCKS * block_octets)
    array = np.frombuffer(blocks, np.uint8).reshape(BLOCKS, block_octets)
    sequences: tuple[Sequence, ...] = ("short", "long")
    for sequence in sequences:
        pattern = np.frombuffer(sequence_octets(sequence, block_octets), np.uint8)
        assert (array ^ pattern).tobytes() == randomize(blocks, sequence, block_octets)
        ours = {"-": partial(randomize, blocks, sequence, block_octets)}
        peer = (f"numpy {np.__version__} XOR", len(blocks), partial(np.bitwise_xor, array, pattern))
        add(report, f"randomizer {sequence}, {BLOCKS} blocks", len(blocks), ours, peer)


def damaged(block: bytes, errors: int, source: random.Random) -> bytes:
    octets = bytearray(block)
    for codeword in range(DEPTH):
        for symbol in source.sample(range(255), errors):
            octets[symbol * DEPTH + codeword] ^= source.randrange(1, 256)
    return bytes(octets)


def reed_solomon(report: harness.Report, error_correction: int) -> None:
    source = random.Random(3)
    kernels = {
        name: _native.ReedSolomon(error_correction, DEPTH, 0, "dual", name) for name in _native.reed_solomon_variants()
    }
    code = kernels["portable"]
    frames = source.randbytes(BLOCKS * code.frame_octets)
    blocks = code.encode(frames)
    octets = len(blocks) // BLOCKS
    # The peer decodes one code word of the conventional basis per call; the figure is per octet, so that is fair.
    codec = reedsolo.RSCodec(
        2 * error_correction, nsize=255, fcr=128 - error_correction, prim=0x187, generator=ALPHA_11, c_exp=8
    )
    single = _native.ReedSolomon(error_correction, 1, 0, "conventional")
    message = source.randbytes(single.frame_octets)
    word = single.encode(message)
    assert bytes(codec.encode(message)) == word
    peer_name = f"reedsolo {version('reedsolo')}"
    title = f"RS E={error_correction} I={DEPTH}"
    work = {name: partial(kernel.encode, frames) for name, kernel in kernels.items()}
    add(report, f"{title} encode", len(blocks), work, (peer_name, 255, partial(codec.encode, message)))
    for errors in (0, 1, error_correction):
        received = b"".join(damaged(blocks[i * octets : (i + 1) * octets], errors, source) for i in range(BLOCKS))
        bad = bytearray(word)
        for symbol in source.sample(range(255), errors):
            bad[symbol] ^= source.randrange(1, 256)
        for kernel in kernels.values():
            expected = np.full(BLOCKS, errors * DEPTH, np.int32).tobytes()
            assert kernel.decode(received) == (frames, expected)
        assert bytes(codec.decode(bad)[0]) == message
        work = {name: partial(kernel.decode, received) for name, kernel in kernels.items()}
        case = f"{title} decode, {errors} errors a word"
        add(report, case, len(received), work, (peer_name, 255, partial(codec.decode, bad)))


def build(_arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    crc(report)
    randomizers(report)
    for error_correction in (16, 8):
        reed_solomon(report, error_correction)
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
