"""Layouts of every shape against bitstring, and the layouts that the codecs declare."""

from __future__ import annotations

import pytest
from bitstring import Bits
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import EncodeError, TruncatedError
from ccsds.layout import Field, Layout


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    widths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    spare = -sum(widths) % 8
    widths += [spare] if spare else []
    return Layout("drawn", "a document", *(Field(f"f{at}", bits, f"1.{at}") for at, bits in enumerate(widths)))


@given(layout=layouts(), data=st.data(), before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_fields_are_the_bits_that_lie_there(layout: Layout, data: st.DataObject, before: bytes, after: bytes) -> None:
    header = data.draw(st.binary(min_size=layout.octets, max_size=layout.octets))
    bits, at = Bits(header), 0
    expected = []
    for field in layout:
        assert layout.bit_offset(field.name) == at
        expected.append(bits[at : at + field.bits].uint)
        at += field.bits
    for octets in (before + header + after, bytearray(before + header + after), memoryview(before + header + after)):
        assert layout.values(octets, len(before)) == tuple(expected)
    assert layout.unpack(header) == dict(zip(layout.names, expected, strict=True))
    assert layout.pack_values(*expected) == header
    assert layout.pack(layout.unpack(header)) == header


@given(layout=layouts(), data=st.data())
def test_what_does_not_fit_is_named(layout: Layout, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(layout.fields))
    wrong = data.draw(st.sampled_from([-1, field.maximum + 1, field.maximum * 256 + 255]))
    values = dict.fromkeys(layout.names, 0) | {field.name: wrong}
    with pytest.raises(
        EncodeError, match=rf"{field.name} is {wrong}, not 0 to {field.maximum} \[a document §{field.clause}\]"
    ):
        layout.pack(values)
    with pytest.raises(EncodeError, match=field.name):
        layout.pack_values(*values.values())


@given(layout=layouts(), data=st.data())
def test_a_header_cut_short_tells_where_it_ends(layout: Layout, data: st.DataObject) -> None:
    octets = data.draw(st.binary(max_size=layout.octets - 1))
    at = data.draw(st.integers(0, 4))
    with pytest.raises(TruncatedError, match=f"{layout.octets} octets, {max(len(octets) - at, 0)} given"):
        layout.values(octets, at)


def test_numbers_only() -> None:
    layout = Layout("drawn", "a document", Field("a", 4, "1"), Field("b", 4, "2"))
    with pytest.raises(EncodeError, match="'x'"):
        layout.pack({"a": 1, "b": "x"})  # type: ignore[dict-item]
    with pytest.raises(EncodeError, match=r"1\.5"):
        layout.check({"a": 1.5})  # type: ignore[dict-item]
    for width in (8, 16, 24, 88):
        with pytest.raises(EncodeError, match=r"a is 1\.5"):
            Layout("drawn", "a document", Field("a", width, "1")).pack_values(1.5)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        layout.pack({"a": 1})


@pytest.mark.parametrize(
    "fields",
    [(), (Field("a", 7, "1"),), (Field("a", 4, "1"), Field("a", 4, "1")), (Field("a", 0, "1"), Field("b", 8, "2"))],
)
def test_layouts_that_cannot_be(fields: tuple[Field, ...]) -> None:
    with pytest.raises(ValueError, match="drawn"):
        Layout("drawn", "a document", *fields)
