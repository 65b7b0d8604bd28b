"""Subsets of the ASCII time codes: the rules by example, any subset, any text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccsds.errors import DecodeError, EncodeError
from ccsds.packets.time_codes_calendar import AsciiTime
from ccsds.packets.time_codes_subset import AsciiTimeSubset
from ccsds.testing.strategies import ascii_times

EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("1988-01-18", {"year": 1988, "month": 1, "day_of_month": 18}),
    ("1988-01", {"year": 1988, "month": 1}),
    ("1988", {"year": 1988}),
    ("-01-18", {"month": 1, "day_of_month": 18}),
    ("--18", {"day_of_month": 18}),
    ("-01", {"month": 1}),
    ("1988-018", {"year": 1988, "day_of_year": 18}),
    ("-018", {"day_of_year": 18}),
    (
        "17:20:43.123Z",
        {"hour": 17, "minute": 20, "second": 43, "fraction": 123, "fraction_digits": 3, "terminator_present": True},
    ),
    ("17:20", {"hour": 17, "minute": 20}),
    ("17", {"hour": 17}),
    (":20:43", {"minute": 20, "second": 43}),
    ("::43.05", {"second": 43, "fraction": 5, "fraction_digits": 2}),
    ("::.5", {"fraction": 5, "fraction_digits": 1}),
    ("-12-25T17:20", {"month": 12, "day_of_month": 25, "hour": 17, "minute": 20}),
    ("--25T17Z", {"day_of_month": 25, "hour": 17, "terminator_present": True}),
    ("-360T17:20:59", {"day_of_year": 360, "hour": 17, "minute": 20, "second": 59}),
    ("23:59:60", {"hour": 23, "minute": 59, "second": 60}),
    ("-02-29", {"month": 2, "day_of_month": 29}),
]
FIELDS = AsciiTimeSubset.__struct_fields__


@pytest.mark.conforms(
    "CCSDS 301.0-B-4", "3.5.1", "ASCII codes A and B: calendar and time subsets, cut short on either side"
)
@pytest.mark.parametrize(("text", "fields"), [case for case in EXAMPLES if "T17:20:60" not in case[0]])
def test_the_rules_by_example(text: str, fields: dict[str, Any]) -> None:
    subset = AsciiTimeSubset(**fields)
    assert str(subset) == text
    assert subset.encode() == text.encode()
    assert AsciiTimeSubset.decode(text.encode()) == subset
    assert len(subset) == len(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no subfield"),
        ("-", "no subfield"),
        ("88-01", "is none"),
        ("1988-", "separators of no subfield"),
        ("1988--18", "in the middle of the date"),
        ("1988-01T17:20", "the date ends with its day"),
        ("1988-01-18T:20", "the time begins with its hour"),
        ("17::43", "in the middle of the time"),
        ("17:20:", "separators of no subfield"),
        ("1988-01-18Z", "is none"),
        ("Z", "no subfield"),
        ("T17", "separators of no subfield"),
        ("-13-01", "month is 13"),
        ("-02-30", "month 2 has 29"),
        ("1989-02-29", "month 2 has 28"),
        ("1989-366", "1989 has 365"),
        ("17:20:60", "before the end of the day"),
        ("17:20:43.", "is none"),
        ("24", "hour is 24"),
    ],
)
def test_texts_that_are_no_subset(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(why)):
        AsciiTimeSubset.decode(text.encode())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"year": 0}, "year is 0"),
        ({"month": 1, "day_of_year": 3}, "not both"),
        ({"year": 1988, "terminator_present": True}, "the terminator belongs to a time"),
        ({"hour": 1, "fraction": 1}, "fraction is 1"),
        ({"hour": 1, "fraction_digits": 2}, "in the middle of the time"),
        ({}, "no subfield"),
    ],
)
def test_subsets_that_cannot_be(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        AsciiTimeSubset(**fields)


@given(ascii_times())
def test_a_complete_code_is_one_too(time: AsciiTime) -> None:
    subset = AsciiTimeSubset.decode(time.encode())
    assert subset.encode() == time.encode()
    for name in ("year", "hour", "minute", "second", "fraction"):
        assert getattr(subset, name) == getattr(time, name)


@given(ascii_times(), st.data())
def test_any_subset_comes_back(time: AsciiTime, data: st.DataObject) -> None:
    """Subfields of a real time, any of them left out: a unit, or a sentence; and the unit's text is the unit."""
    values = {name: getattr(time, name) for name in FIELDS if name not in ("fraction", "fraction_digits")}
    values |= {"month": time.month or None, "day_of_month": time.day_of_month or None}
    values |= {"day_of_year": time.day_of_year or None}
    kept = data.draw(st.sets(st.sampled_from(sorted(values))))
    fields = {name: value for name, value in values.items() if name in kept and value is not None}
    try:
        subset = AsciiTimeSubset(**fields)
    except EncodeError:
        return
    assert AsciiTimeSubset.decode(subset.encode()) == subset


@given(st.text("0123456789-:.TZ", max_size=30) | st.binary(max_size=20).map(lambda octets: octets.decode("latin-1")))
@example("\n")
@example("12\n")
def test_any_text_is_a_subset_or_told(text: str) -> None:
    octets = text.encode("latin-1")
    try:
        subset = AsciiTimeSubset.decode(octets)
    except DecodeError as error:
        assert error.octet_offset == 0
        return
    assert subset.encode() == octets
    assert subset.replace() == subset
    room = bytearray(b"\xff" * (len(octets) + 1))
    assert subset.encode_into(room) == len(octets)
    assert room == octets + b"\xff"
