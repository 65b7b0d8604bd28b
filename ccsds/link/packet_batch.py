"""Packets by the million: one buffer, where each packet lies in it, and columns.  No object per packet.

Sources: CCSDS 133.0-B-2 section 4.1 (space packets), CCSDS 133.1-B-3 section 4.1 (encapsulation packets).
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ccsds import _native
from ccsds.errors import FieldError
from ccsds.layout import Octets
from ccsds.link.columns import as_array, as_arrays, as_offsets
from ccsds.packets.space_packet import PRIMARY_HEADER, SpacePacket

__all__ = ["MAXIMUM_PACKET_OCTETS", "PacketBatch", "PacketWalker", "packet_batches", "space_packets"]

MAXIMUM_PACKET_OCTETS = 1 << 24
"""Longest packet that is believed unless told otherwise.  Space packets end at 65542 octets; the length field of
an encapsulation packet may ask for 4 GiB, which in a damaged file would swallow all that follows."""

_ENCAPSULATION_PACKET = 7
_UNIT = "packet file"


class PacketBatch:
    """Packets that lie in one buffer, in any order, with gaps or without.

    Attributes: octets: the buffer.  starts, ends: uint64, shape (n,): packet i is octets[starts[i]:ends[i]].
                trailing_octets: after the last packet, that are no whole packet (a truncated one, or what a refusal
                left).  refusal: why the walk ended before the end of the octets, or None; its octet_offset counts from
                the start of the file or stream.

    `batch["application_process_id"]` is a column, by the name of a primary header field or of an extra column.  Header
    columns are zero, but for packet_version_number, where the packet is no space packet, or an incomplete one without
    all of its header.  `batch[3]` is a packet object; `batch[2:9]`, `batch[mask]` and `batch[indices]` are batches over
    the same octets.
    """

    __slots__ = ("_columns", "ends", "octets", "refusal", "starts", "trailing_octets")

    def __init__(
        self,
        octets: Octets | _native.Octets,
        starts: ArrayLike,
        ends: ArrayLike,
        columns: Mapping[str, ArrayLike] | None = None,
        *,
        trailing_octets: int = 0,
        refusal: FieldError | None = None,
    ) -> None:
        """Raises ValueError where starts, ends and columns differ in length, or a packet lies outside the octets."""
        self.octets = octets
        self.starts = as_offsets(starts)
        self.ends = as_offsets(ends)
        self.trailing_octets = trailing_octets
        self.refusal = refusal
        self._columns: dict[str, NDArray[Any]] = {}
        if len(self.starts) != len(self.ends):
            raise ValueError(f"{len(self.starts)} starts, {len(self.ends)} ends")
        if len(self.starts) and (bool((self.ends <= self.starts).any()) or int(self.ends.max()) > len(octets)):
            raise ValueError("a packet is empty or lies outside the octets")
        for name, column in (columns or {}).items():
            self.add_column(name, column)

    @classmethod
    def _trusted(
        cls,
        octets: Octets | _native.Octets,
        starts: NDArray[np.uint64],
        ends: NDArray[np.uint64],
        columns: dict[str, NDArray[Any]],
        trailing_octets: int = 0,
        refusal: FieldError | None = None,
    ) -> PacketBatch:
        """A batch of arrays that are known to agree."""
        batch = cls.__new__(cls)
        batch.octets = octets
        batch.starts = starts
        batch.ends = ends
        batch._columns = columns
        batch.trailing_octets = trailing_octets
        batch.refusal = refusal
        return batch

    @classmethod
    def concatenate(cls, batches: Sequence[PacketBatch]) -> PacketBatch:
        """One batch of the packets of several, in order, over a copy of their octets.

        Kept are the columns that all of them have (the header's always), the trailing octets and refusal of the last.
        """
        if not batches:
            return cls(b"", [], [])
        ends = np.cumsum(np.concatenate([batch.lengths for batch in batches]), dtype=np.uint64)
        starts = np.concatenate([np.zeros(min(len(ends), 1), np.uint64), ends[:-1]])
        names = [name for name in batches[0].names if all(name in batch.names for batch in batches)]
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in names}
        octets = b"".join(batch.to_bytes() for batch in batches)
        return cls._trusted(octets, starts, ends, columns, batches[-1].trailing_octets, batches[-1].refusal)

    def add_column(self, name: str, column: ArrayLike) -> None:
        """Attach one value per packet under `name`.  Raises ValueError where the length differs."""
        array = np.asarray(column)
        if array.shape[:1] != (len(self),):
            raise ValueError(f"column {name!r} has shape {array.shape}, the batch has {len(self)} packets")
        self._columns[name] = array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns: the primary header's first."""
        return tuple(dict.fromkeys((*PRIMARY_HEADER.names, *self._columns)))

    @property
    def lengths(self) -> NDArray[np.uint64]:
        """Octets of each packet, header included."""
        return self.ends - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        tail = f", {self.trailing_octets} trailing octets" if self.trailing_octets else ""
        return f"<PacketBatch of {len(self)} packets in {len(self.octets)} octets{tail}>"

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> Any: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | list[int] | list[bool]) -> PacketBatch: ...
    def __getitem__(self, key: str | int | slice | NDArray[Any] | list[int] | list[bool]) -> Any:
        """A column, a packet object, or a batch of some of the packets over the same octets."""
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, (int, np.integer)):
            return self._packet(int(key))
        if isinstance(key, list) and not key:
            key = slice(0)
        columns = {name: column[key] for name, column in self._columns.items()}
        return self._trusted(self.octets, self.starts[key], self.ends[key], columns)

    def _column(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            if name not in PRIMARY_HEADER.names:
                raise KeyError(f"no column {name!r}; there are {', '.join(self.names)}")
            for field, column in zip(PRIMARY_HEADER.names, self._header_columns(), strict=True):
                self._columns.setdefault(field, column)
        return self._columns[name]

    def _header_columns(self) -> list[NDArray[Any]]:
        """The fields of the headers; of an incomplete packet that is shorter than its header only the version."""
        whole = self.lengths >= np.uint64(PRIMARY_HEADER.octets)
        cut = as_arrays(_native.packet_columns(self.octets, np.ascontiguousarray(self.starts[whole])))
        if whole.all():
            return list(cut)
        columns = [np.zeros(len(self), dtype=column.dtype) for column in cut]
        for column, part in zip(columns, cut, strict=True):
            column[whole] = part
        octets: NDArray[np.uint8] = np.frombuffer(memoryview(self.octets), dtype=np.uint8)
        columns[0][~whole] = octets[self.starts[~whole]] >> 5
        for column in columns:
            column.flags.writeable = False
        return columns

    def packet_octets(self, index: int) -> memoryview:
        """The octets of one packet, header included, without a copy."""
        return memoryview(self.octets)[int(self.starts[index]) : int(self.ends[index])]

    def _packet(self, index: int) -> Any:
        """A SpacePacket, or an EncapsulationPacket where the version number says so."""
        octets = self.packet_octets(index)
        if octets[0] >> 5 != _ENCAPSULATION_PACKET:
            return SpacePacket.decode(octets)
        module = importlib.import_module("ccsds.packets.encapsulation_packet")
        return module.EncapsulationPacket.decode(octets)

    def to_bytes(self) -> bytes:
        """The packets back to back, as a packet file holds them; neighbours are copied in one piece."""
        if not len(self):
            return b""
        view = memoryview(self.octets)
        breaks = np.flatnonzero(self.starts[1:] != self.ends[:-1]) + 1
        pieces = pairwise([0, *breaks.tolist(), len(self)])
        return b"".join(view[int(self.starts[first]) : int(self.ends[end - 1])] for first, end in pieces)


def space_packets(
    buffer: Octets, *, encapsulation: bool = True, maximum_packet_octets: int = MAXIMUM_PACKET_OCTETS
) -> PacketBatch:
    """Walk space packets that lie back to back, as in a packet file; encapsulation packets may stand among them.

    Args:    buffer: read in place when it is `bytes`, else copied once.
             encapsulation: accept packet version number 7.
             maximum_packet_octets: a longer packet stops the walk.
    Returns: all packets up to the first octet that begins no whole packet.  What is left counts in `trailing_octets`;
             where it is no packet at all (version, length), `refusal` says so and at which octet.
    Raises:  nothing for any octets.
    Source:  CCSDS 133.0-B-2 section 4.1, CCSDS 133.1-B-3 section 4.1.
    """
    octets = buffer if type(buffer) is bytes else bytes(buffer)
    return _scan(octets, encapsulation, maximum_packet_octets, 0)[0]


def _scan(octets: bytes, encapsulation: bool, maximum: int, before: int) -> tuple[PacketBatch, int]:
    """The packets of `octets`, which begin `before` octets into the stream, and the octets needed for the next one."""
    found, cut, needed, stop = _native.scan_packets(octets, encapsulation=encapsulation, maximum_octets=maximum)
    offsets = as_array(found)
    columns = dict(zip(PRIMARY_HEADER.names, as_arrays(cut), strict=True))
    end = int(offsets[-1])
    refusal = _refusal(stop, before + end, encapsulation, maximum) if stop else None
    batch = PacketBatch._trusted(octets, offsets[:-1], offsets[1:], columns, len(octets) - end, refusal)
    return batch, needed


def _refusal(stop: tuple[str, int], octet_offset: int, encapsulation: bool, maximum: int) -> FieldError:
    kind, value = stop
    clause = PRIMARY_HEADER.clause("packet_version_number")
    if kind == "version":
        message = f"packet version number {value} is not {'0 or 7' if encapsulation else '0'}"
    elif kind == "too long":
        message = f"a packet of {value} octets, at most {maximum} are believed"
        clause = PRIMARY_HEADER.clause("packet_data_length")
    elif kind == "no length":
        message = f"an encapsulation packet of protocol {value} needs a length field, and the header has none"
        clause = "CCSDS 133.1-B-3 §4.1.2.4"
    else:
        message = f"an encapsulation packet of {value} octets is shorter than its header"
        clause = "CCSDS 133.1-B-3 §4.1.2.8"
    return FieldError(message, unit=_UNIT, octet_offset=octet_offset, clause=clause)


class PacketWalker:
    """`space_packets` for files larger than memory: feed pieces of any size, get the packets that end in each.

    All batches together hold the packets that `space_packets` finds in the whole.  At most one unfinished packet is
    held between calls, so memory stays below a piece and `maximum_packet_octets`.

    Attributes: octets_fed, refusal (as in PacketBatch; once set, what follows is counted and dropped).
    """

    __slots__ = ("_encapsulation", "_maximum", "_needed", "_pieces", "_waiting", "octets_fed", "refusal")

    def __init__(self, *, encapsulation: bool = True, maximum_packet_octets: int = MAXIMUM_PACKET_OCTETS) -> None:
        self._encapsulation = encapsulation
        self._maximum = maximum_packet_octets
        self._pieces: list[bytes] = []
        self._waiting = 0  # octets in _pieces; after a refusal, octets left over
        self._needed = 1
        self.octets_fed = 0
        self.refusal: FieldError | None = None

    def feed(self, chunk: Octets) -> PacketBatch:
        """The packets that end in `chunk`.  The batch owns its octets; its trailing_octets wait for the next chunk."""
        piece = chunk if type(chunk) is bytes else bytes(chunk)
        self.octets_fed += len(piece)
        self._waiting += len(piece)
        if self.refusal is not None:
            return self._nothing()
        if piece:
            self._pieces.append(piece)
        if self._waiting < self._needed:
            return self._nothing()
        octets = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        batch, needed = _scan(octets, self._encapsulation, self._maximum, self.octets_fed - self._waiting)
        self._waiting = batch.trailing_octets
        self._needed = max(needed, 1)
        self.refusal = batch.refusal
        keep = self._waiting and self.refusal is None
        self._pieces = [octets[len(octets) - self._waiting :]] if keep else []
        return batch

    def finish(self) -> PacketBatch:
        """The end of the stream: no packets, but trailing_octets and refusal as `space_packets` tells them."""
        self._pieces = []
        self._needed = 1
        return self._nothing()

    def _nothing(self) -> PacketBatch:
        batch = space_packets(b"")
        batch.trailing_octets = self._waiting
        batch.refusal = self.refusal
        return batch


def packet_batches(
    file: BinaryIO,
    *,
    chunk_octets: int = 4 << 20,
    encapsulation: bool = True,
    maximum_packet_octets: int = MAXIMUM_PACKET_OCTETS,
) -> Iterator[PacketBatch]:
    """The packets of an open packet file, a batch for each chunk that is read, from where the file stands.

    Where the file can seek, an unfinished packet is read again with the next chunk, which is cheaper than joining the
    chunks; a pipe is fed to a PacketWalker.  Offsets in a batch count from its own octets; a refusal's from the first
    octet read.

    Returns: at least one batch.  The last one has no packets; its trailing_octets and refusal are those of the file.
    """
    walker = PacketWalker(encapsulation=encapsulation, maximum_packet_octets=maximum_packet_octets)
    if not file.seekable():
        while chunk := file.read(chunk_octets):
            yield walker.feed(chunk)
        yield walker.finish()
        return
    left, needed, before, refusal = 0, 1, 0, None
    while refusal is None and len(octets := file.read(max(chunk_octets, needed))) > left:
        batch, needed = _scan(octets, encapsulation, maximum_packet_octets, before)
        left, refusal = batch.trailing_octets, batch.refusal
        before += len(octets) - left
        file.seek(-left, io.SEEK_CUR)
        yield batch
    # What is left: an unfinished packet that was read once more, or all that follows a refusal.
    at = file.tell() if refusal else file.tell() - left
    end = space_packets(b"")
    end.trailing_octets = file.seek(0, io.SEEK_END) - at
    end.refusal = refusal
    yield end
