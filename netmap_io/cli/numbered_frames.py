"""Frames that tell which one they are and whether they are whole: what gen makes and sink verifies.

The content, big-endian: the four letters nmIO; its own length, 4 octets; a number that counts the frames, 8; the number
of the stream, 8; a check over all of it, 8; then the pattern.  In an Ethernet frame it follows the header, of type
0x88b5 (kept by IEEE for local experiments), or is UDP data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import ETHERNET, RAW_OCTETS, Burst
from netmap_io.payload import udp_frames
from netmap_io.wrappers.frames import octets_of

__all__ = ["HEADER_OCTETS", "PATTERNS", "Maker", "Verdict", "verify"]

MAGIC = int.from_bytes(b"nmIO", "big")
HEADER_OCTETS = 32
_CHECK_AT, _CHECK_END = 24, 32
ETHERTYPE = 0x88B5
_ETHERNET_OCTETS, _UDP_OCTETS = 14, 42
_IPV4 = 0x0800
PATTERNS = ("random", "zeros", "ones", "counting")
_BLOCK_OCTETS = 1 << 16
_SIZE_STEP = 256

_Octets = NDArray[np.uint8]
_Numbers = NDArray[np.uint64]


def _check(content: _Octets) -> _Numbers:
    """uint64[n] of uint8[n, octets]: the words, each times an odd weight, but for the check's own place.

    Any one bit that is inverted changes the sum, for an odd number times a power of two is not 0 modulo 2^64.
    """
    count, octets = content.shape
    padded = np.zeros((count, -(-octets // 8) * 8), dtype=np.uint8)
    padded[:, :octets] = content
    padded[:, _CHECK_AT:_CHECK_END] = 0
    words = padded.view("<u8")
    z = np.arange(1, words.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    weights = ((z ^ (z >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)) | np.uint64(1)
    total: _Numbers = (words * weights).sum(axis=1, dtype=np.uint64)
    return total


class Maker:
    """Makes frames, in order, the same ones for the same seed."""

    def __init__(
        self,
        *,
        shortest: int,
        longest: int,
        ethernet: bool,
        pattern: str = "random",
        seed: int = 0,
        udp_port: int | None = None,
        source_mac: bytes = bytes.fromhex("020000000001"),
        destination_mac: bytes = bytes.fromhex("020000000002"),
    ) -> None:
        """shortest, longest: octets of the whole frame; between them each is as likely.  Raises ValueError."""
        self._around = (_ETHERNET_OCTETS if udp_port is None else _UDP_OCTETS) if ethernet else 0
        if shortest < self._around + HEADER_OCTETS:
            raise ValueError(
                f"a numbered frame has at least {self._around + HEADER_OCTETS} octets here, not {shortest}"
            )
        if longest < shortest:
            raise ValueError(f"the longest frame, {longest}, is shorter than the shortest, {shortest}")
        if udp_port is not None and not ethernet:
            raise ValueError("UDP data is in Ethernet frames, and the port carries none")
        self._lengths = (shortest - self._around, longest - self._around)
        self._ethernet, self._udp_port = ethernet, udp_port
        self._macs = source_mac, destination_mac
        self.seed = seed
        self.next = 0
        self._random = np.random.default_rng(seed)
        self._block = self._make_block(pattern)

    def _make_block(self, pattern: str) -> _Octets:
        octets = _BLOCK_OCTETS + self._lengths[1]
        if pattern == "random":
            return np.random.default_rng(self.seed).integers(0, 256, octets, dtype=np.uint8)
        if pattern == "counting":
            return np.arange(octets).astype(np.uint8)
        return np.full(octets, {"zeros": 0, "ones": 255}[pattern], dtype=np.uint8)

    def make(self, count: int) -> Burst:
        """The next frames."""
        numbers = np.arange(self.next, self.next + count, dtype=np.uint64)
        self.next += count
        shortest, longest = self._lengths
        lengths = np.full(count, shortest, dtype=np.int64)
        if longest > shortest:
            lengths = self._random.integers(shortest, longest + 1, count)
        room = int(lengths.max(initial=shortest))
        windows = np.lib.stride_tricks.sliding_window_view(self._block, room)
        content = windows[(numbers % np.uint64(_BLOCK_OCTETS)).astype(np.int64)]
        inside = np.arange(room) < lengths[:, None]
        if longest > shortest:
            content = content * inside
        for at, end, values in ((0, 4, MAGIC), (4, 8, lengths), (8, 16, numbers), (16, 24, self.seed)):
            column = np.broadcast_to(np.asarray(values, dtype=np.uint64), count).astype(">u8")
            content[:, at:end] = column.view(np.uint8).reshape(count, 8)[:, 8 - (end - at) :]
        content[:, _CHECK_AT:_CHECK_END] = _check(content).astype(">u8").view(np.uint8).reshape(count, 8)
        if self._ethernet and self._udp_port is None:
            source, destination = self._macs
            header = np.frombuffer(destination + source + ETHERTYPE.to_bytes(2, "big"), dtype=np.uint8)
            content = np.hstack([np.broadcast_to(header, (count, _ETHERNET_OCTETS)), content])
            inside = np.hstack([np.ones((count, _ETHERNET_OCTETS), dtype=bool), inside])
            lengths = lengths + _ETHERNET_OCTETS
        offsets = np.zeros(count + 1, dtype=np.uint64)
        np.cumsum(lengths, out=offsets[1:])
        octets = content.tobytes() if longest == shortest else content[inside].tobytes()
        if self._udp_port is None:
            return Burst(octets, offsets, link_types=ETHERNET if self._ethernet else RAW_OCTETS)
        source, destination = self._macs
        return udp_frames(Burst(octets, offsets), port=self._udp_port, source_mac=source, destination_mac=destination)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a burst: number and stream of the frames that are whole, in order; how many are damaged, how many no such."""

    numbers: NDArray[np.int64]
    streams: _Numbers
    damaged: int
    others: int


