"""The kernel interface as the recorder speaks it: numbers and field tables (netmap API 14, Linux x86-64).

Kept apart from the driver and from the simulation on purpose: three who agree say more than one table used three times.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

VERSION = 14
NIOCCTRL = 0xC0586997
NIOCTXSYNC = 0x00006994
NIOCRXSYNC = 0x00006995
NIOCREGIF = 0xC03C6992
NIOCGINFO = 0xC03C6991

HEADER_OCTETS = 88
RING_HEADER_OCTETS = 256
SLOT = struct.Struct("<IHHQ")

Table = tuple[tuple[str, int, int], ...]
"""Rows of (name, octet offset, octets); little-endian, unsigned."""

HEADER: Table = (("version", 0, 2), ("reqtype", 2, 2), ("reserved", 4, 4), ("options", 72, 8), ("body", 80, 8))
HEADER_NAME = slice(8, 72)

_REGISTER: Table = (
    ("offset", 0, 8),
    ("memsize", 8, 8),
    ("tx_slots", 16, 4),
    ("rx_slots", 20, 4),
    ("tx_rings", 24, 2),
    ("rx_rings", 26, 2),
    ("host_tx_rings", 28, 2),
    ("host_rx_rings", 30, 2),
    ("mem_id", 32, 2),
    ("ringid", 34, 2),
    ("mode", 36, 4),
    ("extra_bufs", 40, 4),
    ("flags", 48, 8),
)
_POOLS_INFO: Table = (
    ("memsize", 0, 8),
    ("mem_id", 8, 2),
    ("if_pool_offset", 16, 8),
    ("if_pool_objtotal", 24, 4),
    ("if_pool_objsize", 28, 4),
    ("ring_pool_offset", 32, 8),
    ("ring_pool_objtotal", 40, 4),
    ("ring_pool_objsize", 44, 4),
    ("buf_pool_offset", 48, 8),
    ("buf_pool_objtotal", 56, 4),
    ("buf_pool_objsize", 60, 4),
)

# request type: number, octets of its body, fields of its body
REQUESTS: Mapping[str, tuple[int, int, Table]] = {
    "REGISTER": (1, 56, _REGISTER),
    "PORT_INFO_GET": (
        2,
        32,
        (
            ("memsize", 0, 8),
            ("tx_slots", 8, 4),
            ("rx_slots", 12, 4),
            ("tx_rings", 16, 2),
            ("rx_rings", 18, 2),
            ("host_tx_rings", 20, 2),
            ("host_rx_rings", 22, 2),
            ("mem_id", 24, 2),
        ),
    ),
    "VALE_ATTACH": (3, 64, (*_REGISTER, ("port_index", 56, 4))),
    "VALE_DETACH": (4, 8, (("port_index", 0, 4),)),
    "VALE_LIST": (5, 8, (("bridge_idx", 0, 2), ("port_idx", 4, 4))),
    "PORT_HDR_SET": (6, 8, (("hdr_len", 0, 4),)),
    "PORT_HDR_GET": (7, 8, (("hdr_len", 0, 4),)),
    "VALE_NEWIF": (
        8,
        16,
        (("tx_slots", 0, 4), ("rx_slots", 4, 4), ("tx_rings", 8, 2), ("rx_rings", 10, 2), ("mem_id", 12, 2)),
    ),
    "VALE_DELIF": (9, 0, ()),
    "POOLS_INFO_GET": (12, 64, _POOLS_INFO),
}

# option: number, octets in all, fields after the common head
OPTIONS: Mapping[str, tuple[int, int, Table]] = {
    "EXTMEM": (1, 96, tuple((name, offset + 32, size) for name, offset, size in _POOLS_INFO)),
    "OFFSETS": (
        5,
        56,
        (
            ("max_offset", 24, 8),
            ("initial_offset", 32, 8),
            ("offset_bits", 40, 4),
            ("tx_align", 44, 4),
            ("min_gap", 48, 8),
        ),
    ),
}
OPTION_HEAD: Table = (("next", 0, 8), ("type", 8, 4), ("status", 12, 4), ("size", 16, 8))

LEGACY_OCTETS = 60
LEGACY: Table = (
    ("version", 16, 4),
    ("offset", 20, 4),
    ("memsize", 24, 4),
    ("tx_slots", 28, 4),
    ("rx_slots", 32, 4),
    ("tx_rings", 36, 2),
    ("rx_rings", 38, 2),
    ("ringid", 40, 2),
    ("cmd", 42, 2),
    ("arg1", 44, 2),
    ("mem_id", 46, 2),
    ("extra_bufs", 48, 4),
    ("flags", 52, 4),
)

INTERFACE: Table = (
    ("version", 16, 4),
    ("flags", 20, 4),
    ("tx_rings", 24, 4),
    ("rx_rings", 28, 4),
    ("bufs_head", 32, 4),
    ("host_tx_rings", 36, 4),
    ("host_rx_rings", 40, 4),
)
RING_OFFSETS_AT = 56

RING: Table = (
    ("num_slots", 8, 4),
    ("buf_size", 12, 4),
    ("ringid", 16, 2),
    ("dir", 18, 2),
    ("head", 20, 4),
    ("cur", 24, 4),
    ("tail", 28, 4),
    ("flags", 32, 4),
    ("offset_mask", 56, 8),
)
RING_WORDS = {"head": 20, "cur": 24, "tail": 28, "flags": 32}
RING_TIME = slice(40, 56)


def pack_into(table: Table, target: bytearray, values: Mapping[str, int]) -> None:
    """Write the named fields of `values`; KeyError for a name the table does not have."""
    places = {name: (offset, size) for name, offset, size in table}
    for name, value in values.items():
        offset, size = places[name]
        target[offset : offset + size] = (value % (1 << 8 * size)).to_bytes(size, "little")


def unpack(table: Table, octets: bytes | bytearray | memoryview) -> dict[str, int]:
    """All fields of the table."""
    return {name: int.from_bytes(octets[offset : offset + size], "little") for name, offset, size in table}
