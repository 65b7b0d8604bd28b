"""Time codes that say a date: CCS in decimal digits, A and B in ASCII.  Source: CCSDS 301.0-B-4, 3.4 and 3.5."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Final, Self

from ccsds._unit import Unit, maker, write_into
from ccsds.errors import DecodeError, EncodeError, TruncatedError
from ccsds.layout import Field, Layout, Octets
from ccsds.packets.time_codes_base import DOCUMENT, TimeCode, wrong, wrong_code
from ccsds.packets.time_codes_scale import PICOSECONDS_PER_SECOND, Converted, DayTime, days_of_date

__all__ = ["CCS_P_FIELD", "AsciiTime", "CcsTime", "ccs_t_field"]

CCS_P_FIELD = Layout(
    "CCS P-field",
    DOCUMENT,
    Field("extension_flag", 1, "3.4.2"),
    Field("time_code_id", 3, "3.4.2"),
    Field("day_of_year_flag", 1, "3.4.2"),
    Field("subsecond_octets", 3, "3.4.2"),
)
CCS: Final = 0b101


@cache
def ccs_t_field(day_of_year_flag: int, subsecond_octets: int) -> Layout:
    """The layout of a CCS T-field; every half octet holds a decimal digit.  0 to 6 octets of subseconds."""
    month = (Field("month", 8, "3.4.1"), Field("day_of_month", 8, "3.4.1"))
    date = (Field("day_of_year", 16, "3.4.1"),) if day_of_year_flag else month
    time = tuple(Field(name, 8, "3.4.1") for name in ("hour", "minute", "second"))
    rest = (Field("subseconds", 8 * subsecond_octets, "3.4.1"),) if subsecond_octets else ()
    return Layout("CCS T-field", DOCUMENT, Field("year", 16, "3.4.1"), *date, *time, *rest)


class CcsTime(TimeCode, frozen=True):
    """Calendar segmented time: a date and a time of day in decimal digits (3.4).

    With `day_of_year` the date is a day of the year, else `month` and `day_of_month` say it.  `subseconds` counts
    units of 10 ** (-2 * subsecond_octets) seconds.
    """

    NAME: ClassVar[str] = "CCS time code"

    year: int
    month: int = 0
    day_of_month: int = 0
    day_of_year: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    subseconds: int = 0
    subsecond_octets: int = 0
    p_field_present: bool = True

    @property
    def day_of_year_flag(self) -> int:
        """1 where the date is a day of the year."""
        return int(self.day_of_year > 0)

    @property
    def p_field(self) -> bytes:
        """The octet of the P-field."""
        return CCS_P_FIELD.pack_values(0, CCS, self.day_of_year_flag, self.subsecond_octets)

    def check(self) -> None:
        """Raise EncodeError where a value is no date, no time, or does not fit."""
        if self.subsecond_octets not in range(7):
            raise EncodeError(
                f"{self.NAME}: subsecond_octets is {self.subsecond_octets!r}, not 0 to 6 [{DOCUMENT} §3.4.2]"
            )
        problem = calendar_problem(self)
        if not problem and not 0 <= self.subseconds < 100**self.subsecond_octets:
            problem = f"subseconds is {self.subseconds}, not below {100**self.subsecond_octets}"
        if problem:
            raise EncodeError(f"{self.NAME}: {problem} [{DOCUMENT} §3.4.1]")

    @classmethod
    def shape_of(cls, octets: memoryview) -> tuple[tuple[int, ...], int]:
        """What the P-field at the start of `octets` says about the T-field, and where the P-field ends."""
        extension, code, by_day, size = CCS_P_FIELD.values(octets)
        if code != CCS or extension:
            raise wrong_code(cls.NAME, code, CCS_P_FIELD, extension)
        if size > 6:
            raise wrong(cls.NAME, "7 octets of subseconds are reserved", 0, "3.4.2")
        return (by_day, size), CCS_P_FIELD.octets

    @classmethod
    def _read(cls, shape: tuple[int, ...], octets: memoryview, at: int, p_field_present: bool) -> tuple[Any, int]:
        by_day, size = shape
        layout = ccs_t_field(by_day, size)
        fields = layout.unpack(octets, at)
        for name, value in fields.items():
            digits = f"{value:x}"
            if not digits.isdecimal():
                where = at + layout.bit_offset(name) // 8
                raise wrong(cls.NAME, f"{name} is {digits}, no decimal digits", where, "3.4.1")
            fields[name] = int(digits)
        names = cls.__struct_fields__[:8]
        time: CcsTime = _make_ccs(*[fields.get(name, 0) for name in names], size, p_field_present)
        problem = calendar_problem(time) or ("day_of_year is 0" if by_day and not time.day_of_year else "")
        if problem:
            raise wrong(cls.NAME, problem, at, "3.4.1")
        return time, at + layout.octets

    def encode_t_field(self) -> bytes:
        """The octets of the T-field alone."""
        layout = ccs_t_field(self.day_of_year_flag, self.subsecond_octets)
        return layout.pack_values(*[int(str(getattr(self, name)), 16) for name in layout.names])

    def to_day_time(self) -> Converted[DayTime]:
        """The instant; nothing is lost."""
        picoseconds = self.subseconds * 100 ** (6 - self.subsecond_octets)
        return Converted(DayTime(calendar_days(self), calendar_seconds(self) * 10**12 + picoseconds), Fraction(0))

    @classmethod
    def from_day_time(cls, instant: DayTime, *, by_day_of_year: bool = False, **fields: Any) -> Converted[Self]:
        """The time, to the smallest unit before it; `fields` are others of the code (subsecond_octets, ...).

        Raises: EncodeError: not within the years 1 to 9999.
        """
        size = fields.get("subsecond_octets", 0)
        kept, lost = divmod(instant.picoseconds % PICOSECONDS_PER_SECOND, 100 ** max(6 - size, 0))
        time = cls(**calendar_fields(instant, by_day_of_year), subseconds=kept, **fields)
        return Converted(time, Fraction(lost, PICOSECONDS_PER_SECOND))


class AsciiTime(Unit, frozen=True):
    """Time as text: code A, 1988-01-18T17:20:43.123456Z, or with `day_of_year` code B, 1988-018T17:20:43.123456Z (3.5).

    `fraction` has `fraction_digits` digits, leading zeros included; there is no decimal point where they are 0.
    """

    NAME: ClassVar[str] = "ASCII time code"

    year: int
    month: int = 0
    day_of_month: int = 0
    day_of_year: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    fraction: int = 0
    fraction_digits: int = 0
    terminator_present: bool = True

    @property
    def code(self) -> str:
        """A, where the date has a month, or B."""
        return "B" if self.day_of_year else "A"

    def check(self) -> None:
        """Raise EncodeError where a value is no date, no time, or does not fit."""
        problem = calendar_problem(self)
        if not problem and self.fraction_digits not in range(_MOST_FRACTION_DIGITS + 1):
            problem = f"fraction_digits is {self.fraction_digits!r}, not 0 to {_MOST_FRACTION_DIGITS}"
        if not problem and not (isinstance(self.fraction, int) and 0 <= self.fraction < 10**self.fraction_digits):
            problem = f"fraction is {self.fraction!r}, not below {10**self.fraction_digits}"
        if problem:
            raise EncodeError(f"{self.NAME}: {problem} [{DOCUMENT} §3.5.1]")

    def __str__(self) -> str:
        date = f"{self.day_of_year:03}" if self.day_of_year else f"{self.month:02}-{self.day_of_month:02}"
        time = f"{self.hour:02}:{self.minute:02}:{self.second:02}"
        fraction = f".{self.fraction:0{self.fraction_digits}}" if self.fraction_digits else ""
        return f"{self.year:04}-{date}T{time}{fraction}{'Z' if self.terminator_present else ''}"

    def __len__(self) -> int:
        return len(str(self))

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The time that `octets` spell: all of them, for the terminator may be missing.

        Raises: TruncatedError: the text ends before the seconds.  FieldError: another text, no date or no time.
        """
        text = bytes(octets)
        found = _ASCII_TIME.fullmatch(text)
        if found is None:
            raise _misspelt(text)
        year, month, day, day_of_year, hour, minute, second, fraction, end = found.groups(default=b"")
        numbers = [int(digits or b"0") for digits in (year, month, day, day_of_year, hour, minute, second, fraction)]
        time: Self = _make_ascii(*numbers, len(fraction), bool(end))
        problem = calendar_problem(time) or ("day_of_year is 0" if day_of_year and not time.day_of_year else "")
        if problem:
            raise wrong(cls.NAME, problem, 0, "3.5.1")
        return time

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """The time, and nothing after it: it takes all that there is."""
        return cls.decode(octets), memoryview(octets)[len(octets) :]

    def encode(self) -> bytes:
        """The octets of the text."""
        return str(self).encode("ascii")

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the time at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(self.NAME, self.encode(), out)

    def to_day_time(self) -> Converted[DayTime]:
        """The instant, to the picosecond before it."""
        exact = Fraction(self.fraction, 10**self.fraction_digits) * PICOSECONDS_PER_SECOND
        kept = exact.numerator // exact.denominator
        instant = DayTime(calendar_days(self), calendar_seconds(self) * PICOSECONDS_PER_SECOND + kept)
        return Converted(instant, (exact - kept) / PICOSECONDS_PER_SECOND)

    @classmethod
    def from_day_time(cls, instant: DayTime, *, by_day_of_year: bool = False, **fields: Any) -> Converted[Self]:
        """The time, to the digit before it; `fields` are others of the code (fraction_digits, terminator_present).

        Raises: EncodeError: not within the years 1 to 9999.
        """
        digits = fields.get("fraction_digits", 0)
        exact = Fraction(instant.picoseconds % PICOSECONDS_PER_SECOND, PICOSECONDS_PER_SECOND)
        kept = int(exact * 10**digits)
        time = cls(**calendar_fields(instant, by_day_of_year), fraction=kept, **fields)
        return Converted(time, exact - Fraction(kept, 10**digits))


