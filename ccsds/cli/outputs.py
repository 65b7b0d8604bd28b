"""What `replay` writes beside its account: packet files, a Parquet table, the data of the other services."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ccsds.cli.problems import UsageProblem
from ccsds.link.receiver import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ccsds.link.frame_batch import FrameBatch
    from ccsds.link.unit_batch import UnitBatch

__all__ = ["Outputs"]


class Outputs:
    """Everything that was asked for; `write` takes batch after batch.  A context manager that closes the files.

    Args: packets: folder for one packet file per virtual channel.  parquet: file for a table of all packets.
          services: folder for OCF and CLCW history, insert zones, secondary headers, data zones per channel, and
          access data units and octet streams per MAP.
          source: the recording, which none of it may overwrite.
    """

    def __init__(
        self, *, packets: str | None, parquet: str | None, services: str | None, source: str | None = None
    ) -> None:
        self._stack = ExitStack()
        self._writers: list[Callable[[Batch], None]] = []
        self._closers: list[Callable[[], None]] = []
        if packets is not None:
            self._writers.append(_PacketFiles(_Folder(packets, self._stack, source)).write)
        if services is not None:
            of_services = _Services(_Folder(services, self._stack, source))
            self._writers.append(of_services.write)
            self._closers.append(of_services.close)
        if parquet is not None:
            self._writers.append(_Parquet(parquet, self._stack, source).write)

    def write(self, batch: Batch) -> None:
        """Append what a batch holds."""
        for writer in self._writers:
            writer(batch)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._stack:
            for close in self._closers:
                close()


class _Folder:
    """Files by name in one folder, each opened when first written to and begun anew."""

    def __init__(self, path: str, stack: ExitStack, source: str | None) -> None:
        self._path, self._stack, self._source = Path(path), stack, source
        if self._path.exists() and not self._path.is_dir():
            raise UsageProblem(f"{path} is a file; a folder is needed")
        self._path.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, IO[bytes]] = {}

    def append(self, name: str, octets: bytes | memoryview) -> None:
        if name not in self._files:
            _spare(self._path / name, self._source)
            self._files[name] = self._stack.enter_context((self._path / name).open("wb"))
        self._files[name].write(octets)


def _spare(path: Path, source: str | None) -> None:
    """Raise UsageProblem where `path` is the recording that is being read."""
    if source not in (None, "-") and path.exists() and path.samefile(source):
        raise UsageProblem(f"{path} is the recording; it would be lost")


def _channels(columns: Any, replay: NDArray[Any]) -> list[tuple[str, tuple[int, int], Any]]:
    """(name, (spacecraft, virtual channel), mask) of each channel in a batch; replayed frames are one of their own."""
    import numpy as np

    keys = columns["spacecraft_id"].astype(np.uint32) << 7 | columns["virtual_channel_id"].astype(np.uint32) << 1
    keys |= replay.astype(np.uint32)
    found = []
    for key in np.unique(keys).tolist():
        channel = (key >> 7, key >> 1 & 63)
        name = f"spacecraft-{channel[0]}-vc-{channel[1]}{'-replay' if key & 1 else ''}"
        found.append((name, channel, keys == key))
    return found


class _PacketFiles:
    def __init__(self, folder: _Folder) -> None:
        self._folder = folder

    def write(self, batch: Batch) -> None:
        complete = batch.packets[batch.packets["complete"] == 1]
        if batch.frames is None:
            self._folder.append("packets.bin", complete.to_bytes())
            return
        for name, _, mask in _channels(complete, complete["replay"]):
            self._folder.append(f"{name}.packets", complete[mask].to_bytes())


class _Services:
    """Data zones per channel, and what frames carry beside them, in order of reception."""

    CLCW_HEADING = "frame_index,reception_time_ns,spacecraft_id,virtual_channel_id_of_frame,word"

    def __init__(self, folder: _Folder) -> None:
        self._folder = folder
        self._heading_written = False
        self._bits_left: dict[str, Any] = {}

    def write(self, batch: Batch) -> None:
        from ccsds.link.frame_batch import QUALITY

        if batch.frames is None:
            return
        frames = batch.frames.accepted
        for name, channel, mask in _channels(frames, frames["quality"] & QUALITY["replay"] != 0):
            self._folder.append(f"{name}.zones", frames[mask].data_zones())
            if frames.service(*channel) == "bitstream":
                self._append_bits(f"{name}.bits", frames[mask].bitstream_bits())
        for name, octets in (
            ("insert_zones.bin", frames.insert_zones()),
            ("secondary_headers.bin", frames.secondary_headers()),
        ):
            if len(octets):
                self._folder.append(name, octets)
        self._write_operational_control_fields(frames)
        if batch.units is not None:
            self._write_units(batch.units)

    def _write_units(self, units: UnitBatch) -> None:
        """Access data units and octet streams, one file per MAP (TC without MAPs: per virtual channel)."""
        import numpy as np

        keys = np.stack([units[name].astype(np.int32) for name in ("spacecraft_id", "virtual_channel_id", "map_id")], 1)
        for spacecraft, channel, map_id in np.unique(keys, axis=0).tolist():
            own = units[(keys == (spacecraft, channel, map_id)).all(axis=1)]
            of_map = f"-map-{map_id}" if map_id >= 0 else ""
            self._folder.append(f"spacecraft-{spacecraft}-vc-{channel}{of_map}.units", own.to_bytes())

    def _append_bits(self, name: str, bits: NDArray[np.uint8]) -> None:
        """Bits back to back, eight in an octet; those that fill no octet yet wait for the next ones."""
        import numpy as np

        joined = np.concatenate([self._bits_left.get(name, bits[:0]), bits])
        whole = len(joined) // 8 * 8
        self._bits_left[name] = joined[whole:]
        self._folder.append(name, np.packbits(joined[:whole]).tobytes())

    def close(self) -> None:
        """The last bits, filled up with zeros."""
        import numpy as np

        for name, bits in self._bits_left.items():
            if len(bits):
                self._folder.append(name, np.packbits(bits).tobytes())

    def _write_operational_control_fields(self, frames: FrameBatch) -> None:
        """The fields as they are, and a history with a column for each field of a CLCW (type 1 reports: the word)."""
        from ccsds.frames.operational_control_field import CLCW
        from ccsds.link.columns import header_columns

        present, words = frames.operational_control_fields()
        if not len(present):
            return
        octets = words.astype(">u4").tobytes()
        self._folder.append("operational_control_fields.bin", octets)
        clcw = header_columns(CLCW, octets, range(0, len(octets), 4))
        if not self._heading_written:
            self._folder.append("clcw.csv", f"{self.CLCW_HEADING},{','.join(clcw)}\n".encode())
            self._heading_written = True
        columns = [present[name].tolist() for name in self._ORIGIN]
        rows = zip(*columns, words.tolist(), *(column.tolist() for column in clcw.values()), strict=True)
        self._folder.append("clcw.csv", "".join(_history_line(*row) for row in rows).encode())

    _ORIGIN = ("frame_index", "reception_time_ns", "spacecraft_id", "virtual_channel_id")


def _history_line(index: int, time_ns: int, spacecraft: int, channel: int, word: int, *fields: int) -> str:
    cells = fields if word >> 31 == 0 else ("",) * len(fields)
    return f"{index},{time_ns if time_ns >= 0 else ''},{spacecraft},{channel},{word:08x},{','.join(map(str, cells))}\n"


class _Parquet:
    """A row per packet: header fields, where it comes from, and its octets."""

    def __init__(self, path: str, stack: ExitStack, source: str | None) -> None:
        try:
            import pyarrow  # noqa: F401 (tell before work begins)
        except ImportError:
            raise UsageProblem("--parquet needs the package pyarrow: pip install 'ccsds-link[arrow]'") from None
        self._path, self._stack = path, stack
        self._writer: Any = None
        _spare(Path(path), source)
        with open(path, "wb"):  # a place that cannot be written is told before work begins
            pass

    def write(self, batch: Batch) -> None:
        from pyarrow import parquet

        from ccsds.interop.arrow import packet_table

        table = packet_table(batch.packets)
        if self._writer is None:
            self._writer = self._stack.enter_context(parquet.ParquetWriter(os.fspath(self._path), table.schema))
        self._writer.write_table(table)
