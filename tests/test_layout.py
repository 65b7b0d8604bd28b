"""Any layout against a twin that works on a string of bits."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import EncodeError, TruncatedError
from ccsds.layout import Field, Layout
from ccsds.packets.space_packet import PRIMARY_HEADER


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    widths = draw(st.lists(st.one_of(st.integers(1, 20), st.sampled_from([8, 16, 32, 64, 72])), min_size=1, max_size=9))
    short = -sum(widths) % 8
    widths += [short] if short else []
    fields = (Field(f"field_{number}", bits, f"1.{number}") for number, bits in enumerate(widths))
    return Layout("any header", "CCSDS 000.0-B-0", *fields)


@st.composite
def headers(draw: st.DrawFn) -> tuple[Layout, dict[str, int]]:
    layout = draw(layouts())
    edges = {
        field.name: draw(st.one_of(st.integers(0, field.maximum), st.sampled_from([0, field.maximum])))
        for field in layout
    }
    return layout, edges


def packed(layout: Layout, values: dict[str, int]) -> bytes:
    """The twin: write bits down one after the other."""
    bits = "".join(format(values[field.name], f"0{field.bits}b") for field in layout)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


@given(headers())
def test_pack_writes_the_bits_in_order(header: tuple[Layout, dict[str, int]]) -> None:
    layout, values = header
    octets = layout.pack(values)
    assert octets == packed(layout, values)
    assert len(octets) == layout.octets
    assert layout.pack_values(*values.values()) == octets


@given(headers(), st.binary(max_size=9), st.binary(max_size=9), st.sampled_from([bytes, bytearray, memoryview]))
def test_unpack_inverts_pack_anywhere(header: Any, before: bytes, after: bytes, kind: Any) -> None:
    layout, values = header
    octets = kind(before + packed(layout, values) + after)
    assert layout.unpack(octets, len(before)) == values
    assert layout.values(octets, len(before)) == tuple(values.values())
    if not before:
        assert layout.values(octets) == tuple(values.values())


@given(layouts(), st.data())
def test_any_octets_unpack_and_pack_back(layout: Layout, data: st.DataObject) -> None:
    octets = data.draw(st.binary(min_size=layout.octets, max_size=layout.octets))
    assert layout.pack(layout.unpack(octets)) == octets


@given(layouts(), st.data())
def test_a_short_header_is_truncated(layout: Layout, data: st.DataObject) -> None:
    given_octets = data.draw(st.integers(0, layout.octets - 1))
    at = data.draw(st.integers(0, 5))
    with pytest.raises(TruncatedError) as raised:
        layout.values(bytes(at + given_octets), at)
    error = raised.value
    assert error.unit == layout.name
    assert error.octet_offset == given_octets
    assert error.clause == "CCSDS 000.0-B-0 §1.0"
    assert f"header of {layout.octets} octets, {given_octets} given" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_start_past_the_end_is_truncated() -> None:
    with pytest.raises(TruncatedError, match="0 given"):
        PRIMARY_HEADER.values(bytes(3), 10)


@given(headers(), st.data())
def test_a_value_that_does_not_fit_names_field_limit_and_clause(header: Any, data: st.DataObject) -> None:
    layout, values = header
    field = data.draw(st.sampled_from(layout.fields))
    wrong = data.draw(st.one_of(st.integers(max_value=-1), st.integers(min_value=field.maximum + 1)))
    with pytest.raises(EncodeError) as raised:
        layout.pack(values | {field.name: wrong})
    message = f"{field.name} is {wrong}, not 0 to {field.maximum} [CCSDS 000.0-B-0 §{field.clause}]"
    assert message in str(raised.value)


def test_a_missing_field_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="packet_type"):
        PRIMARY_HEADER.pack({"packet_version_number": 0})


@given(layouts())
def test_bit_offsets_add_up_and_fill_the_table(layout: Layout) -> None:
    at = 0
    rows = layout.markdown().splitlines()[2:]
    for field, row in zip(layout, rows, strict=True):
        assert layout.bit_offset(field.name) == at
        assert row == f"| {at} | {field.bits} | `{field.name}` | {field.clause} |"
        assert layout[field.name] is field
        at += field.bits
    assert at == 8 * layout.octets


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [Field("a", 7, "1")],
        [Field("a", 8, "1"), Field("a", 8, "2")],
        [Field("a", 0, "1"), Field("b", 8, "2")],
        [Field("a", -8, "1"), Field("b", 16, "2")],
    ],
)
def test_layouts_that_are_none(fields: list[Field]) -> None:
    with pytest.raises(ValueError, match="wrong: "):
        Layout("wrong", "no document", *fields)
