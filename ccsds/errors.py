"""The error family: everything this package raises on purpose derives from CcsdsError."""

from __future__ import annotations

__all__ = [
    "CcsdsError",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "FieldError",
    "IntegrityError",
    "ProtocolError",
    "TruncatedError",
]


class CcsdsError(Exception):
    """Root of all that is raised on purpose; anything else that escapes is a defect of ours."""


class DecodeError(CcsdsError):
    """Octets that are not the unit they were taken for.

    Attributes: unit, octet_offset (from the start of what was given), clause, message.
    """

    def __init__(self, message: str, *, unit: str, octet_offset: int, clause: str) -> None:
        super().__init__(f"{unit}, octet {octet_offset}: {message} [{clause}]")
        self.message = message
        self.unit = unit
        self.octet_offset = octet_offset
        self.clause = clause

    def shifted(self, octets: int) -> DecodeError:
        """The same error as an outer unit sees it, `octets` further on."""
        return type(self)(self.message, unit=self.unit, octet_offset=self.octet_offset + octets, clause=self.clause)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_decode_error, (type(self), self.message, self.unit, self.octet_offset, self.clause)


def _restore_decode_error(
    kind: type[DecodeError], message: str, unit: str, octet_offset: int, clause: str
) -> DecodeError:
    return kind(message, unit=unit, octet_offset=octet_offset, clause=clause)


class TruncatedError(DecodeError):
    """Fewer octets than the layout or a length field promises."""


class FieldError(DecodeError):
    """A value that the clause forbids."""


class IntegrityError(DecodeError):
    """A check sequence or code word that does not verify."""


class EncodeError(CcsdsError, ValueError):
    """A unit that cannot be encoded: a value too wide for its field, a data field too long."""


class ConfigurationError(CcsdsError, ValueError):
    """Managed parameters that contradict themselves or the standard; the message names the key."""


class ProtocolError(CcsdsError):
    """A service primitive used out of turn by our own caller."""
