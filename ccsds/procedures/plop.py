"""Physical Layer Operations Procedures of telecommand, PLOP-1 and PLOP-2.  Source: CCSDS 231.0-B-4, section 7.

A carrier modulation mode (CMM) is a state of the carrier: 1 unmodulated, 2 with the acquisition sequence, 3 with one
CLTU, 4 with the idle sequence.  PLOP-1 goes back to the unmodulated carrier after each CLTU, so that the receiver
starts anew; PLOP-2 keeps the carrier modulated for a whole session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, Literal, NamedTuple

from ccsds.errors import ConfigurationError, EncodeError, ProtocolError

__all__ = [
    "DOCUMENT",
    "MINIMUM_ACQUISITION_OCTETS",
    "CarrierModulationMode",
    "PhysicalLayerOperations",
    "Radiated",
    "alternating",
]

DOCUMENT: Final = "CCSDS 231.0-B-4"
MINIMUM_ACQUISITION_OCTETS: Final = 16
_ALTERNATING: Final = {0: 0x55, 1: 0xAA}


class CarrierModulationMode(IntEnum):
    """What is on the carrier (231.0-B-4, section 7)."""

    UNMODULATED = 1
    ACQUISITION_SEQUENCE = 2
    TELECOMMAND_DATA = 3
    IDLE_SEQUENCE = 4


class Radiated(NamedTuple):
    """One step: the mode, and the octets to send in it; none where the carrier is unmodulated."""

    mode: CarrierModulationMode
    octets: bytes


def alternating(octets: int, first_bit: Literal[0, 1] = 0) -> bytes:
    """Ones and zeros by turns: the acquisition and the idle sequence."""
    return bytes([_ALTERNATING[first_bit]]) * octets


class PhysicalLayerOperations:
    """The sending end: says what is to be radiated.  Knows no time: how long the carrier rests unmodulated is managed.

    Args:   procedure: PLOP 1 or 2.
            acquisition_octets: at least 16.
            acquisition_first_bit: the acquisition sequence begins with 0 or with 1.
            idle_octets: of the idle sequence after each CLTU.  PLOP-2 wants one at least: without it a start sequence
                that noise hid could lead to another one across the frame and its tail, and lose the next CLTU too.
                PLOP-1 may have none.
    Raises: ConfigurationError: a number out of range.
    """

    def __init__(
        self,
        procedure: Literal[1, 2] = 2,
        *,
        acquisition_octets: int = MINIMUM_ACQUISITION_OCTETS,
        acquisition_first_bit: Literal[0, 1] = 0,
        idle_octets: int = 1,
    ) -> None:
        check_operations(procedure, acquisition_octets, acquisition_first_bit, idle_octets)
        self._procedure = procedure
        self._acquisition = Radiated(
            CarrierModulationMode.ACQUISITION_SEQUENCE, alternating(acquisition_octets, acquisition_first_bit)
        )
        self._idle_octets = idle_octets
        self._mode = CarrierModulationMode.UNMODULATED
        self._in_session = False

    @property
    def procedure(self) -> Literal[1, 2]:
        """Which PLOP."""
        return self._procedure

    @property
    def mode(self) -> CarrierModulationMode:
        """The mode that the carrier is left in by what was asked for so far."""
        return self._mode

    @property
    def in_session(self) -> bool:
        """True between `begin_session` and `end_session`."""
        return self._in_session

    def begin_session(self) -> list[Radiated]:
        """Switch the carrier on: CMM-1, and with PLOP-2 CMM-2."""
        if self._in_session:
            raise ProtocolError(f"PLOP-{self._procedure}: the session has begun already")
        self._in_session = True
        steps = [_UNMODULATED] if self._procedure == 1 else [_UNMODULATED, self._acquisition]
        return self._taken(steps)

    def transmit(self, cltu: bytes, *, repetitions: int = 1) -> list[Radiated]:
        """Send one CLTU, `repetitions` times in all, each as a CLTU of its own.

        Raises: ProtocolError: no session.  EncodeError: no CLTU, or fewer than one repetition.
        """
        self._require_session()
        if not cltu or repetitions < 1:
            raise EncodeError(
                f"PLOP-{self._procedure}: a CLTU has octets and is sent once at least, "
                f"not {len(cltu)} octets {repetitions} times [{DOCUMENT} §7]"
            )
        data = Radiated(CarrierModulationMode.TELECOMMAND_DATA, bytes(cltu))
        once = [data, _idle(self._idle_octets)] if self._idle_octets else [data]
        if self._procedure == 1:
            once = [self._acquisition, *once, _UNMODULATED]
        return self._taken(once * repetitions)

    def idle(self, octets: int) -> list[Radiated]:
        """Keep the carrier modulated while there is nothing to send.

        Raises: ProtocolError: no session, or PLOP-1, which has nothing on the carrier then.
                EncodeError: fewer octets than one.
        """
        self._require_session()
        if self._procedure == 1:
            raise ProtocolError(f"PLOP-1: between CLTUs the carrier is unmodulated [{DOCUMENT} §7]")
        if octets < 1:
            raise EncodeError(f"PLOP-2: an idle sequence has one octet at least, not {octets} [{DOCUMENT} §7]")
        return self._taken([_idle(octets)])

    def end_session(self) -> list[Radiated]:
        """CMM-1: the receiver goes to INACTIVE."""
        self._require_session()
        self._in_session = False
        return self._taken([] if self._mode == CarrierModulationMode.UNMODULATED else [_UNMODULATED])

    def session(self, cltus: Iterable[bytes], *, repetitions: int = 1) -> Iterator[Radiated]:
        """A whole session: begin, each of `cltus`, end."""
        yield from self.begin_session()
        for cltu in cltus:
            yield from self.transmit(cltu, repetitions=repetitions)
        yield from self.end_session()

    def _taken(self, steps: list[Radiated]) -> list[Radiated]:
        if steps:
            self._mode = steps[-1].mode
        return steps

    def _require_session(self) -> None:
        if not self._in_session:
            raise ProtocolError(f"PLOP-{self._procedure}: no session has begun")


_UNMODULATED = Radiated(CarrierModulationMode.UNMODULATED, b"")


def _idle(octets: int) -> Radiated:
    return Radiated(CarrierModulationMode.IDLE_SEQUENCE, alternating(octets))


def check_operations(procedure: int, acquisition_octets: int, acquisition_first_bit: int, idle_octets: int) -> None:
    """Raise ConfigurationError, naming key and clause, for a value out of range."""
    if procedure not in (1, 2):
        raise ConfigurationError(f"plop is 1 or 2, not {procedure!r} [{DOCUMENT} §7]")
    if acquisition_octets < MINIMUM_ACQUISITION_OCTETS:
        raise ConfigurationError(
            f"acquisition_octets is at least {MINIMUM_ACQUISITION_OCTETS}, not {acquisition_octets} [{DOCUMENT} §7]"
        )
    if acquisition_first_bit not in (0, 1):
        raise ConfigurationError(f"acquisition_first_bit is 0 or 1, not {acquisition_first_bit!r} [{DOCUMENT} §7]")
    least = procedure - 1
    if idle_octets < least:
        raise ConfigurationError(
            f"idle_octets is at least {least} with PLOP-{procedure}, not {idle_octets} [{DOCUMENT} §7]"
        )
