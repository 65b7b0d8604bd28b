"""What the binary time codes share: a P-field, sent or agreed, and a T-field.  Source: CCSDS 301.0-B-4, section 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from ccsds._unit import Unit, write_into
from ccsds.errors import ConfigurationError, DecodeError, FieldError
from ccsds.layout import Layout, Octets

__all__ = ["DOCUMENT", "TimeCode", "wrong", "wrong_code"]

DOCUMENT = "CCSDS 301.0-B-4"


class TimeCode(Unit, frozen=True):
    """What the three codes share: a P-field, sent or agreed beforehand, and a T-field laid out by it."""

    NAME: ClassVar[str] = ""
    if TYPE_CHECKING:  # what each code has as its last field

        @property
        def p_field_present(self) -> bool: ...

    @property
    def p_field(self) -> bytes:
        """The P-field, sent or not."""
        raise NotImplementedError

    def encode_t_field(self) -> bytes:
        """The octets of the T-field alone."""
        raise NotImplementedError

    @classmethod
    def shape_of(cls, octets: memoryview) -> tuple[tuple[int, ...], int]:
        """What the P-field at the start of `octets` says about the T-field, and where the P-field ends."""
        raise NotImplementedError

    @classmethod
    def _read(cls, shape: tuple[int, ...], octets: memoryview, at: int, p_field_present: bool) -> tuple[Any, int]:
        """The time whose T-field starts at octet `at`, and where it ends."""
        raise NotImplementedError

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this time back from its octets."""
        return {"p_field": None if self.p_field_present else self.p_field}

    def __len__(self) -> int:
        return len(self.encode())

    @classmethod
    def decode(cls, octets: Octets, *, p_field: bytes | None = None) -> Self:
        """The time that `octets` are, exactly.

        Args:   p_field: where it is agreed beforehand and not sent.
        Raises: TruncatedError: fewer octets than the P-field promises.
                FieldError: another code in the P-field, a value that cannot be, or octets left over.
                ConfigurationError: `p_field` is no P-field of this code.
        """
        time, rest = cls.decode_from(octets, p_field=p_field)
        if rest:
            at = len(octets) - len(rest)
            message = f"{len(rest)} octets follow the time"
            raise FieldError(message, unit=cls.NAME, octet_offset=at, clause=f"{DOCUMENT} §3")
        return time

    @classmethod
    def decode_from(cls, octets: Octets, *, p_field: bytes | None = None) -> tuple[Self, memoryview]:
        """Cut one time off the front of `octets`; return it and the octets that follow it."""
        view = memoryview(octets)
        if p_field is None:
            shape, at = cls.shape_of(view)
            time, end = cls._read(shape, view, at, True)
        else:
            time, end = cls._read(cls._agreed_shape(p_field), view, 0, False)
        return time, view[end:]

    @classmethod
    def _agreed_shape(cls, p_field: bytes) -> tuple[int, ...]:
        try:
            shape, end = cls.shape_of(memoryview(p_field))
        except DecodeError as error:
            raise ConfigurationError(f"p_field {p_field.hex() or 'without octets'}: {error}") from None
        if end != len(p_field):
            raise ConfigurationError(f"p_field {p_field.hex()}: {len(p_field) - end} octets follow it")
        return shape

    def encode(self) -> bytes:
        """The octets of the time: the P-field, where it is sent, and the T-field."""
        return self.p_field + self.encode_t_field() if self.p_field_present else self.encode_t_field()

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the time at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(self.NAME, self.encode(), out)


def wrong(unit: str, message: str, octet_offset: int, clause: str) -> FieldError:
    """The error for a value that a clause of this document forbids."""
    return FieldError(message, unit=unit, octet_offset=octet_offset, clause=f"{DOCUMENT} §{clause}")


def wrong_code(unit: str, code: int, layout: Layout, extension: int = 0) -> FieldError:
    """The error for a P-field that is of another code, or longer than this code's."""
    clause = layout["time_code_id"].clause
    if extension:
        return wrong(unit, "a second octet of the P-field is not defined", 0, clause)
    return wrong(unit, f"time code id {code:03b} is of another code", 0, clause)
