"""The receiving chain: octets in, frames and packets out, and an account.  Source: CCSDS 130.0-G-3 section 4."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from ccsds import _native
from ccsds.errors import ConfigurationError, ProtocolError
from ccsds.layout import Octets
from ccsds.link.account import Account, account_from_rows
from ccsds.link.frame_batch import FrameBatch
from ccsds.link.managed_parameters import FrameType, MasterChannel, Mission, PhysicalChannel, VirtualChannel
from ccsds.link.missions import load_mission
from ccsds.link.packet_batch import PacketBatch
from ccsds.link.unit_batch import UnitBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Batch", "Receiver", "Reception", "receive"]

PIECE_OCTETS = 1 << 20
UNKNOWN_TIME = -1
PACKET_FILE_CHANNEL = VirtualChannel(virtual_channel_id=0, maximum_packet_octets=1 << 24)
FRAME_COLUMNS = (
    "frame_index",
    "spacecraft_id",
    "virtual_channel_id",
    "replay",
    "corrected_symbols",
    "lost_frames_before",
)
"""Columns of packets that say something only where there are frames."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one feed gave.  Owns its memory.

    packets: in order of completion.  frames: in order of reception; None for a stream of packets without frames.
    units: access data units and octet streams of the MAPs of TC and USLP channels; None for other channels.
    """

    packets: PacketBatch
    frames: FrameBatch | None
    units: UnitBatch | None = None


class Reception(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reception: all packets, all frames (None for a packet file), the account, and all units of MAPs.

    Columns of the packets beside those of their headers: frame_index (of the frame in which it starts),
    reception_time_ns (of that frame, -1: unknown), spacecraft_id, virtual_channel_id, replay, complete,
    corrected_symbols (in its frames), lost_frames_before (of its channel, since the packet before it); of TC and USLP
    channels also map_id (-1: none).
    """

    packets: PacketBatch
    frames: FrameBatch | None
    account: Account
    units: UnitBatch | None = None


class Receiver:
    """One physical channel at work.  Takes pieces of any size; the split changes nothing.

    Args:   mission: a mission or physical channel, the name of a profile, or the path of a TOML file.  A mission
                without a physical channel is a stream of packets, one after the other.
            deliver_idle_packets: idle packets come out too; they are counted in any case.
            digest: the account holds SHA-256 digests of the packets of each virtual channel.
    Raises: ConfigurationError: the parameters contradict each other.
    """

    def __init__(
        self,
        mission: Mission | PhysicalChannel | str | Path,
        *,
        deliver_idle_packets: bool = False,
        digest: bool = False,
    ) -> None:
        if isinstance(mission, str | Path):
            mission = load_mission(mission)
        channel = mission.physical_channel if isinstance(mission, Mission) else mission
        self._channel = channel
        self._finished = False
        self._chain: _native.ReceivingChain | _native.PacketStream
        if channel is None:
            items = _virtual_channel_items(PACKET_FILE_CHANNEL, False)
            self._chain = _native.PacketStream(items, deliver_idle_packets, digest)
            return
        try:
            self._chain = _native.ReceivingChain(_physical_channel_items(channel, deliver_idle_packets, digest))
        except ValueError as error:
            raise ConfigurationError(f"physical_channel: {error}") from None

    @property
    def channel(self) -> PhysicalChannel | None:
        """The managed parameters in force; None for a stream of packets."""
        return self._channel

    def feed(self, octets: Octets, *, reception_time_ns: int | None = None) -> Batch:
        """Take in octets, received at `reception_time_ns` (of their first octet).

        Of TC frames and of USLP frames of variable length, which lie back to back: the length field says where the next
        one starts.  Where it leads astray, the next frame is looked for (`resynchronizations` in the account).
        """
        self._require_open()
        time_ns = UNKNOWN_TIME if reception_time_ns is None else reception_time_ns
        return self._batch(self._chain.feed(octets, time_ns))

    def feed_bits(self, bits: Octets | NDArray[np.uint8], *, reception_time_ns: int | None = None) -> Batch:
        """Take in bits, one per octet (0 or 1), for instance from a demodulator.

        Raises: ConfigurationError: the channel has no marker that bits could be cut by.
        """
        self._require_open()
        time_ns = UNKNOWN_TIME if reception_time_ns is None else reception_time_ns
        if isinstance(self._chain, _native.PacketStream):
            raise ConfigurationError("bits need a synchronisation marker to be cut by; this mission has packets only")
        try:
            return self._batch(self._chain.feed_bits(bits, time_ns))
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def feed_records(self, octets: Octets, offsets: NDArray[np.uint64], reception_times_ns: NDArray[np.int64]) -> Batch:
        """Take in records as they were received, for instance datagrams, each with its time.

        Of a channel without markers, a record is one frame (or codeblock); one of a wrong length is counted, and so are
        octets behind a frame of variable length (fill).  Of a channel with markers, and of packets, records are pieces
        of the stream.

        Args:   offsets: record i is octets[offsets[i]:offsets[i + 1]].  reception_times_ns: -1 where unknown.
        Raises: ValueError: offsets fall, leave the octets, or are not one more than the times.
        """
        self._require_open()
        return self._batch(self._chain.feed_records(octets, offsets, reception_times_ns))

    def finish(self) -> Batch:
        """The stream ends: decide what is left, end the packets in progress.  Nothing can be fed afterwards."""
        self._require_open()
        self._finished = True
        return self._batch(self._chain.finish())

    @property
    def account(self) -> Account:
        """What was counted so far."""
        chain, channel = self._chain, self._channel
        if isinstance(chain, _native.PacketStream) or channel is None:
            assert isinstance(chain, _native.PacketStream)
            return _packet_account(chain)
        return account_from_rows(
            chain.virtual_channels(),
            {**chain.totals(), "unreadable_octets": 0},
            master_channels=chain.master_channels(),
            synchronization=chain.synchronization(),
            sequences=chain.sequences(),
            maps=chain.maps(),
            aliasing=chain.aliases(),
            warnings=channel.warnings(),
        )

    def _require_open(self) -> None:
        if self._finished:
            raise ProtocolError("this receiver is finished; make a new one for another stream")

    def _batch(self, tables: _native._Tables) -> Batch:
        frame_count, frames, frame_octets, packet_count, packets, packet_octets, with_maps = tables
        packet_columns = _PACKET_TABLE.columns(packet_count, packets)
        starts = packet_columns.pop("start")
        ends = starts + packet_columns.pop("length")
        if self._channel is None:
            for name in FRAME_COLUMNS:
                del packet_columns[name]
            return Batch(packets=PacketBatch._trusted(packet_octets, starts, ends, packet_columns), frames=None)
        frame_columns, units = _FRAME_TABLE.columns(frame_count, frames), None
        if self._channel.frame_type in ("TC", "USLP"):
            more_of_frames, more_of_packets, unit_count, unit_table, unit_octets = with_maps or _NOTHING
            frame_columns |= _MAP_FRAME_TABLE.columns(frame_count, more_of_frames)
            frame_columns = _named_as_in(self._channel.frame_type, frame_columns)
            packet_columns |= _MAP_PACKET_TABLE.columns(packet_count, more_of_packets)
            unit_columns = _UNIT_TABLE.columns(unit_count, unit_table)
            unit_starts = unit_columns.pop("start")
            units = UnitBatch(unit_octets, unit_starts, unit_starts + unit_columns.pop("length"), unit_columns)
        return Batch(
            packets=PacketBatch._trusted(packet_octets, starts, ends, packet_columns),
            frames=FrameBatch(frame_octets, frame_columns, self._channel),
            units=units,
        )


