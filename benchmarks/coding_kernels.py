"""Megabytes per second of the channel coding kernels, next to a named peer measured in the same run.

    python benchmarks/coding_kernels.py [--repeats 9]

A megabyte is 10^6 octets of codeblock (Reed-Solomon) or of input (the others).  Every figure is the median of the
repeats, through the Python binding, on one core, in processor time (a busy machine takes turns, it does not lie);
kernels and peers alternate.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import time
import timeit
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import crcmod
import numpy as np
import reedsolo

from ccsds import _native
from ccsds.coding.randomizer import Sequence, randomize, sequence_octets
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control

FRAME_OCTETS = 1115
DEPTH = 5
BLOCKS = 200
TURN_SECONDS = 0.02
ALPHA_11 = 0xAD

Work = Callable[[], object]


def calls_per_turn(work: Work) -> int:
    calls, seconds = timeit.Timer(work, timer=time.process_time).autorange()
    return max(1, int(calls * TURN_SECONDS / seconds))


def measure(name: str, octets: int, ours: dict[str, Work], peer: tuple[str, int, Work], repeats: int) -> None:
    peer_name, peer_octets, peer_work = peer
    works = {**ours, peer_name: peer_work}
    calls = {key: calls_per_turn(work) for key, work in works.items()}
    seconds: dict[str, list[float]] = {key: [] for key in works}
    for _ in range(repeats):
        for key, work in works.items():
            seconds[key].append(timeit.timeit(work, timer=time.process_time, number=calls[key]) / calls[key])
    peer_rate = peer_octets / statistics.median(seconds[peer_name]) / 1e6
    for key in ours:
        rate = octets / statistics.median(seconds[key]) / 1e6
        print(f"{name:38}{key:14}{rate:10.1f}   {peer_name:24}{peer_rate:10.2f}{rate / peer_rate:10.1f}x")


def crc(repeats: int) -> None:
    frame = random.Random(1).randbytes(FRAME_OCTETS)
    peer_name = f"crcmod-plus {version('crcmod-plus')}"
    for code, polynomial, preset in ((CRC_16, 0x11021, 0xFFFF), (CRC_32, 0x100A00805, 0)):
        peer = crcmod.mkCrcFun(polynomial, initCrc=preset, rev=False)
        assert peer(frame) == frame_error_control(frame, code)
        ours = {"crc-fast": partial(frame_error_control, frame, code)}
        title = f"{code.name}, {FRAME_OCTETS} octets"
        measure(title, len(frame), ours, (peer_name, len(frame), partial(peer, frame)), repeats)


def randomizers(repeats: int) -> None:
    block_octets = 255 * DEPTH
    blocks = random.Random(2).randbytes(BLOCKS * block_octets)
    array = np.frombuffer(blocks, np.uint8).reshape(BLOCKS, block_octets)
    sequences: tuple[Sequence, ...] = ("short", "long")
    for sequence in sequences:
        pattern = np.frombuffer(sequence_octets(sequence, block_octets), np.uint8)
        assert (array ^ pattern).tobytes() == randomize(blocks, sequence, block_octets)
        ours = {"-": partial(randomize, blocks, sequence, block_octets)}
        peer = (f"numpy {np.__version__} XOR", len(blocks), partial(np.bitwise_xor, array, pattern))
        measure(f"randomizer {sequence}, {BLOCKS} blocks", len(blocks), ours, peer, repeats)


def damaged(block: bytes, errors: int, source: random.Random) -> bytes:
    octets = bytearray(block)
    for codeword in range(DEPTH):
        for symbol in source.sample(range(255), errors):
            octets[symbol * DEPTH + codeword] ^= source.randrange(1, 256)
    return bytes(octets)


def reed_solomon(error_correction: int, repeats: int) -> None:
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
    measure(f"{title} encode", len(blocks), work, (peer_name, 255, partial(codec.encode, message)), repeats)
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
        measure(
            f"{title} decode, {errors} errors a word",
            len(received),
            work,
            (peer_name, 255, partial(codec.decode, bad)),
            repeats,
        )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    print(f"{processor()}, {platform.system()}, Python {platform.python_version()}")
    print(f"MB/s of processor time, median of {repeats}")
    print(f"{'kernel':38}{'variant':14}{'ours':>10}   {'peer':24}{'peer':>10}{'ratio':>11}")
    crc(repeats)
    randomizers(repeats)
    for error_correction in (16, 8):
        reed_solomon(error_correction, repeats)


if __name__ == "__main__":
    main()
