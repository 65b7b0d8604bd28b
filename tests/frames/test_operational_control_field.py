"""CLCW and reports of type 2: published words, and what must be refused."""

from __future__ import annotations

from typing import Any

import pytest

from ccsds.errors import EncodeError, FieldError
from ccsds.frames.operational_control_field import Clcw, Type2Report
from ccsds.testing import load_vectors


@pytest.mark.parametrize("case", load_vectors("232.0-B-4/clcw.toml"), ids=lambda case: case["id"])
def test_published_words(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    word = Clcw.decode(octets)
    assert {name: getattr(word, name) for name in case["fields"]} == case["fields"]
    assert word.reserved_spare_1 == case["spare_bits_octet1"]
    assert word.encode() == octets


def test_an_all_zero_field_reads_as_a_word_without_cop() -> None:
    assert Clcw.decode(bytes(4)).cop_in_effect == 0


@pytest.mark.parametrize(
    ("octets", "why"), [("80000000", "type 1"), ("20000000", "version number 1"), ("0000000000", "follow")]
)
def test_what_is_no_clcw(octets: str, why: str) -> None:
    with pytest.raises(FieldError, match=why):
        Clcw.decode(bytes.fromhex(octets))


def test_reports_of_type_2() -> None:
    report = Type2Report.decode(bytes.fromhex("c0123456"))
    assert not report.is_project_specific
    assert Type2Report(report=bytes.fromhex("80000000")).is_project_specific
    with pytest.raises(FieldError, match="is a CLCW"):
        Type2Report.decode(bytes(4))
    with pytest.raises(FieldError, match="follow"):
        Type2Report.decode(bytes.fromhex("c012345600"))
    with pytest.raises(EncodeError):
        Type2Report(report=bytes(4))
    with pytest.raises(EncodeError):
        Clcw(virtual_channel_id=64, report_value=0)
    with pytest.raises(EncodeError):
        Clcw(virtual_channel_id=1, report_value=0, clcw_version_number=1)
