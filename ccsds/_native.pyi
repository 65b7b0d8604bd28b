"""Kernels in Rust.  Octets in: `bytes` is read in place, other buffers are copied first."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

class Octets(Buffer):
    """Octets owned by Rust; read them through memoryview or numpy.frombuffer."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

# Packets back to back (native/packets).

class Column(Buffer):
    """Values of one column, owned by Rust; read them through numpy.frombuffer."""

    @property
    def itemsize(self) -> int: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

def scan_packets(
    octets: Buffer, *, encapsulation: bool, maximum_octets: int
) -> tuple[Column, list[Column], int, tuple[str, int] | None]:
    """Offsets (one more than packets), the seven header columns, octets needed for the next packet, why it stopped."""

def packet_columns(octets: Buffer, starts: NDArray[np.uint64]) -> list[Column]:
    """The seven header columns of the packets that begin at `starts`."""

def cut_columns(
    octets: Buffer, starts: NDArray[np.uint64], header_octets: int, fields: list[tuple[int, int]]
) -> list[Column]:
    """One column per (bit offset, bits) of the headers that begin at `starts`."""

def space_packet_header_fields() -> list[tuple[str, int, int]]:
    """The kernel's own table of the space packet header: (name, bit offset, bits)."""
