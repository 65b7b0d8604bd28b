"""Time codes: published octets, slow twins of integers and bit strings, leap seconds, what a conversion loses."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from bitstring import Bits
from hypothesis import given
from hypothesis import strategies as st
from spacepackets.ccsds.time import CdsShortTimestamp

from ccsds.errors import ConfigurationError, DecodeError, EncodeError, FieldError, TruncatedError
from ccsds.packets.time_codes import NASA_EOS_FINE_UNIT, CdsTime, CucTime, decode_time_code
from ccsds.packets.time_codes_calendar import AsciiTime, CcsTime
from ccsds.packets.time_codes_scale import (
    CCSDS_EPOCH,
    GPS_EPOCH,
    LEAP_SECONDS,
    PICOSECONDS_PER_DAY,
    UNIX_EPOCH,
    DayTime,
    Epoch,
    LeapSeconds,
)
from ccsds.testing import load_vectors
from ccsds.testing.strategies import ascii_times, ccs_times, cds_times, cuc_times

CASES = {case["id"]: case for case in load_vectors("301.0-B-4/time_codes.toml")}
CLASSES: dict[str, Any] = {"CUC": CucTime, "CDS": CdsTime, "CCS": CcsTime}
BINARY = [case for case in CASES.values() if case["kind"] == "time" and "text" not in case]
DAY_TIMES = st.builds(DayTime, st.integers(5115, 40000), st.integers(0, PICOSECONDS_PER_DAY - 1))


def instant_of(text: str) -> DayTime:
    """A published instant as days and picoseconds, by the date arithmetic of the standard library."""
    found = re.fullmatch(r"(\d+)-(\d+)(?:-(\d+))?T(\d+):(\d+):(\d+)(?:\.(\d+))?(?:Z| TAI)", text)
    assert found
    year, month, day, hour, minute, second, fraction = found.groups()
    first = datetime.date(int(year), 1, 1) if day is None else datetime.date(int(year), int(month), int(day))
    days = (first - datetime.date(1958, 1, 1)).days + (int(month) - 1 if day is None else 0)
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return DayTime(days, seconds * 10**12 + int((fraction or "0").ljust(12, "0")))


def decoded(case: dict[str, Any]) -> Any:
    agreed = case.get("p_field") or {"ccsds-rs-cds": "41", "ccsds-rs-cds-2": "41", "eos-cuc-scaled": "1e"}[case["id"]]
    cls, octets = CLASSES[case["code"][:3]], bytes.fromhex(case["t_field"])
    time = cls.decode(octets, p_field=bytes.fromhex(agreed))
    whole = cls.decode(bytes.fromhex(agreed) + octets)
    assert whole == time.replace(p_field_present=True)
    assert decode_time_code(whole.encode())[0] == whole
    assert time.encode() == octets and whole.encode() == bytes.fromhex(agreed) + octets
    assert whole.encode().hex() == case.get("with_p", whole.encode().hex())
    return time


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.2.1", "CUC T-field: 1 to 7 octets of coarse, 0 to 10 of fine time")
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.3", "CDS level 2: agency-defined epoch")
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.3", "CDS: leap seconds within the day")
@pytest.mark.parametrize("case", BINARY, ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    time, name = decoded(case), case["id"]
    if name == "yamcs-cuc":
        assert (time.coarse_octets, time.fine_octets) == (case["coarse_octets"], case["fine_octets"])
        found = time.to_day_time(epoch=UNIX_EPOCH).value
        assert found.days == instant_of(case["instant"]).days
        assert abs(found.picoseconds - instant_of(case["instant"]).picoseconds) <= 10**12 >> 16
    elif name == "eos-cuc-scaled":
        found = time.to_day_time(epoch=Epoch(0, counts_leap_seconds=False), fine_unit=NASA_EOS_FINE_UNIT)
        assert found == (instant_of(case["instant"]), 0)
    elif name == "cds-24bit-agency":
        assert time.to_day_time(epoch=Epoch(100)).value == DayTime(101, 0)
        with pytest.raises(ConfigurationError, match="epoch"):
            time.to_day_time()
    else:
        assert time.to_day_time() == (instant_of(case["instant"]), 0)


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.5", "ASCII time code A")
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.5", "ASCII time code B")
@pytest.mark.parametrize("case", [case for case in CASES.values() if "text" in case], ids=lambda case: case["id"])
def test_published_texts(case: dict[str, Any]) -> None:
    time = AsciiTime.decode(case["text"].encode())
    assert str(time) == case["text"] and time.code == case["code"][-1]
    cds = CdsTime.decode(bytes.fromhex(case["cds_equivalent"]), p_field=b"\x41")
    assert cds.to_day_time() == time.to_day_time()
    made = AsciiTime.from_day_time(cds.to_day_time().value, by_day_of_year=time.code == "B", fraction_digits=6)
    assert made == (time, 0)


@pytest.mark.parametrize("case", [case for case in CASES.values() if case["kind"] == "t_field"], ids=lambda c: c["id"])
def test_published_t_fields(case: dict[str, Any]) -> None:
    fields, octets = case["fields"], bytes.fromhex(case["octets"])
    if "coarse" in fields:
        time: Any = CucTime(**fields)
        assert time.elapsed_seconds() == Fraction(fields["coarse"]) + Fraction(fields.get("fine", 0), 256)
    else:
        time = CdsTime(
            days=fields["day"],
            milliseconds=fields["ms"],
            submilliseconds=fields.get("submilli", 0),
            day_octets=fields.get("day_octets", 2),
            submillisecond_octets=2 * ("submilli" in fields),
        )
    assert time.encode_t_field() == octets


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.2.1", "CUC T-field: 1 to 7 octets of coarse, 0 to 10 of fine time")
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.2.2", "CUC P-field of one and two octets")
@given(cuc_times())
def test_the_slow_twin_of_cuc(time: CucTime) -> None:
    coarse_octets = time.coarse_octets - time.additional_coarse_octets
    fine_octets = time.fine_octets - time.additional_fine_octets
    bits = f"{time.extension_flag:b}{time.time_code_id:03b}{coarse_octets - 1:02b}{fine_octets:02b}"
    if time.extension_flag:
        bits += f"0{time.additional_coarse_octets:02b}{time.additional_fine_octets:03b}{time.mission_defined_bits:02b}"
    assert time.p_field == Bits(bin=bits).tobytes()
    number = time.coarse << 8 * time.fine_octets | time.fine
    assert time.encode_t_field() == number.to_bytes(time.coarse_octets + time.fine_octets, "big")
    assert time.elapsed_seconds() == Fraction(number, 256**time.fine_octets)


@pytest.mark.conforms(
    "CCSDS 301.0-B-4", "3.3.1", "CDS T-field: days of 16 and 24 bits, submilliseconds of 0, 16 and 32 bits"
)
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.3.2", "CDS P-field")
@given(cds_times())
def test_the_slow_twin_of_cds(time: CdsTime) -> None:
    code = {0: "00", 2: "01", 4: "10"}[time.submillisecond_octets]
    assert time.p_field == Bits(bin=f"0100{time.agency_epoch_flag}{time.day_octets - 2}{code}").tobytes()
    parts = [(time.days, time.day_octets), (time.milliseconds, 4), (time.submilliseconds, time.submillisecond_octets)]
    assert time.encode_t_field() == b"".join(value.to_bytes(size, "big") for value, size in parts)


@pytest.mark.conforms(
    "CCSDS 301.0-B-4", "3.3.1", "CDS T-field: days of 16 and 24 bits, submilliseconds of 0, 16 and 32 bits"
)
@given(st.integers(0, 65535), st.integers(0, 86_399_999))
def test_the_other_implementation_makes_the_same_cds(days: int, milliseconds: int) -> None:
    theirs = CdsShortTimestamp(ccsds_days=days, ms_of_day=milliseconds)
    ours = CdsTime(days=days, milliseconds=milliseconds)
    assert bytes(theirs.pack()) == ours.encode()
    if days >= 4383:  # before 1970 the other one counts the time of day backwards
        seen, lost = ours.to_day_time().value.to_datetime()
        assert lost == 0 and abs(seen - theirs.as_datetime()) < datetime.timedelta(microseconds=1000)


@pytest.mark.conforms(
    "CCSDS 301.0-B-4", "3.4.1", "CCS T-field: month and day, or day of year, 0 to 6 octets of subseconds"
)
@pytest.mark.conforms("CCSDS 301.0-B-4", "3.4.2", "CCS P-field")
@given(ccs_times())
def test_the_slow_twin_of_ccs(time: CcsTime) -> None:
    date = f"{time.day_of_year:04}" if time.day_of_year else f"{time.month:02}{time.day_of_month:02}"
    digits = f"{time.year:04}{date}{time.hour:02}{time.minute:02}{time.second:02}"
    if time.subsecond_octets:
        digits += f"{time.subseconds:0{2 * time.subsecond_octets}}"
    assert time.encode_t_field().hex() == digits
    assert time.p_field == Bits(bin=f"0101{time.day_of_year_flag}{time.subsecond_octets:03b}").tobytes()


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.5", "ASCII time codes with any fraction, with and without terminator Z")
@given(st.one_of(cds_times().filter(lambda time: time.days < 2932896), ccs_times(), ascii_times()))
def test_there_and_back_loses_nothing(time: Any) -> None:
    epoch: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    if isinstance(time, CdsTime):
        epoch = {"epoch": Epoch(77)} if time.agency_epoch_flag else {}
        names = ("day_octets", "submillisecond_octets", "agency_epoch_flag", "p_field_present")
    else:
        fields["by_day_of_year"] = bool(time.day_of_year)
        names = ("fraction_digits", "terminator_present", "subsecond_octets", "p_field_present")
    fields |= {name: getattr(time, name) for name in names if name in time.__struct_fields__}
    instant, lost = time.to_day_time(**epoch)
    if not (isinstance(time, AsciiTime) and time.fraction_digits > 12):
        assert lost == 0
        assert type(time).from_day_time(instant, **epoch, **fields) == (time, 0)
    assert 0 <= lost < Fraction(1, 10**12)


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.2", "CUC level 1: epoch 1958-01-01 TAI")
@given(DAY_TIMES, st.integers(0, 10), st.sampled_from([CCSDS_EPOCH, UNIX_EPOCH, Epoch(1, 5, True, 3)]))
def test_cuc_there_and_back_tells_what_is_lost(instant: DayTime, fine_octets: int, epoch: Epoch) -> None:
    time, lost = CucTime.from_day_time(instant, epoch=epoch, fine_octets=fine_octets, coarse_octets=7)
    assert 0 <= lost < Fraction(1, 256**fine_octets)
    found, more = time.to_day_time(epoch=epoch)
    assert 0 <= more < Fraction(1, 10**12)
    difference = epoch.picoseconds_to(instant, LEAP_SECONDS) - epoch.picoseconds_to(found, LEAP_SECONDS)
    assert Fraction(difference, 10**12) == lost + more


@given(st.datetimes(min_value=datetime.datetime(1900, 1, 1), timezones=st.just(datetime.UTC)))
def test_a_datetime_comes_back(instant: datetime.datetime) -> None:
    day_time = DayTime.from_datetime(instant)
    assert day_time.to_datetime() == (instant, 0)
    assert day_time.date == instant.date()
    assert (
        CdsTime(days=0, milliseconds=0).to_day_time().value.to_datetime().value.isoformat()
        == "1958-01-01T00:00:00+00:00"
    )


def test_datetimes_that_cannot_be_kept() -> None:
    leap = CdsTime.decode(bytes.fromhex("40542d05265df4"))
    seen, lost = leap.to_day_time().value.to_datetime()
    assert seen.isoformat() == "2016-12-31T23:59:59.999999+00:00"
    assert lost == Fraction(500_001, 10**6)
    assert DayTime(0, 1_500_000).to_datetime().lost_seconds == Fraction(1, 2 * 10**6)
    with pytest.raises(EncodeError, match="no time zone"):
        DayTime.from_datetime(datetime.datetime(2020, 1, 1))
    with pytest.raises(EncodeError, match="years 1 to 9999"):
        DayTime(10**9, 0).to_datetime()
    with pytest.raises(EncodeError, match="years 1 to 9999"):
        _ = DayTime(10**30, 0).date


@pytest.mark.conforms("CCSDS 301.0-B-4", "3", "leap seconds between UTC and TAI")
def test_leap_seconds_are_those_of_the_published_list() -> None:
    table = LeapSeconds.from_list((files("hypothesis") / "vendor" / "leap-seconds.txt").read_text(encoding="utf-8"))
    assert table.rows == LEAP_SECONDS.rows
    system = Path("/usr/share/zoneinfo/leap-seconds.list")
    if system.exists():
        newest = LeapSeconds.from_list(system.read_text(encoding="utf-8"))
        shared = len(LEAP_SECONDS.rows)
        assert newest.rows[:shared] == LEAP_SECONDS.rows
        if newest.issued == LEAP_SECONDS.issued:
            assert newest == LEAP_SECONDS
    for text in ("", "nonsense", "#$ 1\n#@ 2\n", "#$ 1\n#@ x\n3 4\n"):
        with pytest.raises(ConfigurationError, match="leap"):
            LeapSeconds.from_list(text)


@pytest.mark.conforms("CCSDS 301.0-B-4", "3", "leap seconds between UTC and TAI")
@pytest.mark.parametrize("row", range(1, len(LEAP_SECONDS.rows)))
def test_a_leap_second_is_the_last_of_its_day(row: int) -> None:
    day, offset = LEAP_SECONDS.rows[row]
    assert LEAP_SECONDS.seconds_of_day(day - 1) == 86401
    assert LEAP_SECONDS.seconds_of_day(day) == LEAP_SECONDS.seconds_of_day(day - 2) == 86400
    begin = day * PICOSECONDS_PER_DAY + offset * 10**12
    steps = {
        begin: DayTime(day, 0),
        begin - 1: DayTime(day - 1, 86401 * 10**12 - 1),
        begin - 10**12: DayTime(day - 1, PICOSECONDS_PER_DAY),
        begin - 10**12 - 1: DayTime(day - 1, PICOSECONDS_PER_DAY - 1),
    }
    for tai, instant in steps.items():
        assert LEAP_SECONDS.from_tai(tai) == instant
        assert LEAP_SECONDS.to_tai(instant) == tai


@given(st.integers(5113 * PICOSECONDS_PER_DAY + 10 * 10**12, 40000 * PICOSECONDS_PER_DAY))
def test_tai_comes_back(tai: int) -> None:
    instant = LEAP_SECONDS.from_tai(tai)
    assert LEAP_SECONDS.to_tai(instant) == tai
    assert 0 <= instant.picoseconds < LEAP_SECONDS.seconds_of_day(instant.days) * 10**12


def test_tables_of_ones_own() -> None:
    again = LEAP_SECONDS._replace(rows=(*LEAP_SECONDS.rows, (26000, 38), (27000, 37)))
    assert (again.seconds_of_day(25999), again.seconds_of_day(26999)) == (86401, 86399)
    assert again.from_tai(again.to_tai(DayTime(27000, 0)) - 1) == DayTime(26999, 86399 * 10**12 - 1)
    late = CucTime(coarse=26000 * 86400 + 38)
    assert late.to_day_time(leap_seconds=again).value == DayTime(26000, 0)
    assert late.to_day_time().value == DayTime(26000, 10**12)
    for table in (LEAP_SECONDS, LEAP_SECONDS._replace(rows=())):
        with pytest.raises(ConfigurationError, match="before the table"):
            CucTime(coarse=5).to_day_time(leap_seconds=table)
        with pytest.raises(ConfigurationError, match="before the table"):
            table.to_tai(DayTime(5, 0))


def test_a_table_says_how_long_it_is_known_to_hold() -> None:
    last = (LEAP_SECONDS.expires - datetime.date(1958, 1, 1)).days
    assert LEAP_SECONDS.is_known_on(last - 1) and not LEAP_SECONDS.is_known_on(last)
    assert LEAP_SECONDS.tai_minus_utc(last) == 37


def test_a_scaled_fine_field_that_ends_before_the_second() -> None:
    epoch = Epoch(0, counts_leap_seconds=False)
    instant = DayTime(1, 999_999_000_000)
    time, lost = CucTime.from_day_time(instant, epoch=epoch, fine_unit=NASA_EOS_FINE_UNIT, fine_octets=2)
    assert (time.coarse, time.fine) == (86400, 65535)
    assert lost == Fraction(999_999, 10**6) - 65535 * NASA_EOS_FINE_UNIT
    published = DayTime(*instant_of("2024-10-31T10:49:19.498544800 TAI"))
    made = CucTime.from_day_time(
        published, epoch=epoch, fine_unit=NASA_EOS_FINE_UNIT, fine_octets=2, p_field_present=False
    )
    assert (made.value.encode().hex(), made.lost_seconds) == (CASES["eos-cuc-scaled"]["t_field"], 0)


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.2", "CUC level 2: agency-defined epoch")
def test_gps_time_counts_from_its_epoch() -> None:
    time = CucTime(coarse=1_167_264_018, time_code_id=2)  # 2017-01-01, 18 leap seconds since 1980
    assert time.to_day_time(epoch=GPS_EPOCH).value.to_datetime().value.isoformat() == "2017-01-01T00:00:00+00:00"
    with pytest.raises(ConfigurationError, match="give it as epoch="):
        time.to_day_time()


@pytest.mark.conforms("CCSDS 301.0-B-4", "3", "fields out of range, and P-fields of other codes, refused")
@pytest.mark.parametrize(
    ("cls", "octets", "match"),
    [
        (CucTime, "40000000", "time code id 100"),
        (CucTime, "9c8000000000", "third octet"),
        (CdsTime, "1e00000000", "time code id 001"),
        (CdsTime, "c000000000", "second octet"),
        (CdsTime, "4300000000", "submillisecond code 3"),
        (CdsTime, "40000005265fe8", "milliseconds is 86401000"),
        (CdsTime, "41000005265c0003e8", "submilliseconds is 1000"),
        (CcsTime, "40000000", "time code id 100"),
        (CcsTime, "d0", "second octet"),
        (CcsTime, "5719880118172043", "7 octets"),
        (CcsTime, "501988011817204a", "second is 4a"),
        (CcsTime, "5019880230172043", "month 2 and day_of_month 30 is no day"),
        (CcsTime, "5819880367172043", "day_of_year 367 is no day"),
        (CcsTime, "5819880000172043", "day"),
        (CcsTime, "5000000118172043", "year is 0"),
        (CcsTime, "5019880118242043", "hour is 24"),
        (CcsTime, "5019880118172060", "before the end of the day"),
        (CcsTime, "501988011817204300", "1 octets follow"),
    ],
)
def test_octets_that_are_no_time(cls: Any, octets: str, match: str) -> None:
    with pytest.raises(FieldError, match=match) as caught:
        cls.decode(bytes.fromhex(octets))
    assert caught.value.clause.startswith("CCSDS 301.0-B-4 §3")


@pytest.mark.conforms("CCSDS 301.0-B-4", "3.5", "texts that are no time refused")
@pytest.mark.parametrize(
    ("text", "offset", "match"),
    [
        ("1988-01-18T17:20:4x", 18, "does not go on"),
        ("1988-0118T17:20:43Z", 8, "does not go on"),
        ("1988-01-18 17:20:43", 10, "does not go on"),
        ("1988-01-18T17:20:43.Z", 19, "does not go on"),
        ("1988-01-18T17:20:43ZZ", 19, "does not go on"),
        ("1988-01-18T17:20", 16, "ends before"),
        ("1988-366T25:00:00", 0, "hour is 25"),
        ("1987-366T00:00:00", 0, "no day of 1987"),
        ("1988-000T00:00:00", 0, "no day of 1988"),
        ("1988-01-18T17:20:43." + 100 * "9", 19, "does not go on"),
    ],
)
def test_texts_that_are_no_time(text: str, offset: int, match: str) -> None:
    with pytest.raises(DecodeError, match=match) as caught:
        AsciiTime.decode(text.encode())
    assert caught.value.octet_offset == offset


@pytest.mark.parametrize(
    "make",
    [
        lambda: CucTime(coarse=1, coarse_octets=8),
        lambda: CucTime(coarse=1, fine_octets=11),
        lambda: CucTime(coarse=1, time_code_id=3),
        lambda: CucTime(coarse=1 << 32),
        lambda: CucTime(coarse=1, fine=1),
        lambda: CucTime(coarse=1, coarse_octets=5, extension_flag=0),
        lambda: CucTime(coarse=1, coarse_octets=5, additional_coarse_octets=0),
        lambda: CucTime(coarse=1, mission_defined_bits=1, extension_flag=0),
        lambda: CdsTime(days=65536, milliseconds=0),
        lambda: CdsTime(days=0, milliseconds=86_401_000),
        lambda: CdsTime(days=0, milliseconds=0, submilliseconds=1),
        lambda: CdsTime(days=0, milliseconds=0, submilliseconds=1000, submillisecond_octets=2),
        lambda: CdsTime(days=0, milliseconds=0, day_octets=4),
        lambda: CdsTime(days=0, milliseconds=0, agency_epoch_flag=2),
        lambda: CcsTime(year=2000),
        lambda: CcsTime(year=2000, month=1, day_of_month=1, day_of_year=1),
        lambda: CcsTime(year=2000, month=10**30, day_of_month=1),
        lambda: CcsTime(year=2000, day_of_year=1, subsecond_octets=7),
        lambda: CcsTime(year=2000, day_of_year=1, subseconds=1),
        lambda: CcsTime(year="2000", day_of_year=1),  # type: ignore[arg-type]
        lambda: AsciiTime(year=2000, day_of_year=1, fraction=1),
        lambda: AsciiTime(year=2000, day_of_year=1, fraction_digits=100),
    ],
)
def test_times_that_cannot_be(make: Any) -> None:
    with pytest.raises(EncodeError, match=r"301\.0-B-4"):
        make()


@pytest.mark.conforms("CCSDS 301.0-B-4", "3", "P-field implicit, agreed instead of sent")
def test_an_agreed_p_field_must_be_one_of_the_code() -> None:
    for cls, p_field in ((CucTime, b""), (CucTime, b"\x40"), (CdsTime, b"\x40\x40"), (CcsTime, b"\x57")):
        with pytest.raises(ConfigurationError, match="p_field"):
            cls.decode(bytes(8), p_field=p_field)
    with pytest.raises(FieldError, match="no code that CCSDS defines"):
        decode_time_code(b"\x60\0\0\0")
    with pytest.raises(TruncatedError):
        decode_time_code(b"")
    assert decode_time_code(bytes.fromhex("2e5b3f555e48b4ff"))[1] == b"\xff"