_MOST_FRACTION_DIGITS = 99
_CALENDAR_FIELDS = ("year", "month", "day_of_month", "day_of_year", "hour", "minute", "second")
_ASCII_TIME = re.compile(
    rb"(\d{4})-(?:(\d\d)-(\d\d)|(\d{3}))T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,%d}))?(Z)?" % _MOST_FRACTION_DIGITS
)
_ASCII_SHAPES = (b"0000-00-00T00:00:00", b"0000-000T00:00:00")
_make_ccs = maker(CcsTime)
_make_ascii = maker(AsciiTime)


def _misspelt(text: bytes) -> DecodeError:
    """The error for a text that is neither code, at the octet up to which it could have been one."""
    shape = re.sub(rb"\d", b"0", text)
    agreed = max(_common(shape, other) for other in _ASCII_SHAPES)
    if agreed == len(text):
        message, clause = "the text ends before the seconds do", f"{DOCUMENT} §3.5.1"
        return TruncatedError(message, unit=AsciiTime.NAME, octet_offset=agreed, clause=clause)
    return wrong(AsciiTime.NAME, f"{text[agreed : agreed + 8]!r} does not go on with the time", agreed, "3.5.1")


def _common(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def calendar_problem(time: Any) -> str:
    """What is no date or no time of day in the fields of a calendar code; empty where all is well."""
    for name in _CALENDAR_FIELDS:
        if not isinstance(getattr(time, name), int):
            return f"{name} is {getattr(time, name)!r}, no whole number"
    if not 1 <= time.year <= 9999:
        return f"year is {time.year}, not 1 to 9999"
    if time.day_of_year and (time.month or time.day_of_month):
        return "a date has a day of the year, or a month and its day, not both"
    try:
        calendar_days(time)
    except (ValueError, OverflowError):
        named = ("day_of_year",) if time.day_of_year else ("month", "day_of_month")
        return f"{' and '.join(f'{name} {getattr(time, name)}' for name in named)} is no day of {time.year}"
    for name, most in (("hour", 23), ("minute", 59), ("second", 60)):
        if not 0 <= getattr(time, name) <= most:
            return f"{name} is {getattr(time, name)}, not 0 to {most}"
    if time.second == 60 and (time.hour, time.minute) != (23, 59):
        return "second is 60 before the end of the day"
    return ""


def calendar_days(time: Any) -> int:
    """Days since 1958-01-01 of a calendar code.  Raises ValueError: no such day."""
    if not time.day_of_year:
        return days_of_date(datetime.date(time.year, time.month, time.day_of_month))
    first = datetime.date(time.year, 1, 1)
    last = datetime.date(time.year, 12, 31)
    if not 1 <= time.day_of_year <= last.toordinal() - first.toordinal() + 1:
        raise ValueError(f"day_of_year is {time.day_of_year}")
    return days_of_date(first) + int(time.day_of_year) - 1


def calendar_seconds(time: Any) -> int:
    """Seconds of the day of a calendar code."""
    return int(time.hour * 3600 + time.minute * 60 + time.second)


def calendar_fields(instant: DayTime, by_day_of_year: bool) -> dict[str, Any]:
    """The fields of a calendar code down to the second."""
    date, seconds = instant.date, instant.picoseconds // PICOSECONDS_PER_SECOND
    minutes, second = divmod(min(seconds, 86399), 60)
    fields: dict[str, Any] = {
        "year": date.year,
        "hour": minutes // 60,
        "minute": minutes % 60,
        "second": second + max(seconds - 86399, 0),
    }
    if by_day_of_year:
        return fields | {"day_of_year": date.timetuple().tm_yday}
    return fields | {"month": date.month, "day_of_month": date.day}