class _Table:
    """Columns that lie in one piece of memory, one after the other."""

    def __init__(self, columns: Iterable[tuple[str, str]], alignment: int) -> None:
        self._columns = [(name, np.dtype(letters)) for name, letters in columns]
        self._alignment = alignment
        self._empty = {name: np.empty(0, dtype) for name, dtype in self._columns}

    def columns(self, rows: int, octets: _native.Octets) -> dict[str, NDArray[Any]]:
        """Arrays over the memory, by name."""
        if not rows:
            return self._empty.copy()
        columns, at, memory = {}, 0, memoryview(octets)
        for name, dtype in self._columns:
            columns[name] = np.frombuffer(memory, dtype, rows, at)
            at += -(-rows * dtype.itemsize // self._alignment) * self._alignment
        return columns


def _named_as_in(frame_type: FrameType, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of TC or USLP frames under the names of the fields of that frame; what it has not is left out."""
    names = _COLUMN_NAMES[frame_type]
    return {names.get(name, name): column for name, column in columns.items() if names.get(name, name)}


_COLUMN_NAMES: dict[str, dict[str, str]] = {
    "TC": {
        "virtual_channel_frame_count": "",
        "wide_frame_count": "frame_sequence_number",
        "construction": "sequence_flags",
        "pointer": "",
        "uslp_protocol_id": "",
        "virtual_channel_frame_count_length": "",
        "source_or_destination_id": "",
        "end_of_frame_primary_header_flag": "",
    },
    "USLP": {
        "virtual_channel_frame_count": "",
        "wide_frame_count": "virtual_channel_frame_count",
        "construction": "construction_rule",
        "bypass_flag": "bypass_sequence_control_flag",
        "control_command_flag": "protocol_control_command_flag",
    },
}
_names, _alignment = _native.batch_columns()
_FRAME_TABLE, _PACKET_TABLE, _MAP_FRAME_TABLE, _MAP_PACKET_TABLE, _UNIT_TABLE = (
    _Table(names, _alignment) for names in _names
)
_empty = _native.concatenate([])
_NOTHING = (_empty, _empty, 0, _empty, _empty)


def receive(
    source: Octets | str | Path | IO[bytes],
    mission: Mission | PhysicalChannel | str | Path,
    *,
    deliver_idle_packets: bool = False,
    digest: bool = True,
) -> Reception:
    """Receive all of a recording: a file of CADUs, frames or packets as the mission profile says.

    Args:   source: octets, the path of a file, or a file open for reading octets.
            mission and the rest: as for `Receiver`.
    Returns: everything in memory; for what does not fit, feed a `Receiver` piece by piece.
    Raises: ConfigurationError: profile.  OSError: the file cannot be read.
    """
    receiver = Receiver(mission, deliver_idle_packets=deliver_idle_packets, digest=digest)
    batches = [receiver.feed(piece) for piece in _pieces(source)]
    batches.append(receiver.finish())
    frames = [batch.frames for batch in batches if batch.frames is not None]
    units = [batch.units for batch in batches if batch.units is not None]
    return Reception(
        packets=_concatenate([batch.packets for batch in batches]),
        frames=FrameBatch.concatenate(frames) if frames else None,
        account=receiver.account,
        units=UnitBatch.concatenate(units) if units else None,
    )


def _pieces(source: Octets | str | Path | IO[bytes]) -> Iterator[bytes]:
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as stream:
            yield from _pieces(stream)
        return
    if hasattr(source, "read"):
        while piece := source.read(PIECE_OCTETS):
            yield piece
        return
    yield bytes(memoryview(source))  # an integer is no source, though bytes() takes it for a length


def _concatenate(batches: list[PacketBatch]) -> PacketBatch:
    """Packets of one receiver, batch after batch."""
    shifts = np.cumsum([0, *(len(batch.octets) for batch in batches)], dtype=np.uint64)
    shifted = list(zip(batches, shifts, strict=False))
    return PacketBatch(
        _native.concatenate([cast(_native.Octets, batch.octets) for batch in batches]),  # a receiver made them all
        np.concatenate([batch.starts + shift for batch, shift in shifted]),
        np.concatenate([batch.ends + shift for batch, shift in shifted]),
        {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0].names},
    )


def _packet_account(stream: _native.PacketStream) -> Account:
    """Of a packet file: one virtual channel without identifiers."""
    octets, stopped = stream.trailing()
    names = (
        "records",
        "wrong_length_records",
        "foreign_frames",
        "surplus_channel_frames",
        "fecf_errors",
        "header_error_control_errors",
        "corrected_header_symbols",
        "corrected_symbols",
        "uncorrectable_codeblocks",
        "uncorrectable_codewords",
        "resynchronizations",
        "skipped_octets",
        "fill_octets",
    )
    totals = dict.fromkeys(names, 0)
    totals["trailing_octets"] = octets
    totals["unreadable_octets"] = octets if stopped else 0
    return account_from_rows([stream.virtual_channel()], totals)


def _virtual_channel_items(channel: VirtualChannel, operational_control_field: bool) -> dict[str, Any]:
    items: dict[str, Any] = msgspec.structs.asdict(channel)
    items["operational_control_field"] = operational_control_field
    items["valid_packet_versions"] = list(channel.valid_packet_versions)
    items["maps"] = {map_.map_id: msgspec.structs.asdict(map_) for map_ in channel.maps}
    return items


def _master_channel_items(master: MasterChannel) -> dict[str, Any]:
    default = VirtualChannel(virtual_channel_id=0)
    return {
        "default": _virtual_channel_items(default, default.has_operational_control_field(master)),
        "virtual_channels": {
            channel.virtual_channel_id: _virtual_channel_items(channel, channel.has_operational_control_field(master))
            for channel in master.virtual_channels
        },
    }


def _physical_channel_items(channel: PhysicalChannel, deliver_idle_packets: bool, digest: bool) -> dict[str, Any]:
    items: dict[str, Any] = msgspec.structs.asdict(channel)
    items["master_channels"] = {
        master.spacecraft_id: _master_channel_items(master) for master in channel.master_channels
    }
    items["any_master_channel"] = _master_channel_items(MasterChannel(spacecraft_id=0))
    items["issue_5"] = channel.issue >= 5
    items["deliver_idle_packets"] = deliver_idle_packets
    items["digest"] = digest
    if channel.reed_solomon is not None:
        items["reed_solomon"] = msgspec.structs.asdict(channel.reed_solomon)
    if channel.synchronization is not None:
        marker = channel.synchronization.marker
        items["synchronization"] = {
            **msgspec.structs.asdict(channel.synchronization),
            "tolerated_errors": channel.synchronization.tolerated_bit_errors,
            "marker": int(marker, 16),
            "marker_bits": 4 * len(marker),
        }
    return items
