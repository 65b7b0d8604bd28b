"""Transfer frames of one feed: octets in one buffer, a column per property, objects on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from ccsds import _native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ccsds.frames.aos import AosTransferFrame
    from ccsds.frames.tc import TcTransferFrame
    from ccsds.frames.tm import TmTransferFrame
    from ccsds.frames.uslp import UslpTransferFrame
    from ccsds.link.managed_parameters import MasterChannel, PhysicalChannel, VirtualChannel

    AnyTransferFrame: TypeAlias = TmTransferFrame | AosTransferFrame | TcTransferFrame | UslpTransferFrame

__all__ = ["QUALITY", "STATUS", "FrameBatch"]

_status, _quality = _native.frame_names()
STATUS: Mapping[str, int] = {name: value for value, name in enumerate(_status)}
"""Values of the column `status`: accepted frames were delivered, the others tell why they were not."""
QUALITY: Mapping[str, int] = {name: 1 << bit for bit, name in enumerate(_quality)}
"""Bits of the column `quality`."""


class FrameBatch:
    """Frames in order of reception, damaged and foreign ones included (column `status` tells).

    Columns, numpy arrays of one element per frame: frame_index (number of the record), bit_position, reception_time_ns
    (-1: unknown), status, quality, corrected_symbols (-1: past correction), spacecraft_id, virtual_channel_id,
    virtual_channel_frame_count, lost_frames_before, pointer, zone_offset, zone_octets.  Of TC and USLP frames also
    frame_octets, map_id (-1: none), and by their names the other fields of their headers; TC frames have
    frame_sequence_number for the count, and sequence_flags 255 without a segment header.
    `octets` is uint8 of shape (frames, octets of a frame).
    """

    __slots__ = ("_channel", "_octets", "_starts", "columns")

    def __init__(
        self,
        octets: _native.Octets,
        columns: Mapping[str, NDArray[Any]],
        channel: PhysicalChannel,
        starts: NDArray[np.uint64] | None = None,
    ) -> None:
        """`starts`: of each frame among the octets; left out where the frames lie there back to back, all of them."""
        self._octets = octets
        self._channel = channel
        self._starts = starts
        self.columns = columns

    @property
    def octets(self) -> NDArray[np.uint8]:
        """The frames, shape (frames, octets of a frame); read only.

        Raises: ValueError: they are of variable length; see `frame_octets`.
        """
        import numpy as np

        if not self._channel.fixed_frame_length:
            raise ValueError("frames of variable length make no array; frame_octets(number) gives one of them")
        octets: NDArray[np.uint8] = np.frombuffer(memoryview(self._octets), dtype=np.uint8)
        size = self._channel.frame_octets
        octets = octets.reshape(-1, size)
        return octets if self._starts is None else octets[self._starts // np.uint64(size)]

    @property
    def starts(self) -> NDArray[np.uint64]:
        """Where each frame starts among the octets of the batch that it was received in."""
        import numpy as np

        if self._starts is not None:
            return self._starts
        ends = np.cumsum(self.lengths, dtype=np.uint64)
        return ends - self.lengths

    @property
    def lengths(self) -> NDArray[np.uint64]:
        """Octets of each frame."""
        import numpy as np

        if "frame_octets" in self.columns:
            return self.columns["frame_octets"].astype(np.uint64)
        return np.full(len(self), self._channel.frame_octets, dtype=np.uint64)

    @classmethod
    def concatenate(cls, batches: Sequence[FrameBatch]) -> FrameBatch:
        """Batches of one channel, one after the other; at least one."""
        import numpy as np

        first = batches[0]
        if len(batches) == 1:
            return first
        octets = _native.concatenate([batch._octets for batch in batches])
        columns = {name: np.concatenate([batch.columns[name] for batch in batches]) for name in first.columns}
        if all(batch._starts is None for batch in batches):
            return cls(octets, columns, first._channel)
        before = np.cumsum([0, *(len(batch._octets) for batch in batches)], dtype=np.uint64)
        shifted = [batch.starts + start for batch, start in zip(batches, before, strict=False)]
        return cls(octets, columns, first._channel, np.concatenate(shifted))

    def __len__(self) -> int:
        return len(self.columns["status"])

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> AnyTransferFrame: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any]) -> FrameBatch: ...
    def __getitem__(self, key: str | int | slice | NDArray[Any]) -> NDArray[Any] | AnyTransferFrame | FrameBatch:
        """A column by name, a frame object by number, or the selected frames (slice, mask or numbers)."""
        import numpy as np

        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.columns)}")
            return self.columns[key]
        if isinstance(key, slice | np.ndarray):
            columns = {name: column[key] for name, column in self.columns.items()}
            return FrameBatch(self._octets, columns, self._channel, self.starts[key])
        return self._frame(int(key))

    def __iter__(self) -> Iterator[AnyTransferFrame]:
        return (self._frame(number) for number in range(len(self)))

    def __repr__(self) -> str:
        return f"<FrameBatch of {len(self)} {self._channel.frame_type} frames>"

    def frame_octets(self, number: int) -> memoryview:
        """The octets of one frame, without a copy."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"frame {number} of {len(self)}")
        size = self._channel.frame_octets
        if self._starts is None and "frame_octets" not in self.columns:
            start, length = number % len(self) * size, size
        else:
            start, length = int(self.starts[number]), int(self.lengths[number])
        return memoryview(self._octets)[start : start + length]

    def service(self, spacecraft_id: int, virtual_channel_id: int) -> str:
        """What a virtual channel carries by the managed parameters: packets, access or bitstream."""
        return self._channel.find(spacecraft_id, virtual_channel_id)[1].service

    @property
    def accepted(self) -> FrameBatch:
        """The frames that were delivered: no damaged, foreign or repeated ones."""
        mask: NDArray[np.bool_] = self.columns["status"] == STATUS["accepted"]
        return self[mask]

    def data_zones(self) -> memoryview:
        """The data zones of the accepted frames, one after the other."""
        accepted = self.accepted
        return accepted._cut(accepted.columns["zone_offset"], accepted.columns["zone_octets"])

    def bitstream_bits(self) -> NDArray[np.uint8]:
        """The user data bits of the accepted bitstream frames (AOS B_PDU), one per element, in order of reception.

        Of frames of virtual channels whose service is bitstream only; idle bits behind the pointer are left out.
        """
        import numpy as np

        accepted = self.accepted
        zones = np.frombuffer(accepted.data_zones(), dtype=np.uint8)
        pieces, at = [], 0
        columns = (accepted.columns[name] for name in ("zone_octets", "pointer", "quality"))
        for octets, pointer, quality in zip(*(column.tolist() for column in columns), strict=True):
            if not quality & QUALITY["only_idle_data"]:
                # 732.0-B-5 §4.1.4.3.3: the pointer is the number of the last user bit; all ones, no idle bits.
                pieces.append(np.unpackbits(zones[at : at + octets])[: pointer + 1])
            at += octets
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.uint8)

    def insert_zones(self) -> memoryview:
        """The insert zones (AOS, USLP) of the accepted frames, one after the other."""
        import numpy as np

        accepted, octets = self.accepted, self._channel.insert_zone_octets
        if not octets:
            return memoryview(b"")
        starts = np.full(len(accepted), 8 if self._channel.header_error_control else 6)
        if self._channel.frame_type == "USLP":
            accepted = accepted[accepted.columns["end_of_frame_primary_header_flag"] == 0]
            starts = accepted.columns["virtual_channel_frame_count_length"] + 7
        return accepted._cut(starts, np.full(len(accepted), octets))

    def secondary_headers(self) -> memoryview:
        """The secondary headers (TM) of the accepted frames that have one, one after the other."""
        import numpy as np

        if self._channel.frame_type != "TM":
            return memoryview(b"")
        accepted = self.accepted
        present = accepted[accepted.columns["zone_offset"] > 6]
        return present._cut(np.full(len(present), 6), present.columns["zone_offset"] - np.uint32(6))

    def operational_control_fields(self) -> tuple[FrameBatch, NDArray[np.uint32]]:
        """The accepted frames that carry an OCF, and the OCFs as numbers of 32 bits."""
        import numpy as np

        accepted = self.accepted
        present = accepted[accepted.columns["quality"] & QUALITY["operational_control_field"] != 0]
        channel = self._channel
        trailer = 4 + (channel.frame_error_control_octets if channel.frame_error_control else 0)
        octets = present._cut(present.lengths - np.uint64(trailer), np.full(len(present), 4))
        return present, np.frombuffer(octets, dtype=">u4").astype(np.uint32)

    def _cut(self, offsets: NDArray[Any], lengths: NDArray[Any]) -> memoryview:
        import numpy as np

        starts = self.starts + offsets.astype(np.uint64)
        return memoryview(_native.gather(self._octets, starts, lengths.astype(np.uint64)))

    def _frame(self, number: int) -> AnyTransferFrame:
        """One frame as an object, whatever its damage; raises DecodeError where its headers cannot be read."""
        octets = bytes(self.frame_octets(number))
        ids = (int(self.columns[name][number]) for name in ("spacecraft_id", "virtual_channel_id"))
        return _decode(octets, self._channel, *self._channel.find(*ids))


