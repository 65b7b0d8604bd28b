"""Access data units and octet streams of the MAPs of one feed: one buffer, where each unit lies in it, and columns.

Sources: CCSDS 232.0-B-4 section 3.4 (MAP access), CCSDS 732.1-B-3 sections 3.5 (MAP access) and 3.9 (octet stream).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from ccsds import _native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["UnitBatch"]


class UnitBatch:
    """Units in order of completion; a portion of an octet stream counts as one (column `octet_stream`).

    Columns, numpy arrays of one element per unit: frame_index (of the frame in which it starts), reception_time_ns (of
    that frame, -1: unknown), spacecraft_id, virtual_channel_id, map_id (-1: none), uslp_protocol_id (0 of TC),
    octet_stream, complete, segments (frames in which it came), corrected_symbols, lost_frames_before.

    `batch["map_id"]` is a column, `batch[3]` the octets of a unit, `batch[2:9]` and `batch[mask]` are batches over the
    same memory.
    """

    __slots__ = ("_octets", "columns", "ends", "starts")

    def __init__(
        self,
        octets: _native.Octets,
        starts: NDArray[np.uint64],
        ends: NDArray[np.uint64],
        columns: Mapping[str, NDArray[Any]],
    ) -> None:
        self._octets = octets
        self.starts = starts
        self.ends = ends
        self.columns = columns

    @classmethod
    def concatenate(cls, batches: Sequence[UnitBatch]) -> UnitBatch:
        """Batches of one receiver, one after the other; at least one."""
        import numpy as np

        shifts = np.cumsum([0, *(len(batch._octets) for batch in batches)], dtype=np.uint64)
        return cls(
            _native.concatenate([batch._octets for batch in batches]),
            np.concatenate([batch.starts + shift for batch, shift in zip(batches, shifts, strict=False)]),
            np.concatenate([batch.ends + shift for batch, shift in zip(batches, shifts, strict=False)]),
            {name: np.concatenate([batch.columns[name] for batch in batches]) for name in batches[0].columns},
        )

    @property
    def lengths(self) -> NDArray[np.uint64]:
        """Octets of each unit."""
        return self.ends - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"<UnitBatch of {len(self)} units>"

    def __iter__(self) -> Iterator[bytes]:
        return (self[number] for number in range(len(self)))

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> bytes: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any]) -> UnitBatch: ...
    def __getitem__(self, key: str | int | slice | NDArray[Any]) -> NDArray[Any] | bytes | UnitBatch:
        """A column by name, the octets of a unit by number, or the selected units (slice, mask or numbers)."""
        import numpy as np

        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.columns)}")
            return self.columns[key]
        if isinstance(key, slice | np.ndarray):
            columns = {name: column[key] for name, column in self.columns.items()}
            return UnitBatch(self._octets, self.starts[key], self.ends[key], columns)
        return bytes(memoryview(self._octets)[int(self.starts[key]) : int(self.ends[key])])

    def to_bytes(self) -> bytes:
        """The units one after the other."""
        return bytes(memoryview(_native.gather(self._octets, self.starts, self.lengths)))
