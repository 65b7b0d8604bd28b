"""Columns of many headers agree with the layout that decodes one, for any layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.layout import Field, Layout
from ccsds.link.columns import header_columns
from ccsds.packets.space_packet import PRIMARY_HEADER


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    widths = draw(st.lists(st.integers(1, 64), min_size=1, max_size=8))
    short = -sum(widths) % 8
    widths += [short] if short else []
    return Layout("any header", "no document", *(Field(f"field_{n}", bits, "1") for n, bits in enumerate(widths)))


@given(layouts(), st.data())
def test_columns_equal_unpack(layout: Layout, data: st.DataObject) -> None:
    octets = data.draw(st.binary(min_size=layout.octets, max_size=layout.octets + 40))
    offsets = data.draw(st.lists(st.integers(0, len(octets) - layout.octets), max_size=20))
    columns = header_columns(layout, octets, offsets)
    headers = [layout.unpack(octets, offset) for offset in offsets]
    assert tuple(columns) == layout.names
    for field in layout:
        column = columns[field.name]
        assert column.tolist() == [header[field.name] for header in headers]
        assert column.dtype == np.min_scalar_type(field.maximum)


@given(layouts(), st.binary(max_size=40))
def test_a_header_past_the_end_is_refused(layout: Layout, octets: bytes) -> None:
    first_outside = max(len(octets) - layout.octets + 1, 0)
    for offset in (first_outside, len(octets), len(octets) + 1, 2**63, 2**64 - 1):
        with pytest.raises(IndexError):
            header_columns(layout, octets, np.array([offset], dtype=np.uint64))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.frombuffer])
def test_any_buffer(kind: type) -> None:
    octets = bytes(range(32))
    buffer = np.frombuffer(octets, np.uint8) if kind is np.frombuffer else kind(octets)
    assert header_columns(PRIMARY_HEADER, buffer, [8])["application_process_id"].tolist() == [0x009]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, ">u4"])
def test_any_whole_offsets_even_strided(dtype: str) -> None:
    offsets = np.arange(0, 20, dtype=dtype)[::3]
    octets = bytes(range(32))
    column = header_columns(PRIMARY_HEADER, octets, offsets)["packet_data_length"]
    assert column.tolist() == [(at + 4) << 8 | at + 5 for at in range(0, 20, 3)]


def test_offsets_that_are_none() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        header_columns(PRIMARY_HEADER, bytes(32), [0.5])
    with pytest.raises(ValueError, match="one dimension"):
        header_columns(PRIMARY_HEADER, bytes(32), [[1]])
    with pytest.raises(IndexError, match="negative"):
        header_columns(PRIMARY_HEADER, bytes(32), [-1])


def test_a_field_wider_than_a_column() -> None:
    layout = Layout("wide", "no document", Field("narrow", 8, "1"), Field("broad", 72, "2"))
    with pytest.raises(ValueError, match="broad does not fit"):
        header_columns(layout, bytes(32), [0])
