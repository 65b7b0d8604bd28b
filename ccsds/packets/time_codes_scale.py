"""Instants as days and picoseconds of UTC, epochs, and leap seconds.  Source: CCSDS 301.0-B-4, section 2 and annex B.

Whole numbers and fractions only: what a conversion cannot keep, it says.
"""

from __future__ import annotations

import datetime
from fractions import Fraction
from typing import Final, Generic, NamedTuple, Self, TypeVar

from ccsds.errors import ConfigurationError, EncodeError

__all__ = [
    "CCSDS_EPOCH",
    "GPS_EPOCH",
    "LEAP_SECONDS",
    "PICOSECONDS_PER_DAY",
    "PICOSECONDS_PER_SECOND",
    "UNIX_EPOCH",
    "Converted",
    "DayTime",
    "Epoch",
    "LeapSeconds",
    "days_of_date",
]

PICOSECONDS_PER_SECOND: Final = 10**12
SECONDS_PER_DAY: Final = 86400
PICOSECONDS_PER_DAY: Final = SECONDS_PER_DAY * PICOSECONDS_PER_SECOND
_PICOSECONDS_PER_MICROSECOND = 10**6
_DAY_ZERO = datetime.date(1958, 1, 1).toordinal()
_NTP_DAY_ZERO = datetime.date(1900, 1, 1).toordinal() - _DAY_ZERO

T = TypeVar("T")


class Converted(NamedTuple, Generic[T]):
    """What came out of a conversion, and by how many seconds it is early (negative: late); 0 where nothing is lost."""

    value: T
    lost_seconds: Fraction


def days_of_date(date: datetime.date) -> int:
    """Days from 1958-01-01 to a date."""
    return date.toordinal() - _DAY_ZERO


class DayTime(NamedTuple):
    """An instant of UTC: days since 1958-01-01 and picoseconds of the day, 86400 s and more within a leap second."""

    days: int
    picoseconds: int

    @property
    def date(self) -> datetime.date:
        """The date.  Raises EncodeError: not within the years 1 to 9999."""
        try:
            return datetime.date.fromordinal(self.days + _DAY_ZERO)
        except (ValueError, OverflowError):
            raise EncodeError(f"day {self.days} since 1958-01-01 is not within the years 1 to 9999") from None

    def to_datetime(self) -> Converted[datetime.datetime]:
        """An aware datetime, to the microsecond before; within a leap second the last one of the minute before it.

        Raises: EncodeError: not within the years 1 to 9999.
        """
        date = self.date
        kept = min(self.picoseconds // _PICOSECONDS_PER_MICROSECOND, SECONDS_PER_DAY * 10**6 - 1)
        midnight = datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.UTC)
        lost = self.picoseconds - kept * _PICOSECONDS_PER_MICROSECOND
        return Converted(midnight + datetime.timedelta(microseconds=kept), Fraction(lost, PICOSECONDS_PER_SECOND))

    @classmethod
    def from_datetime(cls, instant: datetime.datetime) -> Self:
        """The instant of an aware datetime, exactly.  Raises EncodeError: it has no time zone."""
        if instant.utcoffset() is None:
            raise EncodeError(f"{instant.isoformat()} has no time zone: no instant")
        utc = instant.astimezone(datetime.UTC)
        past = utc - utc.replace(hour=0, minute=0, second=0, microsecond=0)
        microseconds = past // datetime.timedelta(microseconds=1)
        return cls(days_of_date(utc.date()), microseconds * _PICOSECONDS_PER_MICROSECOND)


