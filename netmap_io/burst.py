"""Burst: many frames at once, the unit that ports move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netmap_io.errors import LentFrameError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ETHERNET", "RAW_OCTETS", "UNKNOWN_TIME", "Burst", "join"]

UNKNOWN_TIME = -1
ETHERNET = 1
"""LINKTYPE number of Ethernet."""
RAW_OCTETS = 147
"""LINKTYPE number of octets that have no link header (the first of the sixteen for private use)."""
COMMENT = 1
"""Code of a comment among annotations, as in pcapng."""

_U32, _U64, _I64 = np.dtype(np.uint32), np.dtype(np.uint64), np.dtype(np.int64)  # made once: bursts may be short


class Burst:
    """Frames back to back in one buffer, and a column for each thing known about them.

    buffer:            octets; owned by the burst, or lent until a `with` block ends.
    offsets:           uint64[n + 1]; frame i is buffer[offsets[i]:offsets[i + 1]].
    timestamps_ns:     int64[n]; nanoseconds since 1970, -1 where unknown.
    original_lengths:  uint32[n]; octets on the wire, more than there are where a capture was cut.
    link_types:        uint16[n]; LINKTYPE numbers.
    interfaces:        uint32[n]; index of the capture's interface, or number of the TCP stream.
    annotations:       (frame index, option code, value), in order of frames; pcapng's packet options.

    `len` counts frames; indexing and iteration give a memoryview per frame, a slice a burst that shares the buffer.
    """

    __slots__ = (
        "_annotations",
        "_handed_out",
        "_interfaces",
        "_lent",
        "_link_types",
        "_octets",
        "_offsets",
        "_original_lengths",
        "_timestamps_ns",
        "_view",
    )

    def __init__(
        self,
        octets: Buffer,
        offsets: NDArray[np.uint64] | Sequence[int],
        timestamps_ns: NDArray[np.int64] | Sequence[int] | None = None,
        *,
        original_lengths: NDArray[np.uint32] | Sequence[int] | None = None,
        link_types: NDArray[np.uint16] | Sequence[int] | int = RAW_OCTETS,
        interfaces: NDArray[np.uint32] | Sequence[int] | int = 0,
        annotations: Iterable[tuple[int, int, bytes]] = (),
    ) -> None:
        """Take the columns as they are.  Raises ValueError where they do not fit each other or the buffer."""
        self._octets: Buffer | None = octets
        self._view = memoryview(octets).cast("B").toreadonly()
        self._offsets = np.asarray(offsets, dtype=np.uint64)
        count = len(self._offsets) - 1
        if count < 0:
            raise ValueError("offsets has one more entry than there are frames: at least one")
        self._timestamps_ns = _column(timestamps_ns, UNKNOWN_TIME, count, np.int64, "timestamps_ns")
        self._original_lengths = (
            None if original_lengths is None else _column(original_lengths, 0, count, np.uint32, "original_lengths")
        )
        self._link_types: NDArray[np.uint16] | int = _column(link_types, RAW_OCTETS, count, np.uint16, "link_types")
        self._interfaces = _column(interfaces, 0, count, np.uint32, "interfaces")
        self._annotations = list(annotations)
        self._lent = False
        self._handed_out: list[memoryview] = []
        if int(self._offsets[-1]) > len(self._view) or bool((self._offsets[1:] < self._offsets[:-1]).any()):
            raise ValueError("offsets must not decrease nor point past the buffer")
        if self._original_lengths is not None and bool((self._original_lengths < self.lengths).any()):
            raise ValueError("original_lengths must not be less than what is there")

    @classmethod
    def of(cls, frames: Iterable[Buffer], timestamps_ns: Sequence[int] | None = None, **columns: Any) -> Burst:
        """A burst of copies of `frames`; the other columns as for the constructor."""
        pieces = [bytes(frame) for frame in frames]
        offsets = np.zeros(len(pieces) + 1, dtype=np.uint64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        return cls(b"".join(pieces), offsets, timestamps_ns, **columns)

    @classmethod
    def of_native(cls, columns: tuple[Any, ...], link_types: NDArray[np.uint16] | int) -> Burst:
        """A burst of what a kernel returned, whose columns fit by construction."""
        burst = cls.__new__(cls)
        octets, offsets, timestamps_ns, original_lengths, interfaces, annotations = columns
        burst._octets = octets
        burst._view = memoryview(octets)
        burst._offsets = np.frombuffer(offsets, _U64)
        burst._timestamps_ns = np.frombuffer(timestamps_ns, _I64)
        burst._original_lengths = np.frombuffer(original_lengths, _U32)
        burst._interfaces = np.frombuffer(interfaces, _U32)
        burst._link_types = link_types
        burst._annotations = annotations
        burst._lent = False
        burst._handed_out = []
        return burst

    @property
    def buffer(self) -> memoryview:
        return self._held()

    @property
    def offsets(self) -> NDArray[np.uint64]:
        self._held()
        return self._offsets

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        self._held()
        return self._timestamps_ns

    @property
    def lengths(self) -> NDArray[np.uint32]:
        """Octets of each frame."""
        self._held()
        return np.diff(self._offsets).astype(np.uint32)

    @property
    def original_lengths(self) -> NDArray[np.uint32]:
        return self.lengths if self._original_lengths is None else self._original_lengths

    @property
    def link_types(self) -> NDArray[np.uint16]:
        self._held()
        if isinstance(self._link_types, int):  # made when asked for: most bursts are never asked
            self._link_types = _column(self._link_types, RAW_OCTETS, len(self), np.uint16, "link_types")
        return self._link_types

    @property
    def interfaces(self) -> NDArray[np.uint32]:
        self._held()
        return self._interfaces

    @property
    def annotations(self) -> list[tuple[int, int, bytes]]:
        self._held()
        return self._annotations

    @property
    def comments(self) -> dict[int, list[str]]:
        """Frame index to that frame's comments."""
        found: dict[int, list[str]] = {}
        for frame, code, value in self.annotations:
            if code == COMMENT:
                found.setdefault(frame, []).append(value.decode("utf-8", "replace"))
        return found

    @property
    def octets(self) -> int:
        """Octets of all frames together."""
        self._held()
        return int(self._offsets[-1]) - int(self._offsets[0])

    def __len__(self) -> int:
        self._held()
        return len(self._timestamps_ns)

    def __getitem__(self, index: int | slice) -> Any:
        """The frame at `index` as a memoryview, or the frames of a slice of step 1 as a burst."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError("a burst is sliced with step 1")
            return self.part(start, max(start, stop))
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"frame {index} of a burst of {count}")
        index %= count
        return self._hand_out(int(self._offsets[index]), int(self._offsets[index + 1]))

    def __iter__(self) -> Iterator[memoryview]:
        edges = self.offsets.tolist()
        for start, end in pairwise(edges):
            self._held()
            yield self._hand_out(start, end)

    def __eq__(self, other: object) -> bool:
        """Whether frames, times, wire lengths, link types, interfaces and annotations are the same."""
        if not isinstance(other, Burst):
            return NotImplemented
        columns = ("lengths", "timestamps_ns", "original_lengths", "link_types", "interfaces")
        return (
            len(self) == len(other)
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in columns)
            and self.annotations == other.annotations
            and self._frames_octets() == other._frames_octets()
        )

    __hash__ = None  # type: ignore[assignment]  # compared by content, too big to hash

    def __repr__(self) -> str:
        if self._octets is None:
            return "Burst(no longer lent)"
        return f"Burst({len(self)} frames, {self.octets} octets)"

    def __reduce__(self) -> tuple[object, ...]:
        columns = (self.offsets - self.offsets[0], self.timestamps_ns, self.original_lengths)
        return _restore, (bytes(self._frames_octets()), *columns, self.link_types, self.interfaces, self.annotations)

    def copy(self) -> Burst:
        """A burst of its own memory, whatever becomes of this one."""
        return join([self])

    def columns(self) -> tuple[Any, ...]:
        """Octets, offsets, timestamps and original lengths, as the kernels take them."""
        self._held()
        return self._octets, self._offsets, self._timestamps_ns, self.original_lengths

    def _frames_octets(self) -> memoryview:
        return self._held()[int(self._offsets[0]) : int(self._offsets[-1])]

    def _held(self) -> memoryview:
        if self._octets is None:
            raise LentFrameError("this burst was lent, and the block it was lent for has ended")
        return self._view

    def _hand_out(self, start: int, end: int) -> memoryview:
        frame = self._view[start:end]
        if self._lent:
            self._handed_out.append(frame)
        return frame

    def part(self, start: int, stop: int) -> Burst:
        """The frames from `start` to before `stop` (0 <= start <= stop <= len), sharing the buffer."""
        if self._lent:
            raise LentFrameError("a lent burst cannot be sliced: the slice would outlive it; use copy()")
        part = Burst.__new__(Burst)
        part._octets, part._view = self._octets, self._view
        part._offsets = self._offsets[start : stop + 1]
        part._timestamps_ns = self._timestamps_ns[start:stop]
        own = self._original_lengths
        part._original_lengths = None if own is None else own[start:stop]
        links = self._link_types
        part._link_types = links if isinstance(links, int) else links[start:stop]
        part._interfaces = self._interfaces[start:stop]
        part._annotations = [(i - start, code, value) for i, code, value in self._annotations if start <= i < stop]
        part._lent = False
        part._handed_out = []
        return part

    def lend(self) -> Callable[[], None]:
        """For drivers: mark as lent; the returned function ends that, and every frame handed out with it."""
        self._lent = True
        self._view = self._view[:]  # a view of its own, released without touching the owner's

        def take_back() -> None:
            self._octets = None
            for frame in self._handed_out:
                frame.release()
            self._handed_out.clear()
            self._view.release()

        return take_back


def join(bursts: Iterable[Burst]) -> Burst:
    """One burst of the frames of several, in order, with memory of its own."""
    parts = list(bursts)
    if not parts:
        return Burst(b"", [0])
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.zeros(len(lengths) + 1, dtype=np.uint64)
    np.cumsum(lengths, out=offsets[1:])
    annotations = []
    first = 0
    for part in parts:
        annotations += [(first + frame, code, value) for frame, code, value in part.annotations]
        first += len(part)
    return Burst(
        b"".join(part._frames_octets() for part in parts),
        offsets,
        np.concatenate([part.timestamps_ns for part in parts]),
        original_lengths=np.concatenate([part.original_lengths for part in parts]),
        link_types=np.concatenate([part.link_types for part in parts]),
        interfaces=np.concatenate([part.interfaces for part in parts]),
        annotations=annotations,
    )


def _restore(
    octets: bytes, offsets: Any, timestamps_ns: Any, original: Any, links: Any, faces: Any, notes: Any
) -> Burst:
    return Burst(
        octets, offsets, timestamps_ns, original_lengths=original, link_types=links, interfaces=faces, annotations=notes
    )


def _column(given: Any, default: int, count: int, kind: type, name: str) -> NDArray[Any]:
    """`given` as a column of `count` entries; one number (or none) stands for all of them."""
    value = default if given is None else given
    if isinstance(value, int):
        return np.broadcast_to(np.array(value, dtype=kind), count)
    column: NDArray[Any] = np.asarray(value, dtype=kind)
    if column.shape != (count,):
        raise ValueError(f"{name} has shape {column.shape}, not ({count},)")
    return column
