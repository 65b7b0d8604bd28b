"""What a bad link does to frames, decided from a seed.  Knows no clock and no port; the instant is an argument.

Every decision depends on the seed, the direction and the frame's number alone, so that it is the same however the
frames are cut into bursts.  Only how long a frame waits depends on the instants that are handed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst, join
from netmap_io.wrappers.frames import FrameQueue, select_frames

__all__ = ["FaultCounters", "FaultLane", "Faults", "per_million"]

_LOSS, _DUPLICATION, _REORDERING, _DISPLACEMENT, _JITTER, _BIT_ERROR = range(6)
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_GAPS_AT_ONCE = 1024
_LONGEST_GAP = float(1 << 50)


def per_million(count: float) -> float:
    """The probability of `count` in a million."""
    return count / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to the frames of one direction.  The first four are probabilities, 0 to 1.

    A lost frame is gone; of the others bits may be inverted; a duplicate has the same damage and follows at once;
    then a frame may be overtaken, and all are delayed.
    """

    loss: float = 0.0
    """Of each frame."""
    bit_errors: float = 0.0
    """Of each bit of the frames that are not lost."""
    duplication: float = 0.0
    """Of each frame that is not lost."""
    reordering: float = 0.0
    """Of each frame (and each duplicate with its frame) to be overtaken."""
    reordering_depth: int = 3
    """A frame is overtaken by those among the next 1 to this many."""
    hold_ns: int = 10_000_000
    """How long a frame waits to be overtaken, where no more come."""
    delay_ns: int = 0
    jitter_ns: int = 0
    """Added to the delay, from 0 to this, without a change of order."""

    def __post_init__(self) -> None:
        for name in ("loss", "bit_errors", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, not {getattr(self, name)}")
        if self.reordering_depth < 1:
            raise ValueError(f"reordering_depth is 1 or more, not {self.reordering_depth}")
        for name in ("hold_ns", "delay_ns", "jitter_ns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is 0 or more, not {getattr(self, name)}")

    @property
    def waits(self) -> bool:
        """Whether frames may be held back."""
        return self.reordering > 0 or self.delay_ns > 0 or self.jitter_ns > 0


@dataclass(slots=True)
class FaultCounters:
    """offered + duplicated = delivered + lost + refused + discarded + those that wait (`FaultLane.waiting`)."""

    offered: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    refused: int = 0
    """By the port behind, with an error."""
    discarded: int = 0
    """Still waiting when the port was closed."""
    damaged: int = 0
    """Frames with bits inverted, each counted once though its duplicate has them too."""
    inverted_bits: int = 0
    reordered: int = 0
    """Frames and duplicates held back to be overtaken."""

    def to_dict(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


class _Held(NamedTuple):
    """Frames that wait to be overtaken: each until frame number `release` has been offered, or until `until_ns`."""

    frames: Burst
    release: NDArray[np.int64]
    until_ns: NDArray[np.int64]


class _Random:
    """A uniform number per kind of decision and count, the same for the same seed."""

    def __init__(self, seed: int, direction: int) -> None:
        self._bases = [_mix_one(_mix_one(_mix_one(seed) + direction) + kind) for kind in range(6)]

    def uniform(self, kind: int, first: int, count: int) -> NDArray[np.float64]:
        """In [0, 1), for the numbers from `first`."""
        z = np.arange(first, first + count, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(self._bases[kind])
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        top: NDArray[np.uint64] = (z ^ (z >> np.uint64(31))) >> np.uint64(11)
        return top.astype(np.float64) * 2.0**-53


def _mix_one(value: int) -> int:
    z = (value * _GOLDEN + 1) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class FaultLane:
    """One direction of a bad link: `offer` frames, `advance` the time, take what is `ready`."""

    def __init__(self, faults: Faults, seed: int = 0, direction: int = 0) -> None:
        self.faults = faults
        self.counters = FaultCounters()
        self.ready = FrameQueue()
        self._random = _Random(seed, direction)
        self._held: _Held | None = None
        self._delayed: deque[tuple[NDArray[np.int64], Burst]] = deque()
        self._delayed_frames = 0
        self._latest_due_ns = 0
        self._errors: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # positions to come, in the stream of all bits
        self._last_error = -1
        self._gaps = 0
        self._bits = 0
        self._jitters = 0

    @property
    def waiting(self) -> int:
        """Frames that were offered and are not delivered yet."""
        return self.ready.frames + self._delayed_frames + self.held

    @property
    def held(self) -> int:
        """Of those, the ones that wait to be overtaken."""
        return 0 if self._held is None else len(self._held.frames)

    def offer(self, burst: Burst, now_ns: int) -> None:
        """Let frames enter.  They are copied as far as they are kept."""
        count = len(burst)
        if not count:
            return
        first = self.counters.offered
        self.counters.offered += count
        numbers = np.arange(first, first + count, dtype=np.int64)
        kept = self._copies(first, count)
        burst = burst.copy() if len(kept) == count and self.counters.duplicated == 0 else select_frames(burst, kept)
        burst = self._damage(burst, kept)
        if self.faults.reordering:
            self._reorder(burst, numbers[kept], now_ns)
        else:
            self._delay(burst, now_ns)
        self.advance(now_ns)

    def advance(self, now_ns: int) -> None:
        """Make ready what has waited long enough."""
        held = self._held
        if held is not None and bool((held.until_ns <= now_ns).any()):
            self._let_pass(held, held.until_ns <= now_ns, now_ns)
        while self._delayed:
            due_ns, burst = self._delayed[0]
            count = int(np.searchsorted(due_ns, now_ns, side="right"))
            self._delayed_frames -= count
            self.ready.put(burst.part(0, count))
            if count < len(burst):
                self._delayed[0] = (due_ns[count:], burst.part(count, len(burst)))
                return
            self._delayed.popleft()

    def next_due_ns(self) -> int | None:
        """When `advance` will next make something ready; None: nothing waits for a time."""
        dues = [int(self._delayed[0][0][0])] if self._delayed else []
        if self._held is not None:
            dues.append(int(self._held.until_ns.min()))
        return min(dues, default=None)

    def release_held(self, now_ns: int) -> None:
        """Nothing more will overtake: those that wait for it go on."""
        if self._held is not None:
            self._let_pass(self._held, np.ones(len(self._held.frames), dtype=bool), now_ns)
        self.advance(now_ns)

    def discard(self) -> None:
        """Give up what waits, counted."""
        self.counters.discarded += self.waiting
        self.ready.clear()
        self._delayed.clear()
        self._delayed_frames = 0
        self._held = None

    def _copies(self, first: int, count: int) -> NDArray[np.int64]:
        """Index of each frame that goes on: lost ones left out, duplicated ones twice."""
        faults = self.faults
        copies = np.ones(count, dtype=np.int64)
        if faults.duplication:
            copies += self._random.uniform(_DUPLICATION, first, count) < faults.duplication
        if faults.loss:
            lost = self._random.uniform(_LOSS, first, count) < faults.loss
            copies[lost] = 0
            self.counters.lost += int(lost.sum())
        self.counters.duplicated += int((copies == 2).sum())
        return np.repeat(np.arange(count, dtype=np.int64), copies)

    def _damage(self, burst: Burst, kept: NDArray[np.int64]) -> Burst:
        """Invert bits; those of a duplicate are its frame's."""
        if not self.faults.bit_errors or not len(burst):
            return burst
        original = np.ones(len(kept), dtype=bool)
        original[1:] = kept[1:] != kept[:-1]
        lengths = burst.lengths.astype(np.int64)
        stream_ends = np.cumsum(lengths * original) * 8  # in the stream of bits that has each frame once
        errors = self._errors_within(int(stream_ends[-1]))
        if not len(errors):
            return burst
        frames = np.searchsorted(stream_ends, errors, side="right")
        starts = burst.offsets.astype(np.int64)[:-1] - int(burst.offsets[0])
        bits = errors - (stream_ends[frames] - lengths[frames] * 8)
        octets = bytearray(burst.buffer[int(burst.offsets[0]) : int(burst.offsets[-1])])
        view = np.frombuffer(octets, dtype=np.uint8)
        values = (0x80 >> (bits & 7)).astype(np.uint8)
        np.bitwise_xor.at(view, starts[frames] + bits // 8, values)
        twins = np.flatnonzero(~original)
        for twin in twins[np.isin(twins - 1, frames)].tolist():
            length = int(lengths[twin])
            view[starts[twin] : starts[twin] + length] = view[starts[twin - 1] : starts[twin - 1] + length]
        self.counters.damaged += len(np.unique(frames))
        self.counters.inverted_bits += len(errors)
        return Burst(
            bytes(octets),
            burst.offsets - burst.offsets[0],
            burst.timestamps_ns,
            original_lengths=burst.original_lengths,
            link_types=burst.link_types,
            interfaces=burst.interfaces,
            annotations=burst.annotations,
        )

    def _errors_within(self, bits: int) -> NDArray[np.int64]:
        """Positions among the next `bits` bits; the gaps between errors are geometric."""
        begin, end = self._bits, self._bits + bits
        self._bits = end
        found = [self._errors]
        while self._last_error < end:
            gaps = self._more_gaps()
            positions = self._last_error + np.cumsum(gaps + 1)
            self._last_error = int(positions[-1])
            found.append(positions)
        errors = np.concatenate(found)
        count = int(np.searchsorted(errors, end, side="left"))
        self._errors = errors[count:]
        return errors[:count] - begin

    def _more_gaps(self) -> NDArray[np.int64]:
        chance = self.faults.bit_errors
        if chance >= 1:
            return np.zeros(_GAPS_AT_ONCE, dtype=np.int64)
        uniform = self._random.uniform(_BIT_ERROR, self._gaps, _GAPS_AT_ONCE)
        self._gaps += _GAPS_AT_ONCE
        with np.errstate(over="ignore"):  # a gap past all numbers is as good as the longest
            gaps = np.log1p(-uniform) / np.log1p(-chance)
        whole: NDArray[np.int64] = np.minimum(gaps, _LONGEST_GAP).astype(np.int64)
        return whole

    def _reorder(self, burst: Burst, numbers: NDArray[np.int64], now_ns: int) -> None:
        """Hold back those that are chosen, and let pass what nothing holds any more."""
        first, last = self.counters.offered - 1, self.counters.offered - 1
        if len(numbers):
            first = int(numbers[0])
        span = last - first + 1
        chosen = self._random.uniform(_REORDERING, first, span) < self.faults.reordering
        depth = self._random.uniform(_DISPLACEMENT, first, span) * self.faults.reordering_depth
        displacement = np.where(chosen, depth.astype(np.int64) + 1, 0)[numbers - first]
        self.counters.reordered += int((displacement > 0).sum())
        release = numbers + displacement
        until_ns = np.full(len(burst), now_ns + self.faults.hold_ns, dtype=np.int64)
        late = displacement > 0
        if self._held is not None:
            held = self._held
            burst = join([held.frames, burst])
            release = np.concatenate([held.release, release])
            until_ns = np.concatenate([held.until_ns, until_ns])
            late = np.concatenate([np.ones(len(held.frames), dtype=bool), late])
        order = np.argsort(release * 2 + late, kind="stable")  # after the frame that it waits for
        self._held = None
        if len(order):
            together = _Held(select_frames(burst, order), release[order], until_ns[order])
            self._let_pass(together, together.release <= last, now_ns)

    def _let_pass(self, held: _Held, passes: NDArray[np.bool_], now_ns: int) -> None:
        go, stay = np.flatnonzero(passes), np.flatnonzero(~passes)
        self._held = _Held(select_frames(held.frames, stay), held.release[stay], held.until_ns[stay])
        if not len(stay):
            self._held = None
        self._delay(select_frames(held.frames, go), now_ns)

    def _delay(self, burst: Burst, now_ns: int) -> None:
        faults = self.faults
        if not len(burst):
            return
        if not (faults.delay_ns or faults.jitter_ns):
            self.ready.put(burst)
            return
        due_ns = np.full(len(burst), now_ns + faults.delay_ns, dtype=np.int64)
        if faults.jitter_ns:
            jitter = self._random.uniform(_JITTER, self._jitters, len(burst)) * faults.jitter_ns
            due_ns += jitter.astype(np.int64)
            self._jitters += len(burst)
        due_ns = np.maximum.accumulate(np.maximum(due_ns, self._latest_due_ns))
        self._latest_due_ns = int(due_ns[-1])
        self._delayed.append((due_ns, burst))
        self._delayed_frames += len(burst)
