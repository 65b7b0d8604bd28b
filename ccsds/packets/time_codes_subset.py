"""Parts of the ASCII time codes A and B: a date alone, a time of day alone, or either cut short.

Source: CCSDS 301.0-B-4, 3.5.1, the rules for subsets of the complete codes.
"""

from __future__ import annotations

import calendar
import re
from typing import ClassVar, Final, Self

from ccsds._unit import Unit, maker, write_into
from ccsds.errors import EncodeError
from ccsds.layout import Octets
from ccsds.packets.time_codes_base import DOCUMENT, wrong

__all__ = ["AsciiTimeSubset"]

CLAUSE: Final = "3.5.1"
_MOST_FRACTION_DIGITS = 99
_LIMITS: Final = {
    "year": (1, 9999),
    "month": (1, 12),
    "day_of_month": (1, 31),
    "day_of_year": (1, 366),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60),
}


class AsciiTimeSubset(Unit, frozen=True):
    """Some subfields of an ASCII time code; None: not there.  `AsciiTime` is the complete code.

    The subfields of the date (year, month and day_of_month, or year and day_of_year), and those of the time of day
    (hour, minute, second, and a fraction of `fraction_digits` digits), are cut short on the left or on the right, never
    in the middle.  Cut on the left, the separators of what is missing stay: -12-25, ::30.5.  Where both are there, the
    date is not cut on its right, nor the time on its left: -12-25T17:20.
    """

    NAME: ClassVar[str] = "ASCII time code subset"

    year: int | None = None
    month: int | None = None
    day_of_month: int | None = None
    day_of_year: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    fraction: int = 0
    fraction_digits: int = 0
    terminator_present: bool = False

    def check(self) -> None:
        """Raise EncodeError where a value is out of range, or the subfields do not hang together."""
        if problem := _problem(self):
            raise EncodeError(f"{self.NAME}: {problem} [{DOCUMENT} §{CLAUSE}]")

    def _date(self) -> tuple[str | None, ...]:
        year = None if self.year is None else f"{self.year:04}"
        if self.day_of_year is not None:
            return year, f"{self.day_of_year:03}"
        return year, *(None if value is None else f"{value:02}" for value in (self.month, self.day_of_month))

    def _time(self) -> tuple[str | None, ...]:
        values = (self.hour, self.minute, self.second)
        fraction = f"{self.fraction:0{self.fraction_digits}}" if self.fraction_digits else None
        return *(None if value is None else f"{value:02}" for value in values), fraction

    def __str__(self) -> str:
        date = _joined(self._date(), ("", "-", "-"))
        time = _joined(self._time(), ("", ":", ":", "."))
        return date + ("T" if date and time else "") + time + ("Z" if self.terminator_present else "")

    def __len__(self) -> int:
        return len(str(self))

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The subset that `octets` spell: all of them.  Raises: FieldError: no subset, no date or no time."""
        text = bytes(octets)
        found = _DATE_AND_TIME.fullmatch(text) or _DATE.fullmatch(text) or _TIME.fullmatch(text)
        groups = found.groupdict() if found else {}
        fraction = groups.get("fraction") or b""
        numbers = [None if groups.get(name) is None else int(groups[name]) for name in _LIMITS]
        subset: Self = _make(*numbers, int(fraction or b"0"), len(fraction), bool(groups.get("end")))
        problem = _problem(subset)
        if not problem and str(subset).encode() != text:
            problem = f"{text[:40]!r} has separators of no subfield"
        if problem:
            raise wrong(cls.NAME, problem if found else f"{text[:40]!r} is none", 0, CLAUSE)
        return subset

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """The subset, and nothing after it: it takes all that there is."""
        return cls.decode(octets), memoryview(octets)[len(octets) :]

    def encode(self) -> bytes:
        """The octets of the text."""
        return str(self).encode("ascii")

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the text at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(self.NAME, self.encode(), out)


_DATE_TEXT = rb"(?P<year>\d{4})?(?:-(?P<day_of_year>\d{3})|(?:-(?P<month>\d\d)?(?:-(?P<day_of_month>\d\d))?)?)"
_TIME_TEXT = (
    rb"(?P<hour>\d\d)?(?::(?P<minute>\d\d)?(?::(?P<second>\d\d)?(?:\.(?P<fraction>\d{1,%d}))?)?)?(?P<end>Z)?"
    % _MOST_FRACTION_DIGITS
)
_DATE, _TIME = re.compile(_DATE_TEXT), re.compile(_TIME_TEXT)
_DATE_AND_TIME = re.compile(_DATE_TEXT + b"T" + _TIME_TEXT)
_make = maker(AsciiTimeSubset)


def _joined(parts: tuple[str | None, ...], separators: tuple[str, ...]) -> str:
    """The parts with the separators before them, up to the last one that is there."""
    there = [part is not None for part in parts]
    last = len(parts) - there[::-1].index(True) if any(there) else 0
    return "".join(separator + (part or "") for separator, part in zip(separators, parts[:last], strict=False))


def _problem(subset: AsciiTimeSubset) -> str:
    """What is wrong with the values, or with which of them are there; empty where all is well."""
    for name, (least, most) in _LIMITS.items():
        value = getattr(subset, name)
        if value is not None and not (isinstance(value, int) and least <= value <= most):
            return f"{name} is {value!r}, not {least} to {most}"
    if subset.fraction_digits not in range(_MOST_FRACTION_DIGITS + 1):
        return f"fraction_digits is {subset.fraction_digits!r}, not 0 to {_MOST_FRACTION_DIGITS}"
    if not (isinstance(subset.fraction, int) and 0 <= subset.fraction < 10**subset.fraction_digits):
        return f"fraction is {subset.fraction!r}, not below {10**subset.fraction_digits}"
    return _problem_of_shape(subset) or _problem_of_date(subset)


def _problem_of_shape(subset: AsciiTimeSubset) -> str:
    if subset.day_of_year is not None and (subset.month is not None or subset.day_of_month is not None):
        return "a date has a day of the year, or a month and its day, not both"
    date, time = ([part is not None for part in parts] for parts in (subset._date(), subset._time()))
    if not any(date + time):
        return "no subfield is there"
    for what, there in (("date", date), ("time", time)):
        if any(there) and not all(there[there.index(True) : len(there) - there[::-1].index(True)]):
            return f"a subfield in the middle of the {what} is missing"
    if any(date) and any(time) and not (date[-1] and time[0]):
        return "beside each other, the date ends with its day, and the time begins with its hour"
    if subset.terminator_present and not any(time):
        return "the terminator belongs to a time"
    return ""


def _problem_of_date(subset: AsciiTimeSubset) -> str:
    """A day that the month or the year does not have, a leap second where none can be; what is not there may fit."""
    year = 2000 if subset.year is None else subset.year
    if subset.day_of_month is not None and subset.month is not None:
        days = calendar.monthrange(year, subset.month)[1]
        if subset.day_of_month > days:
            return f"day_of_month is {subset.day_of_month}; month {subset.month} has {days}"
    if subset.day_of_year == 366 and not calendar.isleap(year):
        return f"day_of_year is 366; {year} has 365"
    early = any(value not in (None, last) for value, last in ((subset.hour, 23), (subset.minute, 59)))
    return "second is 60 before the end of the day" if subset.second == 60 and early else ""
