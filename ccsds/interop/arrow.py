"""Packets as an Arrow table, for Parquet, pandas and Polars.  Needs the extra `arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ccsds.link.packet_batch import PacketBatch
from ccsds.packets.space_packet import PRIMARY_HEADER

if TYPE_CHECKING:
    import pyarrow

__all__ = ["packet_table"]


def packet_table(packets: PacketBatch) -> pyarrow.Table:
    """A row per packet: a column per header field and extra column, and `octets`, the whole packet.

    Header fields are null where there is no space packet or not all of its header, `reception_time_ns` where it is
    unknown (-1).
    """
    import pyarrow as pa

    without_header = (packets["packet_version_number"] != 0) | (packets.lengths < PRIMARY_HEADER.octets)
    arrays: dict[str, Any] = {}
    for name in packets.names:
        column = packets[name]
        if name == "reception_time_ns":
            arrays[name] = pa.array(column, mask=column < 0)
        elif name in ("complete", "replay"):
            arrays[name] = pa.array(column.astype(bool))
        elif name in PRIMARY_HEADER.names and name != "packet_version_number":
            arrays[name] = pa.array(column, mask=without_header)
        else:
            arrays[name] = pa.array(column)
    offsets = np.zeros(len(packets) + 1, dtype=np.int64)
    np.cumsum(packets.lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(packets.to_bytes())]
    arrays["octets"] = pa.Array.from_buffers(pa.large_binary(), len(packets), buffers)
    return pa.table(arrays)