class LeapSeconds(NamedTuple):
    """TAI - UTC in seconds from a day (since 1958-01-01) on; when it was issued, and until when it is known to hold."""

    rows: tuple[tuple[int, int], ...]
    issued: datetime.date
    expires: datetime.date

    @classmethod
    def from_list(cls, text: str) -> Self:
        """The table that a leap-seconds.list holds, as IERS and NIST publish it.

        Raises: ConfigurationError: no such file.
        """
        rows, stamps = [], {}
        try:
            for line in text.splitlines():
                if line[:2] in ("#$", "#@"):
                    stamps[line[:2]] = datetime.date.fromordinal(_days_of_ntp(line[2:]) + _DAY_ZERO)
                elif line.strip() and not line.startswith("#"):
                    seconds, offset = line.partition("#")[0].split()
                    rows.append((_days_of_ntp(seconds), int(offset)))
            table = cls(tuple(rows), stamps["#$"], stamps["#@"])
        except (ValueError, KeyError, OverflowError):
            raise ConfigurationError("leap seconds: the text is no leap-seconds.list") from None
        if not rows or rows != sorted(rows):
            raise ConfigurationError("leap seconds: no rows, or rows out of order")
        return table

    def is_known_on(self, days: int) -> bool:
        """False from the day on which the table expires: a leap second may have been announced since."""
        return days < days_of_date(self.expires)

    def tai_minus_utc(self, days: int) -> int:
        """Seconds by which TAI is ahead of UTC on a day.

        Raises: ConfigurationError: a day before the table, when UTC did not differ from TAI by whole seconds.
        """
        for day, offset in reversed(self.rows):
            if days >= day:
                return offset
        raise self._before_table(days)

    def seconds_of_day(self, days: int) -> int:
        """Seconds that a day has: 86400, and one more with a leap second at its end."""
        return SECONDS_PER_DAY + self.tai_minus_utc(days + 1) - self.tai_minus_utc(days)

    def to_tai(self, instant: DayTime) -> int:
        """Picoseconds of TAI since 1958-01-01.  Raises ConfigurationError: before the table."""
        offset = self.tai_minus_utc(instant.days) * PICOSECONDS_PER_SECOND
        return instant.days * PICOSECONDS_PER_DAY + instant.picoseconds + offset

    def from_tai(self, picoseconds: int) -> DayTime:
        """The instant at which so many picoseconds of TAI have passed since 1958-01-01.

        Raises: ConfigurationError: before the table.
        """
        following = None
        for day, offset in reversed(self.rows):
            since = picoseconds - day * PICOSECONDS_PER_DAY - offset * PICOSECONDS_PER_SECOND
            if since >= 0:
                days, rest = divmod(since, PICOSECONDS_PER_DAY)
                if day + days == following:  # its midnight has not come: this is the leap second before it
                    return DayTime(day + days - 1, PICOSECONDS_PER_DAY + rest)
                return DayTime(day + days, rest)
            following = day
        raise self._before_table(picoseconds // PICOSECONDS_PER_DAY)

    def _before_table(self, days: int) -> ConfigurationError:
        first = DayTime(self.rows[0][0], 0).date if self.rows else None
        return ConfigurationError(
            f"leap seconds: day {days} since 1958-01-01 is before the table, which begins {first}"
        )


def _days_of_ntp(seconds: str) -> int:
    return int(seconds) // SECONDS_PER_DAY + _NTP_DAY_ZERO


_BEGINNINGS = (
    "1972-01 1972-07 1973-01 1974-01 1975-01 1976-01 1977-01 1978-01 1979-01 1980-01 1981-07 1982-07 1983-07 1985-07 "
    "1988-01 1990-01 1991-01 1992-07 1993-07 1994-07 1996-01 1997-07 1999-01 2006-01 2009-01 2012-07 2015-07 2017-01"
)
LEAP_SECONDS: Final = LeapSeconds(
    rows=tuple(
        (days_of_date(datetime.date.fromisoformat(f"{month}-01")), 10 + index)
        for index, month in enumerate(_BEGINNINGS.split())
    ),
    issued=datetime.date(2025, 7, 7),
    expires=datetime.date(2026, 6, 28),
)
"""IERS Bulletin C of July 2025.  Where a later one matters, make a table with `LeapSeconds.from_list`."""


class Epoch(NamedTuple):
    """Where a count begins, and how it counts.

    `days`, `picoseconds`: of UTC, as in DayTime.  `counts_leap_seconds` False: every day has 86400 s, as in Unix time.
    `tai_minus_utc`: seconds, at the epoch; only where leap seconds are counted.
    """

    days: int
    picoseconds: int = 0
    counts_leap_seconds: bool = True
    tai_minus_utc: int = 0

    def to_day_time(self, picoseconds: int, leap_seconds: LeapSeconds) -> DayTime:
        """The instant so many picoseconds after the epoch.  Raises ConfigurationError: before the table."""
        since = self.days * PICOSECONDS_PER_DAY + self.picoseconds + picoseconds
        if self.counts_leap_seconds:
            return leap_seconds.from_tai(since + self.tai_minus_utc * PICOSECONDS_PER_SECOND)
        return DayTime(*divmod(since, PICOSECONDS_PER_DAY))

    def picoseconds_to(self, instant: DayTime, leap_seconds: LeapSeconds) -> int:
        """Picoseconds from the epoch to an instant.  Raises ConfigurationError: before the table."""
        if self.counts_leap_seconds:
            since = leap_seconds.to_tai(instant) - self.tai_minus_utc * PICOSECONDS_PER_SECOND
        else:
            since = instant.days * PICOSECONDS_PER_DAY + instant.picoseconds
        return since - self.days * PICOSECONDS_PER_DAY - self.picoseconds


CCSDS_EPOCH: Final = Epoch(0)
"""1958-01-01, when TAI and UTC agreed by definition."""
GPS_EPOCH: Final = Epoch(days_of_date(datetime.date(1980, 1, 6)), tai_minus_utc=19)
UNIX_EPOCH: Final = Epoch(days_of_date(datetime.date(1970, 1, 1)), counts_leap_seconds=False)
