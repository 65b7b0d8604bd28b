"""What drivers over rings shared with the kernel have in common: waiting, lending, accounts."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netmap_io import _native
from netmap_io.burst import ETHERNET, Burst
from netmap_io.errors import InterfaceDownError, InterfaceVanishedError, LinkTypeError
from netmap_io.port import Capabilities, Counters, Port

__all__ = ["RingCapabilities", "RingPort", "SlotBurst"]

_U32, _U64, _I64 = np.dtype(np.uint32), np.dtype(np.uint64), np.dtype(np.int64)
LOOK_AGAIN_S = 0.5
"""How long a wait goes on without a look at whether the interface is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingCapabilities(Capabilities):
    """Capabilities, and how the rings came to be."""

    mode: str
    """How frames come and go, in words."""
    remarks: tuple[str, ...] = ()
    """What was asked for and could not be had, a sentence each."""


class SlotBurst(Burst):
    """A lent burst whose frames lie apart, in the slots of a ring.

    Frames, taken one by one, are views of the ring.  `buffer`, `offsets` and `columns()` need the frames back to back:
    the first use of one of them copies the octets, once.  `copy()` copies once.
    """

    __slots__ = ("_back_to_back", "_memory", "_slot_lengths", "_starts")

    @classmethod
    def of_slots(cls, memory: _native.RingMemory, columns: tuple[Any, ...]) -> SlotBurst:
        starts, lengths, timestamps_ns, original_lengths, interfaces, offsets = columns
        burst = cls.__new__(cls)
        burst._memory = memory
        burst._starts = np.frombuffer(starts, _U64)
        burst._slot_lengths = np.frombuffer(lengths, _U32)
        burst._back_to_back = None
        count = len(burst._starts)
        burst._octets = memory
        burst._view = memoryview(memory)
        burst._offsets = np.frombuffer(offsets, _U64)
        burst._timestamps_ns = np.frombuffer(timestamps_ns, _I64)
        burst._original_lengths = np.frombuffer(original_lengths, _U32)
        burst._link_types = _ethernets(count)
        burst._interfaces = np.frombuffer(interfaces, _U32)
        burst._annotations = []
        burst._lent = False
        burst._handed_out = []
        return burst

    _back_to_back: tuple[_native.Column, memoryview] | None
    _memory: _native.RingMemory
    _slot_lengths: NDArray[np.uint32]
    _starts: NDArray[np.uint64]

    def lend(self) -> Callable[[], None]:
        take_back = super().lend()

        def end() -> None:
            del self._memory  # a burst that is kept must not keep the ring mapped
            self._back_to_back = None
            take_back()

        return end

    def _gathered(self) -> tuple[_native.Column, memoryview]:
        self._held()
        if self._back_to_back is None:
            column = self._memory.gather(self._starts, self._slot_lengths)
            view = memoryview(column)
            self._handed_out.append(view)
            self._back_to_back = column, view
        return self._back_to_back

    @property
    def buffer(self) -> memoryview:
        return self._gathered()[1]

    def columns(self) -> tuple[Any, ...]:
        return self._gathered()[0], self._offsets, self._timestamps_ns, self.original_lengths

    def copy(self) -> Burst:
        self._held()
        octets = self._memory.gather(self._starts, self._slot_lengths)
        original = self._original_lengths
        columns: tuple[Any, ...] = octets, self._offsets, self._timestamps_ns, original, self._interfaces, []
        return Burst.of_native(columns, ETHERNET)

    def _frames_octets(self) -> memoryview:
        return self._gathered()[1]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)  # refuses, as for every lent burst
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"frame {index} of a burst of {count}")
        start = int(self._starts[index])
        return self._hand_out(start, start + int(self._slot_lengths[index]))

    def __iter__(self) -> Iterator[memoryview]:
        self._held()
        for start, length in zip(self._starts.tolist(), self._slot_lengths.tolist(), strict=True):
            self._held()
            yield self._hand_out(start, start + length)


_ETHERNETS = np.full(65536, ETHERNET, dtype=np.uint16)
_ETHERNETS.flags.writeable = False


def _ethernets(count: int) -> NDArray[np.uint16] | int:
    """The link types of `count` frames: a part of one column, known again by its base."""
    return _ETHERNETS[:count] if count <= len(_ETHERNETS) else ETHERNET


