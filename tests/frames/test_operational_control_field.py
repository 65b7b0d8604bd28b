"""CLCW and reports of type 2: published words, and what must be refused."""

from __future__ import annotations

from typing import Any

import pytest

from ccsds.errors import EncodeError, FieldError
from ccsds.frames.operational_control_field import Clcw, Type2Report
from ccsds.testing import load_vectors


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.4", "status field")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.5", "COP in effect")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.6", "virtual channel identification")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.8", "flags: no RF available, no bit lock, lockout, wait, retransmit")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.9", "FARM-B counter")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.11", "report value")
@pytest.mark.parametrize("case", load_vectors("232.0-B-4/clcw.toml"), ids=lambda case: case["id"])
def test_published_words(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    word = Clcw.decode(octets)
    assert {name: getattr(word, name) for name in case["fields"]} == case["fields"]
    assert word.reserved_spare_1 == case["spare_bits_octet1"]
    assert word.encode() == octets


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.5", "operational control field: CLCW")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.5", "COP in effect")
def test_an_all_zero_field_reads_as_a_word_without_cop() -> None:
    assert Clcw.decode(bytes(4)).cop_in_effect == 0


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.2", "control word type")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.2.1.3", "CLCW version number")
@pytest.mark.parametrize(
    ("octets", "why"), [("80000000", "type 1"), ("20000000", "version number 1"), ("0000000000", "follow")]
)
def test_what_is_no_clcw(octets: str, why: str) -> None:
    with pytest.raises(FieldError, match=why):
        Clcw.decode(bytes.fromhex(octets))


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.5", "operational control field: reports of type 2")
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
