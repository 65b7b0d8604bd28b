"""A number per frame out of chosen octets, or out of the flow that it belongs to; the same in every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import ETHERNET, Burst
from netmap_io.wrappers.frames import octets_of

__all__ = ["flow_hash", "octets_hash"]

_ETHERNET_ADDRESSES, _ETHERTYPE, _NETWORK = 0, 12, 14
_IPV4, _IPV6 = 0x0800, 0x86DD
_WITH_PORTS = (6, 17, 132)

_Hashes = NDArray[np.uint64]
_Indices = NDArray[np.int64]


def octets_hash(burst: Burst, offset: int, length: int) -> _Hashes:
    """Hash of frame[offset:offset + length]; what a short frame has not, is not there."""
    starts, lengths = burst.offsets[:-1].astype(np.int64), burst.lengths.astype(np.int64)
    octets = octets_of(burst)
    hashes = np.zeros(len(burst), dtype=np.uint64)
    for at in range(offset, offset + length):
        there = np.flatnonzero(at < lengths)
        hashes[there] = _mixed(hashes[there] + octets[starts[there] + at] + np.uint64(1))
    return hashes


def flow_hash(burst: Burst) -> _Hashes:
    """The same for both directions of a flow: addresses, protocol and ports (fragments: without the ports).

    What is not IP goes by its Ethernet addresses and type, what is not Ethernet by all of its first 16 octets.  One
    level of header: no VLAN tags, no IPv6 extensions, no tunnels are looked into.
    """
    reader = _Reader(burst)
    hashes = octets_hash(burst, 0, 16)
    frames = reader.with_octets(np.flatnonzero(burst.link_types == ETHERNET), _NETWORK)
    macs = (reader.address(frames, at, 6) for at in (0, 6))
    hashes[frames] = _mixed(_together(*macs) + reader.number(frames, _ETHERTYPE, 2))
    kinds = reader.number(frames, _ETHERTYPE, 2)
    four = reader.with_octets(frames[kinds == _IPV4], _NETWORK + 20)
    if len(four):
        header = (reader.number(four, _NETWORK, 1) & np.uint64(15)).astype(np.int64) * 4
        whole = reader.number(four, _NETWORK + 6, 2) & np.uint64(0x3FFF) == 0
        protocol = reader.number(four, _NETWORK + 9, 1)
        ends = [reader.address(four, _NETWORK + at, 4) for at in (12, 16)]
        hashes[four] = reader.flow(four, ends, protocol, whole, _NETWORK + header)
    six = reader.with_octets(frames[kinds == _IPV6], _NETWORK + 40)
    if len(six):
        protocol = reader.number(six, _NETWORK + 6, 1)
        ends = [reader.address(six, _NETWORK + at, 16) for at in (8, 24)]
        whole = np.ones(len(six), dtype=bool)
        hashes[six] = reader.flow(six, ends, protocol, whole, np.full(len(six), _NETWORK + 40, dtype=np.int64))
    return hashes


class _Reader:
    def __init__(self, burst: Burst) -> None:
        self._starts = burst.offsets[:-1].astype(np.int64)
        self._lengths = burst.lengths.astype(np.int64)
        self._octets = octets_of(burst)

    def with_octets(self, frames: _Indices, count: int) -> _Indices:
        return frames[self._lengths[frames] >= count]

    def number(self, frames: _Indices, offset: int | _Indices, size: int) -> _Hashes:
        at = self._starts[frames] + offset
        value = np.zeros(len(frames), dtype=np.uint64)
        for number in range(size):
            value = (value << np.uint64(8)) | self._octets[at + number]
        return value

    def address(self, frames: _Indices, offset: int, size: int) -> _Hashes:
        value = np.zeros(len(frames), dtype=np.uint64)
        for at in range(0, size, 4):
            value = _mixed(value + self.number(frames, offset + at, min(4, size - at)) + np.uint64(1))
        return value

    def flow(
        self, frames: _Indices, ends: list[_Hashes], protocol: _Hashes, whole: NDArray[np.bool_], transport: _Indices
    ) -> _Hashes:
        """Two ends, each an address with its port where there are ports."""
        ported = whole & np.isin(protocol, _WITH_PORTS) & (transport + 4 <= self._lengths[frames])
        chosen, at = frames[ported], transport[ported]
        for number, end in enumerate(ends):
            end[ported] += _mixed(self.number(chosen, at + 2 * number, 2) + np.uint64(1))
        return _mixed(_together(*ends) + protocol)


def _together(one: _Hashes, other: _Hashes) -> _Hashes:
    """Whichever comes first."""
    return _mixed(one) + _mixed(other)


def _mixed(value: _Hashes) -> _Hashes:
    """SplitMix64's finalizer: every bit of the result depends on every bit of the value."""
    z = value + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