def verify(burst: Burst) -> Verdict:
    """Look for numbered frames.

    One whose letters are damaged is counted as damaged where the Ethernet type tells what it is, else among others.
    """
    octets = octets_of(burst)
    begins, expected = _contents(burst, octets)
    ends = burst.offsets[1:].astype(np.int64)
    candidates = np.flatnonzero((begins >= 0) & (begins + HEADER_OCTETS <= ends))
    named = candidates[_number(octets, begins[candidates], 4) == MAGIC]
    lengths = _number(octets, begins[named] + 4, 4).astype(np.int64)
    plausible = (lengths >= HEADER_OCTETS) & (begins[named] + lengths <= ends[named])
    whole = np.zeros(len(burst), dtype=bool)
    sizes = -(-lengths // _SIZE_STEP)  # lengths that are near each other are checked together
    for size in np.unique(sizes[plausible]).tolist():
        chosen = plausible & (sizes == size)
        content = _rows(octets, begins[named[chosen]], lengths[chosen])
        whole[named[chosen]] = _check(content) == _number(octets, begins[named[chosen]] + _CHECK_AT, 8)
    good = np.flatnonzero(whole)
    ours = expected.copy()
    ours[named] = True
    return Verdict(
        _number(octets, begins[good] + 8, 8).astype(np.int64),
        _number(octets, begins[good] + 16, 8),
        damaged=int(ours.sum()) - len(good),
        others=len(burst) - int(ours.sum()),
    )


def _contents(burst: Burst, octets: _Octets) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each frame's content begins in the buffer (-1: nowhere), and whether its type says that it is ours."""
    begins = burst.offsets[:-1].astype(np.int64)
    lengths = burst.lengths.astype(np.int64)
    found = np.where(burst.link_types == ETHERNET, -1, begins)
    expected = np.zeros(len(burst), dtype=bool)
    frames = np.flatnonzero((burst.link_types == ETHERNET) & (lengths >= _ETHERNET_OCTETS))
    types = _number(octets, begins[frames] + 12, 2)
    plain = frames[types == ETHERTYPE]
    found[plain] = begins[plain] + _ETHERNET_OCTETS
    expected[plain] = True
    ip = frames[(types == _IPV4) & (lengths[frames] >= _UDP_OCTETS)]
    header = (octets[begins[ip] + _ETHERNET_OCTETS] & 15).astype(np.int64) * 4
    found[ip] = begins[ip] + _ETHERNET_OCTETS + header + 8
    return found, expected


def _number(octets: _Octets, at: NDArray[np.int64], size: int) -> _Numbers:
    value = np.zeros(len(at), dtype=np.uint64)
    for number in range(size):
        value = (value << np.uint64(8)) | octets[at + number]
    return value


def _rows(octets: _Octets, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> _Octets:
    """uint8[n, longest], zeros after each content; a view where all lie at even distances, as they mostly do."""
    strides, longest = np.unique(np.diff(begins)), int(lengths.max())
    if int(lengths.min()) == longest and len(strides) <= 1 and not (strides <= 0).any():
        stride = int(strides[0]) if len(strides) else longest
        part = octets[int(begins[0]) :]
        return np.lib.stride_tricks.as_strided(part, (len(begins), longest), (stride, 1), writeable=False)
    places = np.arange(longest)
    rows: _Octets = octets[np.minimum(begins[:, None] + places, len(octets) - 1)]
    return rows * (places < lengths[:, None])
