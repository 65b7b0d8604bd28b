"""Time codes that count: CUC and CDS, with and without P-field.  Source: CCSDS 301.0-B-4, sections 3.2 and 3.3."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Final, NamedTuple, Self

import msgspec

from ccsds._unit import maker
from ccsds.errors import ConfigurationError, EncodeError
from ccsds.layout import Field, Layout, Octets
from ccsds.packets.time_codes_base import DOCUMENT, TimeCode, wrong, wrong_code
from ccsds.packets.time_codes_calendar import CCS, CcsTime
from ccsds.packets.time_codes_scale import (
    CCSDS_EPOCH,
    LEAP_SECONDS,
    PICOSECONDS_PER_SECOND,
    Converted,
    DayTime,
    Epoch,
    LeapSeconds,
)

__all__ = [
    "CDS_P_FIELD",
    "CUC_P_FIELD",
    "CUC_P_FIELD_EXTENSION",
    "NASA_EOS_FINE_UNIT",
    "CdsTime",
    "CucTime",
    "cds_t_field",
    "cuc_t_field",
    "decode_time_code",
]

CUC_P_FIELD = Layout(
    "CUC P-field",
    DOCUMENT,
    Field("extension_flag", 1, "3.2.2"),
    Field("time_code_id", 3, "3.2.2"),
    Field("basic_coarse_octets_minus_1", 2, "3.2.2"),
    Field("basic_fine_octets", 2, "3.2.2"),
)
CUC_P_FIELD_EXTENSION = Layout(
    "CUC P-field, second octet",
    DOCUMENT,
    Field("extension_flag", 1, "3.2.2"),
    Field("additional_coarse_octets", 2, "3.2.2"),
    Field("additional_fine_octets", 3, "3.2.2"),
    Field("mission_defined_bits", 2, "3.2.2"),
)
CDS_P_FIELD = Layout(
    "CDS P-field",
    DOCUMENT,
    Field("extension_flag", 1, "3.3.2"),
    Field("time_code_id", 3, "3.3.2"),
    Field("agency_epoch_flag", 1, "3.3.2"),
    Field("long_day_flag", 1, "3.3.2"),
    Field("submillisecond_code", 2, "3.3.2"),
)
CUC_LEVEL_1, CUC_LEVEL_2, CDS = 0b001, 0b010, 0b100
NASA_EOS_FINE_UNIT: Final = Fraction(152, 10**7)
"""Seconds per count of the fine field of NASA's EOS spacecraft, which is no binary fraction."""
_LONGEST_DAY_MILLISECONDS = 86_401_000
_SUBMILLISECONDS = {0: 1, 2: 10**3, 4: 10**9}  # per millisecond, by the octets of the field
_SUBMILLISECOND_OCTETS = (0, 2, 4)


@cache
def cuc_t_field(coarse_octets: int, fine_octets: int) -> Layout:
    """The layout of a CUC T-field with so many octets, 1 to 7 and 0 to 10."""
    fine = (Field("fine", 8 * fine_octets, "3.2.1"),) if fine_octets else ()
    return Layout("CUC T-field", DOCUMENT, Field("coarse", 8 * coarse_octets, "3.2.1"), *fine)


@cache
def cds_t_field(day_octets: int, submillisecond_octets: int) -> Layout:
    """The layout of a CDS T-field with so many octets, 2 or 3 and 0, 2 or 4."""
    rest = (Field("submilliseconds", 8 * submillisecond_octets, "3.3.1"),) if submillisecond_octets else ()
    day, milliseconds = Field("days", 8 * day_octets, "3.3.1"), Field("milliseconds", 32, "3.3.1")
    return Layout("CDS T-field", DOCUMENT, day, milliseconds, *rest)