class RingPort(Port):
    """A port over rings.  Frames that are there are given before trouble is told.

    An interface that goes down is told once, by InterfaceDownError; afterwards the port waits for its return.  One that
    has gone is told by every call from then on, by InterfaceVanishedError.
    """

    capabilities: RingCapabilities

    _rings: _native.PacketRings | _native.XdpRings | _native.NetmapRings

    def __init__(
        self, rings: _native.PacketRings | _native.XdpRings | _native.NetmapRings, capabilities: RingCapabilities
    ) -> None:
        super().__init__()
        self.capabilities = capabilities
        self._rings = rings
        self._memory = rings.memory()
        self._counted = Counters()
        self._last_account: dict[str, int] | None = None
        self._down = False
        self._vanished = False
        self._lendings = 0

    @property
    def account(self) -> dict[str, int]:
        """Details behind the counters; docs/link-layer.md says what each means."""
        return dict(self._last_account) if self._last_account is not None else self._rings.account()

    @property
    def exhausted(self) -> bool:
        return self._vanished

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        """As Port says.  Raises InterfaceDownError or InterfaceVanishedError when nothing is left to give."""
        self._require(max_frames)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            columns = self._rings.receive(max_frames)
            if len(columns[2]) or not self._wait(deadline):
                return self._count(Burst.of_native(columns, _ethernets(len(columns[2]) // 8)))

    @contextmanager
    def _lend(self, max_frames: int, timeout: float | None) -> Iterator[Burst]:
        burst = self._lend_slots(max_frames, timeout)
        take_back = burst.lend()
        try:
            yield burst
        finally:
            self._lendings -= 1
            try:
                take_back()
            finally:
                if not self.closed:
                    self._take_back()

    def _take_back(self) -> None:
        self._rings.take_back()

    def _lend_slots(self, max_frames: int, timeout: float | None) -> Burst:
        self._require(max_frames)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            columns = self._rings.lend(max_frames)
            try:
                if len(columns[0]) or not self._wait(deadline):
                    burst = self._count(SlotBurst.of_slots(self._memory, columns))
                    self._lendings += 1
                    return burst
            except BaseException:
                self._rings.take_back()
                raise
            self._rings.take_back()

    def _require(self, max_frames: int) -> None:
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")

    def _count(self, burst: Burst) -> Burst:
        self._counted.received_frames += len(burst)
        self._counted.received_octets += burst.octets
        return burst

    @cached_property
    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._rings.fileno(), select.POLLIN)
        return poll

    def _wait(self, deadline: float | None) -> bool:
        """Whether to look again before the deadline; nothing is there now."""
        if self._vanished:
            self._check()
        left = LOOK_AGAIN_S if deadline is None else min(LOOK_AGAIN_S, deadline - time.monotonic())
        events = self._poll.poll(max(0, math.ceil(left * 1000)))
        if not events or events[0][1] & ~select.POLLIN:
            self._check()
        elif self._lendings:
            time.sleep(0.001)  # slots that are lent keep the descriptor readable
        return bool(events) or left > 0

    def _check(self) -> None:
        try:
            self._rings.check()
        except InterfaceDownError:
            if not self._down:
                self._down = True
                raise
        except InterfaceVanishedError:
            self._vanished = True
            raise
        else:
            self._down = False

    def send(self, burst: Burst) -> int:
        """As Port says.  Raises ValueError, and sends nothing, where a frame is too short or too long."""
        self.require_open()
        links = burst.link_types
        if links.base is not _ETHERNETS and not bool((links == ETHERNET).all()):
            raise LinkTypeError(f"this {type(self).__name__} carries Ethernet frames; the burst does not")
        if not len(burst):
            return 0
        sent = self._rings.send(burst.columns())
        offsets = burst.offsets
        self._counted.sent_frames += sent
        self._counted.sent_octets += int(offsets[sent]) - int(offsets[0])
        return sent

    def flush(self) -> None:
        self.require_open()
        self._rings.flush()

    def fileno(self) -> int:
        self.require_open()
        return self._rings.fileno()

    def _release(self) -> None:
        self._last_account = self._rings.account()
        self._rings.close()
        del self._memory
