"""Streams of CADUs for the benchmarks of the receiving chain, made in bulk by numpy and the kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccsds.coding.randomizer import randomize
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.frames.error_control import frame_error_control
from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.packets.space_packet import PRIMARY_HEADER

MARKER = bytes.fromhex("1acffc1d")
SPACECRAFT, VIRTUAL_CHANNEL = 42, 5
FRAME_OCTETS = 1115
DEPTH = 5
BLOCK_OCTETS = 255 * DEPTH
CADU_OCTETS = len(MARKER) + BLOCK_OCTETS
TM_CADU_OCTETS = len(MARKER) + FRAME_OCTETS
NO_PACKET_START = 2047

Frames = NDArray[np.uint8]
"""Shape (frames, octets of a frame)."""


def aos_channel() -> PhysicalChannel:
    """AOS, Reed-Solomon E=16 I=5, short randomizer, markers."""
    return _channel("AOS", randomizer="short", reed_solomon={"error_correction": 16, "interleaving_depth": DEPTH})


def tm_channel() -> PhysicalChannel:
    """TM without a code, frame error control, markers."""
    return _channel("TM", frame_error_control=True)


def _channel(frame_type: str, **parameters: object) -> PhysicalChannel:
    common = {"frame_type": frame_type, "frame_octets": FRAME_OCTETS, "synchronization": {}}
    masters = [{"spacecraft_id": SPACECRAFT}]
    mission = {"name": "benchmark", "physical_channel": {**common, **parameters, "master_channels": masters}}
    channel = mission_from_dict(mission).physical_channel
    assert channel is not None
    return channel


def packet_stream(octets: int, smallest: int = 64, largest: int = 1024) -> tuple[Frames, NDArray[np.int64]]:
    """`octets` of packets of uniform sizes, twenty application processes, data of noise; and where each starts."""
    random = np.random.default_rng(20)
    sizes = random.integers(smallest, largest + 1, 2 * octets // (smallest + largest) * 11 // 10 + 100)
    starts = np.cumsum([0, *sizes[:-1]])
    count = int(np.searchsorted(starts, octets))
    processes = random.integers(20, size=count)
    counts = [0] * 20
    stream = np.frombuffer(random.bytes(octets + largest), np.uint8).copy()
    for start, size, process in zip(starts[:count].tolist(), sizes.tolist(), processes.tolist(), strict=False):
        header = PRIMARY_HEADER.pack_values(0, 0, 0, 100 + process, 3, counts[process] % 16384, size - 7)
        stream[start : start + 6] = np.frombuffer(header, np.uint8)
        counts[process] += 1
    return stream[:octets], starts[:count]


def _zones(frames: int, zone_octets: int) -> tuple[Frames, NDArray[np.int64]]:
    """Data zones full of packets, and their first header pointers."""
    stream, starts = packet_stream(frames * zone_octets)
    edges = np.arange(frames) * zone_octets
    following = np.searchsorted(starts, edges)
    first = np.append(starts, len(stream) + NO_PACKET_START)[following]
    pointers = np.where(first < edges + zone_octets, first - edges, NO_PACKET_START)
    return stream.reshape(frames, zone_octets), pointers


def _put(frames: Frames, at: int, octets: int, values: NDArray[np.int64]) -> None:
    """Write a big-endian number per frame."""
    for place in range(octets):
        frames[:, at + place] = values >> 8 * (octets - 1 - place) & 255


def aos_frames(count: int) -> Frames:
    """AOS frames of one virtual channel, full of packets."""
    zones, pointers = _zones(count, FRAME_OCTETS - 8)
    frames = np.zeros((count, FRAME_OCTETS), np.uint8)
    _put(frames, 0, 2, np.full(count, 1 << 14 | SPACECRAFT << 6 | VIRTUAL_CHANNEL))
    _put(frames, 2, 3, np.arange(count))
    _put(frames, 6, 2, pointers)
    frames[:, 8:] = zones
    return frames


def tm_frames(count: int) -> Frames:
    """TM frames of one virtual channel, full of packets, with a frame error control field."""
    zones, pointers = _zones(count, FRAME_OCTETS - 8)
    frames = np.zeros((count, FRAME_OCTETS), np.uint8)
    _put(frames, 0, 2, np.full(count, SPACECRAFT << 4 | VIRTUAL_CHANNEL << 1))
    frames[:, 2] = frames[:, 3] = np.arange(count) & 255
    _put(frames, 4, 2, 3 << 11 | pointers)
    frames[:, 6:-2] = zones
    checks = [frame_error_control(frame.tobytes()) for frame in frames[:, :-2]]
    _put(frames, FRAME_OCTETS - 2, 2, np.array(checks))
    return frames


def coded(frames: Frames, *, damaged_share: float = 0.0, symbol_errors: int = 0) -> bytes:
    """CADUs; of some frames, evenly spread, each codeword with symbol errors."""
    blocks = randomize(ReedSolomonCode(16, DEPTH).encode_batch(frames.tobytes()), "short", BLOCK_OCTETS)
    sent = np.frombuffer(blocks, np.uint8).reshape(-1, BLOCK_OCTETS).copy()
    if damaged_share:
        damage(sent, round(1 / damaged_share), symbol_errors)
    return with_markers(sent)


def damage(blocks: Frames, step: int, symbol_errors: int) -> None:
    """Of every `step`-th block, spoil that many symbols of each codeword."""
    random = np.random.default_rng(7)
    for block in blocks[::step]:
        for codeword in range(DEPTH):
            places = random.choice(255, symbol_errors, replace=False) * DEPTH + codeword
            block[places] ^= random.integers(1, 256, symbol_errors, dtype=np.uint8)


def with_markers(blocks: Frames) -> bytes:
    """Each block behind its marker."""
    cadus = np.empty((len(blocks), len(MARKER) + blocks.shape[1]), np.uint8)
    cadus[:, : len(MARKER)] = np.frombuffer(MARKER, np.uint8)
    cadus[:, len(MARKER) :] = blocks
    return cadus.tobytes()


def shifted(octets: bytes, bits: int) -> bytes:
    """The same bits behind `bits` (1 to 7) zeros; the last octet is filled up with zeros."""
    padded = np.frombuffer(b"\0" + octets + b"\0", np.uint8).astype(np.uint16)
    return ((padded[:-1] << 8 - bits | padded[1:] >> bits) & 255).astype(np.uint8).tobytes()
