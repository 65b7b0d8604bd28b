"""The base of all protocol data units: frozen, slotted, keyword-only, cheap to make when decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import msgspec

from ccsds.errors import EncodeError

__all__ = ["Unit", "maker", "require_octets", "write_into"]

SHOWN_OCTETS = 24
_make_struct: Any = msgspec.StructMeta.__call__


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class UnitMeta(msgspec.StructMeta):
    """Calls take keywords only, name the long form of a shorthand, and check what was given."""

    if not TYPE_CHECKING:  # a type checker reads the fields, as for any dataclass

        def __call__(cls, *args: Any, **values: Any) -> Any:  # noqa: N805 (of a metaclass)
            if args:
                raise TypeError(f"{cls.__name__} takes keyword arguments only, one per field")
            for short, long in cls.ALIASES.items():
                if short in values:
                    raise TypeError(f"{cls.__name__}: write {long}= instead of the shorthand {short}=")
            try:
                unit = _make_struct(cls, **values)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}: {error}; it has {', '.join(cls.__struct_fields__)}") from None
            unit.check()
            return unit


class Unit(msgspec.Struct, frozen=True, metaclass=UnitMeta):
    """A protocol data unit.  Hashable and picklable; owns its octets."""

    ALIASES: ClassVar[dict[str, str]] = {}
    """Old hands' shorthand, a read-only property each, that constructors do not take."""

    def check(self) -> None:
        """Raise EncodeError where a field value cannot be encoded; runs when a caller makes a unit."""

    def replace(self, **changes: Any) -> Any:
        """A copy with other values in some fields, checked as a new one is."""
        return type(self)(**{name: getattr(self, name) for name in self.__struct_fields__} | changes)

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), tuple(getattr(self, name) for name in self.__struct_fields__))


def _shown(value: object) -> str:
    """The repr of a field; of many octets, how many there are and the first ones."""
    if isinstance(value, bytes) and len(value) > SHOWN_OCTETS:
        return f"<{len(value)} octets {value[:8].hex(' ')} ...>"
    return repr(value)


def maker(cls: type) -> Any:
    """The constructor for decoders: field values in order, no checks, no keywords."""
    return _make_struct.__get__(cls)


def _restore(cls: type, values: tuple[object, ...]) -> object:
    return _make_struct(cls, *values)


def require_octets(unit: str, name: str, value: object) -> None:
    """Raise EncodeError unless `value` is bytes: a unit owns octets that nobody else can change."""
    if type(value) is not bytes:
        raise EncodeError(f"{unit}: {name} must be bytes, not {type(value).__name__}")


def write_into(unit: str, octets: bytes, out: bytearray | memoryview) -> int:
    """Write an encoded unit at the start of `out`; return its octets.  Raises EncodeError where `out` is too short."""
    if len(out) < len(octets):
        raise EncodeError(f"{unit}: {len(octets)} octets do not fit into {len(out)}")
    out[: len(octets)] = octets
    return len(octets)