class CucTime(TimeCode, frozen=True):
    """Unsegmented time: seconds and binary fractions of them since an epoch (3.2).

    `time_code_id` 1: since the CCSDS epoch (level 1), 2: since an agency's (level 2).  The P-field has a second octet
    where more than 4 coarse or 3 fine octets need it; `extension_flag` 1 asks for it anyway.
    """

    NAME: ClassVar[str] = "CUC time code"

    coarse: int
    fine: int = 0
    coarse_octets: int = 4
    fine_octets: int = 0
    time_code_id: int = CUC_LEVEL_1
    extension_flag: int = -1
    additional_coarse_octets: int = -1
    additional_fine_octets: int = -1
    mission_defined_bits: int = 0
    p_field_present: bool = True

    @property
    def p_field(self) -> bytes:
        """The P-field, one octet or two."""
        first = CUC_P_FIELD.pack_values(
            self.extension_flag,
            self.time_code_id,
            self.coarse_octets - self.additional_coarse_octets - 1,
            self.fine_octets - self.additional_fine_octets,
        )
        if not self.extension_flag:
            return first
        return first + CUC_P_FIELD_EXTENSION.pack_values(
            0, self.additional_coarse_octets, self.additional_fine_octets, self.mission_defined_bits
        )

    def check(self) -> None:
        """Raise EncodeError where a value does not fit; lay out the P-field if nobody did."""
        clause = f"{DOCUMENT} §3.2"
        for name, least, most in (("coarse_octets", 1, 7), ("fine_octets", 0, 10)):
            if getattr(self, name) not in range(least, most + 1):
                raise EncodeError(f"{self.NAME}: {name} is {getattr(self, name)!r}, not {least} to {most} [{clause}.2]")
        if self.time_code_id not in (CUC_LEVEL_1, CUC_LEVEL_2):
            raise EncodeError(f"{self.NAME}: time_code_id is 1 or 2, not {self.time_code_id!r} [{clause}.2]")
        self._lay_out()
        try:
            p_field = self.p_field
        except EncodeError as error:
            raise EncodeError(f"{self.NAME}: the P-field cannot say that: {error}") from None
        if len(p_field) == 1 and (
            self.additional_coarse_octets or self.additional_fine_octets or self.mission_defined_bits
        ):
            raise EncodeError(f"{self.NAME}: a P-field of one octet has no additional octets [{clause}.2]")
        layout = cuc_t_field(self.coarse_octets, self.fine_octets)
        layout.check({"coarse": self.coarse, "fine": self.fine})
        if self.fine and not self.fine_octets:
            raise EncodeError(f"{self.NAME}: fine is {self.fine} without fine octets [{clause}.1]")

    def _lay_out(self) -> None:
        chosen = {
            "additional_coarse_octets": max(self.coarse_octets - 4, 0),
            "additional_fine_octets": max(self.fine_octets - 3, 0),
        }
        for name, value in chosen.items():
            if getattr(self, name) == -1:
                msgspec.structs.force_setattr(self, name, value)
        if self.extension_flag == -1:
            needed = self.additional_coarse_octets or self.additional_fine_octets or self.mission_defined_bits
            msgspec.structs.force_setattr(self, "extension_flag", int(bool(needed)))

    @classmethod
    def shape_of(cls, octets: memoryview) -> tuple[tuple[int, ...], int]:
        """What the P-field at the start of `octets` says about the T-field, and where the P-field ends."""
        extension, code, coarse_minus_1, fine = CUC_P_FIELD.values(octets)
        if code not in (CUC_LEVEL_1, CUC_LEVEL_2):
            raise wrong_code(cls.NAME, code, CUC_P_FIELD)
        more_coarse = more_fine = mission = 0
        end = CUC_P_FIELD.octets
        if extension:
            again, more_coarse, more_fine, mission = CUC_P_FIELD_EXTENSION.values(octets, end)
            if again:
                raise wrong(cls.NAME, "a third octet of the P-field is not defined", end, "3.2.2")
            end += CUC_P_FIELD_EXTENSION.octets
        shape = (coarse_minus_1 + 1 + more_coarse, fine + more_fine, code, extension, more_coarse, more_fine, mission)
        return shape, end

    @classmethod
    def _read(cls, shape: tuple[int, ...], octets: memoryview, at: int, p_field_present: bool) -> tuple[Any, int]:
        layout = cuc_t_field(*shape[:2])
        coarse, *fine = layout.values(octets, at)
        return _make_cuc(coarse, fine[0] if fine else 0, *shape, p_field_present), at + layout.octets

    def encode_t_field(self) -> bytes:
        """The octets of the T-field alone."""
        layout = cuc_t_field(self.coarse_octets, self.fine_octets)
        return layout.pack_values(*[getattr(self, name) for name in layout.names])

    def elapsed_seconds(self, fine_unit: Fraction | None = None) -> Fraction:
        """Seconds since the epoch, exactly.  `fine_unit`: seconds per count of the fine field, where it is scaled."""
        unit = Fraction(1, 1 << 8 * self.fine_octets) if fine_unit is None else fine_unit
        return self.coarse + self.fine * unit

    def to_day_time(
        self,
        *,
        epoch: Epoch | None = None,
        leap_seconds: LeapSeconds = LEAP_SECONDS,
        fine_unit: Fraction | None = None,
    ) -> Converted[DayTime]:
        """The instant, to the picosecond before it.

        Args:   epoch: None: the CCSDS epoch, for level 1.  fine_unit: as for `elapsed_seconds`.
        Raises: ConfigurationError: an agency's epoch is not given, or the instant is before the leap seconds table.
        """
        exact = self.elapsed_seconds(fine_unit) * PICOSECONDS_PER_SECOND
        kept = exact.numerator // exact.denominator
        chosen = _epoch(self.NAME, epoch, self.time_code_id == CUC_LEVEL_2)
        return Converted(chosen.to_day_time(kept, leap_seconds), (exact - kept) / PICOSECONDS_PER_SECOND)

    @classmethod
    def from_day_time(
        cls,
        instant: DayTime,
        *,
        epoch: Epoch | None = None,
        leap_seconds: LeapSeconds = LEAP_SECONDS,
        fine_unit: Fraction | None = None,
        **fields: Any,
    ) -> Converted[Self]:
        """The time, to the count of the fine field before it; `fields` are others of the code (fine_octets, ...).

        Raises: EncodeError: before the epoch, or too long after it.  ConfigurationError: as `to_day_time`.
        """
        chosen = _epoch(cls.NAME, epoch, fields.get("time_code_id", CUC_LEVEL_1) == CUC_LEVEL_2)
        elapsed = Fraction(chosen.picoseconds_to(instant, leap_seconds), PICOSECONDS_PER_SECOND)
        fine_octets = fields.get("fine_octets", 0)
        unit = Fraction(1, 1 << 8 * fine_octets) if fine_unit is None else fine_unit
        coarse = elapsed.numerator // elapsed.denominator
        most = (1 << 8 * fine_octets) - 1  # a scaled field may end before the second does
        fine = min((elapsed - coarse) // unit, most)
        time = cls(coarse=coarse, fine=fine, **fields)
        return Converted(time, elapsed - time.elapsed_seconds(fine_unit))


class CdsTime(TimeCode, frozen=True):
    """Day segmented time: days of UTC since an epoch, milliseconds of the day, and fractions of them (3.3).

    A day with a leap second has 86401000 milliseconds.  `submilliseconds` are microseconds in two octets, picoseconds
    in four.
    """

    NAME: ClassVar[str] = "CDS time code"

    days: int
    milliseconds: int
    submilliseconds: int = 0
    day_octets: int = 2
    submillisecond_octets: int = 0
    agency_epoch_flag: int = 0
    p_field_present: bool = True

    @property
    def p_field(self) -> bytes:
        """The octet of the P-field."""
        code = _SUBMILLISECOND_OCTETS.index(self.submillisecond_octets)
        return CDS_P_FIELD.pack_values(0, CDS, self.agency_epoch_flag, self.day_octets - 2, code)

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        if self.day_octets not in (2, 3) or self.submillisecond_octets not in _SUBMILLISECOND_OCTETS:
            raise EncodeError(
                f"{self.NAME}: day_octets is 2 or 3 and submillisecond_octets 0, 2 or 4, not {self.day_octets} and "
                f"{self.submillisecond_octets} [{DOCUMENT} §3.3.2]"
            )
        CDS_P_FIELD.check({"agency_epoch_flag": self.agency_epoch_flag})
        layout = cds_t_field(self.day_octets, self.submillisecond_octets)
        layout.check({name: getattr(self, name) for name in layout.names})
        problem = self._problem()
        if problem:
            raise EncodeError(f"{self.NAME}: {problem.message} [{DOCUMENT} §3.3.1]")

    def _problem(self) -> _Problem | None:
        if not 0 <= self.milliseconds < _LONGEST_DAY_MILLISECONDS:
            message = f"milliseconds is {self.milliseconds}, not 0 to {_LONGEST_DAY_MILLISECONDS - 1}"
            return _Problem(message, self.day_octets)
        most = _SUBMILLISECONDS[self.submillisecond_octets] - 1
        if not 0 <= self.submilliseconds <= most:
            message = f"submilliseconds is {self.submilliseconds}, not 0 to {most}"
            return _Problem(message, self.day_octets + 4)
        return None

    @classmethod
    def shape_of(cls, octets: memoryview) -> tuple[tuple[int, ...], int]:
        """What the P-field at the start of `octets` says about the T-field, and where the P-field ends."""
        extension, code, agency, long_day, choice = CDS_P_FIELD.values(octets)
        if code != CDS or extension:
            raise wrong_code(cls.NAME, code, CDS_P_FIELD, extension)
        if choice >= len(_SUBMILLISECOND_OCTETS):
            raise wrong(cls.NAME, f"submillisecond code {choice} is reserved", 0, "3.3.2")
        return (2 + long_day, _SUBMILLISECOND_OCTETS[choice], agency), CDS_P_FIELD.octets

    @classmethod
    def _read(cls, shape: tuple[int, ...], octets: memoryview, at: int, p_field_present: bool) -> tuple[Any, int]:
        layout = cds_t_field(*shape[:2])
        days, milliseconds, *rest = layout.values(octets, at)
        time: CdsTime = _make_cds(days, milliseconds, rest[0] if rest else 0, *shape, p_field_present)
        problem = time._problem()
        if problem:
            raise wrong(cls.NAME, problem.message, at + problem.octet_offset, "3.3.1")
        return time, at + layout.octets

    def encode_t_field(self) -> bytes:
        """The octets of the T-field alone."""
        layout = cds_t_field(self.day_octets, self.submillisecond_octets)
        return layout.pack_values(*[getattr(self, name) for name in layout.names])

    def to_day_time(self, *, epoch: Epoch | None = None) -> Converted[DayTime]:
        """The instant; nothing is lost.  Raises ConfigurationError: an agency's epoch is not given."""
        chosen = _epoch(self.NAME, epoch, bool(self.agency_epoch_flag))
        picoseconds = self.milliseconds * 10**9 + self.submilliseconds * (
            10**9 // _SUBMILLISECONDS[self.submillisecond_octets]
        )
        return Converted(DayTime(self.days + chosen.days, picoseconds), Fraction(0))

    @classmethod
    def from_day_time(cls, instant: DayTime, *, epoch: Epoch | None = None, **fields: Any) -> Converted[Self]:
        """The time, to the smallest unit before it; `fields` are others of the code (submillisecond_octets, ...).

        Raises: EncodeError: before the epoch, or too long after it.
                ConfigurationError: an agency's epoch is not given.
        """
        chosen = _epoch(cls.NAME, epoch, bool(fields.get("agency_epoch_flag", 0)))
        size = fields.get("submillisecond_octets", 0)
        milliseconds, rest = divmod(instant.picoseconds, 10**9)
        unit = 10**9 // _SUBMILLISECONDS.get(size, 1)
        kept, lost = divmod(rest, unit)
        days = instant.days - chosen.days
        time = cls(days=days, milliseconds=milliseconds, submilliseconds=kept if size else 0, **fields)
        return Converted(time, Fraction(lost, PICOSECONDS_PER_SECOND))


class _Problem(NamedTuple):
    """What is wrong, and how many octets into the T-field."""

    message: str
    octet_offset: int


_make_cuc = maker(CucTime)
_make_cds = maker(CdsTime)


def decode_time_code(octets: Octets) -> tuple[CucTime | CdsTime | CcsTime, memoryview]:
    """The time at the front of `octets`, by the code that its P-field tells, and the octets that follow it.

    Raises: FieldError: an agency-defined code (level 4), a reserved one, or as `decode`.  TruncatedError.
    """
    _, code, _, _ = CUC_P_FIELD.values(octets)
    if code in (CUC_LEVEL_1, CUC_LEVEL_2):
        return CucTime.decode_from(octets)
    if code == CDS:
        return CdsTime.decode_from(octets)
    if code == CCS:
        return CcsTime.decode_from(octets)
    raise wrong("time code", f"time code id {code:03b} is of no code that CCSDS defines", 0, "3.1")


def _epoch(name: str, epoch: Epoch | None, is_agency_defined: bool) -> Epoch:
    if epoch is None and is_agency_defined:
        raise ConfigurationError(f"{name}: its epoch is an agency's, give it as epoch=")
    return CCSDS_EPOCH if epoch is None else epoch