def _decode(
    octets: bytes, channel: PhysicalChannel, master_channel: MasterChannel, virtual_channel: VirtualChannel
) -> AnyTransferFrame:
    """A frame object by the managed parameters of its channel; a check that fails is no obstacle."""
    if channel.frame_type == "TM":
        from ccsds.frames.tm import TmTransferFrame

        return TmTransferFrame.decode(
            octets,
            frame_error_control_present=channel.frame_error_control,
            secondary_header_octets=virtual_channel.secondary_header_octets,
            check=False,
        )
    if channel.frame_type == "TC":
        from ccsds.frames.tc import TcTransferFrame

        return TcTransferFrame.decode(
            octets,
            segment_header_present=virtual_channel.segment_header,
            frame_error_control_present=channel.frame_error_control,
            check=False,
        )
    if channel.frame_type == "USLP":
        from ccsds.frames.uslp import UslpTransferFrame

        return UslpTransferFrame.decode(
            octets,
            frame_error_control_present=channel.frame_error_control,
            frame_error_control_octets=channel.frame_error_control_octets,
            insert_zone_octets=channel.insert_zone_octets,
            check=False,
        )
    from ccsds.frames.aos import AosTransferFrame

    return AosTransferFrame.decode(
        octets,
        frame_error_control_present=channel.frame_error_control,
        frame_header_error_control_present=channel.header_error_control is not None,
        operational_control_field_present=virtual_channel.has_operational_control_field(master_channel),
        insert_zone_octets=channel.insert_zone_octets,
        issue=channel.issue,
        check=False,
    )
