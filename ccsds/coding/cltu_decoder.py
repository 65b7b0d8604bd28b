"""Communications Link Transmission Units, found in a stream and decoded.  Source: CCSDS 231.0-B-4, sections 3 to 6.

Three states: INACTIVE, SEARCH for a start sequence at any bit offset, DECODE until the first codeword that is rejected.
Octets, bits and soft symbols may be fed in any mixture and in pieces of any size; the split changes nothing.

What the standard leaves open: the search goes on at the first bit of a rejected codeword, so that a start sequence
within it is found; a start sequence whose first codeword is rejected was none, and the search goes on one bit after its
beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

import msgspec

from ccsds import _native
from ccsds.coding.bch import Mode
from ccsds.coding.cltu import (
    DEFAULT_MAXIMUM_CLTU_OCTETS,
    DOCUMENT,
    Code,
    CodingParameters,
    RandomizeOrder,
    Tail,
    coding_parameters,
)
from ccsds.errors import ConfigurationError, ProtocolError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["CltuBatch", "CltuCounters", "CltuDecoder", "CltuEnd", "CltuState", "ReceivedCltu"]

MAXIMUM_LDPC_START_ERRORS = 20
DEFAULT_LDPC_START_ERRORS = 12
"""Of 64 bits: with 8 % of bits in error one start in a thousand is missed; noise makes one in four million bits."""


class CltuState(Enum):
    """State of the receiving end (231.0-B-4, 5.3)."""

    INACTIVE = "INACTIVE"
    SEARCH = "SEARCH"
    DECODE = "DECODE"


class CltuEnd(IntEnum):
    """Why decoding of a CLTU ended."""

    TAIL = 1
    """the tail sequence: a rejected codeword that is the tail but for a few bits, or a tail that was recognised"""
    REJECTED = 2
    """a codeword was rejected"""
    LIMIT = 3
    """the CLTU grew to its maximum length"""
    DEACTIVATED = 4
    """the channel was deactivated"""
    FINISHED = 5
    """the stream ended"""


class ReceivedCltu(NamedTuple):
    """One CLTU, and the candidate frame that it held."""

    octets: bytes
    """information of the codewords, derandomized, fill included"""
    bit_position: int
    """of the first bit of the start sequence, counted over all bits that were fed"""
    end_bit_position: int
    """behind the last bit; a tail counts, a rejected codeword does not"""
    codewords: int
    corrected_bits: int
    """in codewords; with LDPC, hard decisions that differ from the codeword decoded"""
    start_sequence_bit_errors: int
    inverted: bool
    """it came inverted, and was turned"""
    end: CltuEnd


class CltuCounters(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a decoder: bits = inactive_bits + cltu_bits + other_bits."""

    bits: int
    """fed"""
    inactive_bits: int
    """not looked at"""
    cltu_bits: int
    """within CLTUs, from the start sequence to the end of the last codeword or of the tail"""
    cltus: int
    """with at least one codeword"""
    false_starts: int
    """start sequences without one"""
    codewords: int
    rejected_codewords: int
    """tails not counted"""
    tails: int
    corrected_bits: int
    start_sequence_bit_errors: int
    inverted_cltus: int

    @property
    def other_bits(self) -> int:
        """Outside CLTUs (acquisition and idle sequences, noise, rejected codewords), or not yet decided on."""
        return self.bits - self.inactive_bits - self.cltu_bits


