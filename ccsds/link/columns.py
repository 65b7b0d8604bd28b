"""Header columns: the fields of many headers at once, as numpy arrays, from the layout that decodes one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ccsds import _native
from ccsds.layout import Layout, Octets

__all__ = ["header_columns"]


def header_columns(layout: Layout, buffer: Octets, offsets: ArrayLike) -> dict[str, NDArray[Any]]:
    """Decode the headers that begin at `offsets` in `buffer`.

    Args:    layout: of one header; fields of up to 64 bits.
             buffer: read in place when it is `bytes`, else copied first.
             offsets: octet offsets of the headers' first octets, shape (n,), in any order.
    Returns: by field name, shape (n,), the smallest unsigned dtype that holds the field.
    Raises:  ValueError: a field is wider than 64 bits, or an offset is no whole number.
             IndexError: a header does not lie inside the buffer.
    """
    wide = [field.name for field in layout if field.bits > 64]
    if wide:
        raise ValueError(f"{layout.name}: {', '.join(wide)} does not fit a column of 64 bits")
    starts = as_offsets(offsets)
    fields = [(layout.bit_offset(field.name), field.bits) for field in layout]
    columns = _native.cut_columns(buffer, starts, layout.octets, fields)
    return dict(zip(layout.names, as_arrays(columns), strict=True))


def as_offsets(offsets: ArrayLike) -> NDArray[np.uint64]:
    """Octet offsets as the kernels take them: uint64, one dimension, contiguous."""
    array = np.asarray(offsets)
    if array.size == 0:
        array = array.astype(np.uint64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"offsets are whole numbers in one dimension, not {array.dtype} of shape {array.shape}")
    if array.dtype.kind == "i" and int(array.min(initial=0)) < 0:
        raise IndexError("an offset is negative")
    return np.ascontiguousarray(array, dtype=np.uint64)


def as_array(column: _native.Column) -> NDArray[Any]:
    """A kernel's column as a read-only array over the same memory."""
    return np.frombuffer(memoryview(column), dtype=f"u{column.itemsize}")


def as_arrays(columns: Iterable[_native.Column]) -> list[NDArray[Any]]:
    """The same for several."""
    return [as_array(column) for column in columns]