class CltuBatch(Sequence[ReceivedCltu]):
    """The CLTUs that one feed completed, in order.  Owns its memory."""

    __slots__ = ("_ends", "_rows", "octets")
    COLUMNS = ("bit_position", "end_bit_position", "codewords", "corrected_bits", "start_sequence_bit_errors")

    def __init__(self, octets: bytes, rows: bytes, information_octets: int) -> None:
        self.octets = octets
        self._rows = memoryview(rows).cast("Q") if rows else memoryview(b"").cast("Q")
        self._ends = [0]
        for at in range(2, len(self._rows), _ROW):
            self._ends.append(self._ends[-1] + self._rows[at] * information_octets)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> ReceivedCltu: ...
    @overload
    def __getitem__(self, index: slice) -> list[ReceivedCltu]: ...
    def __getitem__(self, index: int | slice) -> ReceivedCltu | list[ReceivedCltu]:
        if isinstance(index, slice):
            return [self._at(number) for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"no CLTU {index} among {len(self)}")
        return self._at(number)

    def __iter__(self) -> Iterator[ReceivedCltu]:
        return map(self._at, range(len(self)))

    def _at(self, number: int) -> ReceivedCltu:
        at = number * _ROW
        position, end_position, codewords, corrected, errors, inverted, end = self._rows[at : at + _ROW].tolist()
        octets = self.octets[self._ends[number] : self._ends[number + 1]]
        return ReceivedCltu(octets, position, end_position, codewords, corrected, errors, bool(inverted), _ENDS[end])

    @property
    def offsets(self) -> NDArray[np.uint64]:
        """Candidate i is octets[offsets[i]:offsets[i + 1]]."""
        import numpy as np

        return np.array(self._ends, np.uint64)

    def column(self, name: str) -> NDArray[np.uint64]:
        """One of COLUMNS, "inverted" or "end" for all CLTUs.  Raises KeyError: another name."""
        import numpy as np

        names = (*self.COLUMNS, "inverted", "end")
        if name not in names:
            raise KeyError(f"no column {name!r}; there are {', '.join(names)}")
        return np.frombuffer(self._rows, np.uint64).reshape(-1, _ROW)[:, names.index(name)]

    def __repr__(self) -> str:
        return f"<CltuBatch of {len(self)}, {len(self.octets)} octets>"


_ROW = 7
_ENDS = {end.value: end for end in CltuEnd}


class _Engine(Protocol):
    """What decodes: the BCH kernel, or `ccsds.coding.cltu_ldpc`."""

    @property
    def state(self) -> str: ...
    def activate(self) -> None: ...
    def deactivate(self) -> tuple[bytes, bytes]: ...
    def feed(self, octets: Buffer, /) -> tuple[bytes, bytes]: ...
    def feed_bits(self, bits: Buffer, /) -> tuple[bytes, bytes]: ...
    def feed_soft(self, llr: NDArray[np.float32], /) -> tuple[bytes, bytes]: ...
    def finish(self) -> tuple[bytes, bytes]: ...
    def statistics(self) -> dict[str, int]: ...


class CltuDecoder:
    """The receiving end of a telecommand channel.  Active from the start, unless told otherwise.

    Args:   code, randomizer, randomize_order, maximum_cltu_octets: as the sending end has them (`CltuEncoder`).
            tail: that of the sending end counts for the maximum length only: both tails of LDPC (128,64) are
                recognised, and a CLTU without one ends by a rejected codeword.
            mode: of BCH.  LDPC always corrects.
            start_sequence_tolerated_errors: bits of the start sequence that may be in error.  BCH: none when
                detecting, one when correcting; fewer may be asked for.  LDPC: 0 to 20 of 64, by default 12; soft
                symbols are held to the cosine that so many errors in hard decisions have.
            accept_inverted: take a CLTU whose start sequence is inverted, and turn it.
            active: False begins in INACTIVE.
    Raises: ConfigurationError: see `ccsds.coding.cltu.coding_parameters`.
    """

    def __init__(
        self,
        code: Code = "BCH",
        *,
        mode: Mode = "correct",
        randomizer: bool | None = None,
        randomize_order: RandomizeOrder | None = None,
        tail: Tail | None = None,
        start_sequence_tolerated_errors: int | None = None,
        maximum_cltu_octets: int = DEFAULT_MAXIMUM_CLTU_OCTETS,
        accept_inverted: bool = False,
        active: bool = True,
    ) -> None:
        self._parameters = coding_parameters(
            code,
            randomizer=randomizer,
            randomize_order=randomize_order,
            tail=tail,
            maximum_cltu_octets=maximum_cltu_octets,
        )
        errors = tolerated_errors(code, mode, start_sequence_tolerated_errors)
        self._engine = _engine(self._parameters, mode, errors, accept_inverted)
        self._finished = False
        if active:
            self._engine.activate()

    @property
    def parameters(self) -> CodingParameters:
        """The managed parameters in force."""
        return self._parameters

    @property
    def state(self) -> CltuState:
        """Where the decoder is."""
        return CltuState(self._engine.state)

    @property
    def counters(self) -> CltuCounters:
        """The account so far."""
        return CltuCounters(**self._engine.statistics())

    def activate(self) -> None:
        """The channel is active (bit lock): INACTIVE to SEARCH."""
        self._require_open()
        self._engine.activate()

    def deactivate(self) -> CltuBatch:
        """The channel is active no longer: to INACTIVE.  A CLTU in progress ends, and comes out."""
        self._require_open()
        return self._batch(self._engine.deactivate())

    def feed(self, octets: Buffer) -> CltuBatch:
        """Take in octets, most significant bit first."""
        self._require_open()
        return self._batch(self._engine.feed(octets))

    def feed_bits(self, bits: Buffer) -> CltuBatch:
        """Take in bits, one per octet.  Raises ValueError: one is neither 0 nor 1."""
        self._require_open()
        return self._batch(self._engine.feed_bits(bits))

    def feed_soft(self, llr: NDArray[np.float32]) -> CltuBatch:
        """Take in soft symbols, ln P(0)/P(1), float32: positive favours 0.  With BCH their sign alone counts.

        Raises: ValueError: one of them is not a number.
        """
        import numpy as np

        self._require_open()
        return self._batch(self._engine.feed_soft(np.ascontiguousarray(llr, np.float32).reshape(-1)))

    def finish(self) -> CltuBatch:
        """The stream ends.  A CLTU in progress comes out.  Nothing may be fed afterwards."""
        self._require_open()
        self._finished = True
        return self._batch(self._engine.finish())

    def _batch(self, found: tuple[bytes, bytes]) -> CltuBatch:
        return CltuBatch(*found, self._parameters.facts.information_octets)

    def _require_open(self) -> None:
        if self._finished:
            raise ProtocolError("CLTU decoder: the stream is finished")


def tolerated_errors(code: Code, mode: Mode, asked: int | None) -> int:
    """Errors tolerated in a start sequence.  Raises ConfigurationError: what the mode does not allow."""
    if mode not in ("detect", "correct"):
        raise ConfigurationError(f"mode is 'detect' or 'correct', not {mode!r} [{DOCUMENT} §3]")
    if code != "BCH" and mode == "detect":
        raise ConfigurationError(f"mode of {code} is 'correct': 'detect' is for BCH [{DOCUMENT} §4]")
    most = int(mode == "correct") if code == "BCH" else MAXIMUM_LDPC_START_ERRORS
    default = most if code == "BCH" else DEFAULT_LDPC_START_ERRORS
    errors = default if asked is None else asked
    if not 0 <= errors <= most:
        name = "start_sequence_tolerated_errors"
        raise ConfigurationError(f"{name} of {code}, mode {mode!r}, is 0 to {most}, not {errors} [{DOCUMENT} §5.2.2]")
    return errors


def _engine(parameters: CodingParameters, mode: Mode, errors: int, accept_inverted: bool) -> _Engine:
    if parameters.code != "BCH":
        from ccsds.coding.cltu_ldpc import LdpcCltuDecoder

        return LdpcCltuDecoder(parameters, errors, accept_inverted)
    return _native.CltuDecoder(mode, errors, accept_inverted, parameters.randomizer, parameters.maximum_codewords)
