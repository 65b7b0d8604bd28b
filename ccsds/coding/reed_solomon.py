"""Reed-Solomon codes (255, 223) and (255, 239), interleaved and shortened.  Source: CCSDS 131.0-B-5, section 4.

Section 4 of 131.0-B-5 is section 5 of 131.0-B-6; the codes are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ccsds import _native
from ccsds.errors import ConfigurationError, DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["Basis", "DecodedBatch", "DecodedBlock", "ReedSolomonCode"]

UNIT = "Reed-Solomon codeblock"
CLAUSE = "CCSDS 131.0-B-5 §4.3"
Basis = Literal["dual", "conventional"]
"""What the bits of a symbol stand for: "dual" is Berlekamp's, the one of the standard (annex F)."""


class DecodedBlock(NamedTuple):
    """The frame of one codeblock, and how many symbols of the block (check symbols included) were corrected."""

    frame: bytes
    corrected_symbols: int


class DecodedBatch(NamedTuple):
    """Frames end to end; for each an int32: symbols corrected in its block, -1 where a code word was uncorrectable.

    Uncorrectable code words are left as they were received, the others of their block are corrected.
    """

    frames: bytes
    corrected_symbols: NDArray[np.int32]


class ReedSolomonCode:
    """One code with its interleaving and shortening (managed parameters of 131.0-B-5, table 11-3).

    Args:    error_correction: symbols corrected per code word, 16 or 8.
             interleaving_depth: code words per block, 1, 2, 3, 4, 5 or 8: octet i belongs to code word i modulo it.
             virtual_fill: octets, over all code words, that stand before the frame and are not sent; a multiple
             of the interleaving depth.
             basis: "conventional" is for links that depart from the standard.
    Raises:  ConfigurationError: no such code.

    Immutable; equal, hashable and picklable by its parameters.  Safe to use from many threads.
    """

    __slots__ = ("_kernel", "_parameters")

    def __init__(
        self, error_correction: int = 16, interleaving_depth: int = 1, virtual_fill: int = 0, basis: Basis = "dual"
    ) -> None:
        try:
            self._kernel = _native.ReedSolomon(error_correction, interleaving_depth, virtual_fill, basis)
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(f"Reed-Solomon code: {error}") from None
        self._parameters = (error_correction, interleaving_depth, virtual_fill, basis)

    @property
    def error_correction(self) -> int:
        """Symbols corrected per code word."""
        return self._parameters[0]

    @property
    def interleaving_depth(self) -> int:
        """Code words per block."""
        return self._parameters[1]

    @property
    def virtual_fill(self) -> int:
        """Octets of fill, over all code words, that are not sent."""
        return self._parameters[2]

    @property
    def basis(self) -> Basis:
        """What the bits of a symbol stand for."""
        return self._parameters[3]

    @property
    def frame_octets(self) -> int:
        """Octets of the frame that a codeblock carries."""
        return self._kernel.frame_octets

    @property
    def check_octets(self) -> int:
        """Octets of check symbols that follow the frame."""
        return self.block_octets - self.frame_octets

    @property
    def block_octets(self) -> int:
        """Octets of a codeblock."""
        return self._kernel.block_octets

    def encode(self, frame: Buffer) -> bytes:
        """The codeblock of one frame: its octets, then the check symbols.

        Raises: EncodeError: `frame` is not `frame_octets` long.
        """
        given = memoryview(frame).nbytes
        if given != self.frame_octets:
            raise EncodeError(f"{UNIT}: the frame has {self.frame_octets} octets, not {given} [{CLAUSE}]")
        return self._kernel.encode(frame)

    def encode_batch(self, frames: Buffer) -> bytes:
        """The codeblocks, end to end, of frames that stand end to end (any contiguous buffer of octets).

        Raises: EncodeError: not a whole number of frames.
        """
        given = memoryview(frames).nbytes
        if given % self.frame_octets:
            raise EncodeError(f"{UNIT}: {given} octets are not a whole number of frames of {self.frame_octets}")
        return self._kernel.encode(frames)

    def decode(self, block: Buffer) -> DecodedBlock:
        """The frame of one codeblock, corrected.

        Raises: IntegrityError: a code word has more symbols in error than the code corrects.
                TruncatedError, FieldError: fewer or more octets than `block_octets`.
        """
        given = memoryview(block).nbytes
        if given != self.block_octets:
            raise self._wrong_length(given)
        frame, column = self._kernel.decode(block)
        status = memoryview(column).cast("i")[0]
        if status < 0:
            message = (
                f"{-status} of {self.interleaving_depth} code words have more than "
                f"{self.error_correction} symbols in error"
            )
            raise IntegrityError(message, unit=UNIT, octet_offset=0, clause=CLAUSE)
        return DecodedBlock(frame, status)

    def decode_batch(self, blocks: Buffer) -> DecodedBatch:
        """The frames of codeblocks that stand end to end (any contiguous buffer of octets).

        Raises: TruncatedError: the last block is cut short.
        """
        import numpy as np  # late: importing ccsds stays light

        given = memoryview(blocks).nbytes
        rest = given % self.block_octets
        if rest:
            raise self._wrong_length(rest).shifted(given - rest)
        frames, column = self._kernel.decode(blocks)
        return DecodedBatch(frames, np.maximum(np.frombuffer(column, dtype=np.int32), np.int32(-1)))

    def _wrong_length(self, given: int) -> DecodeError:
        message = f"a block has {self.block_octets} octets, {given} given"
        kind = TruncatedError if given < self.block_octets else FieldError
        return kind(message, unit=UNIT, octet_offset=min(given, self.block_octets), clause=CLAUSE)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReedSolomonCode) and self._parameters == other._parameters

    def __hash__(self) -> int:
        return hash(self._parameters)

    def __reduce__(self) -> tuple[object, ...]:
        return ReedSolomonCode, self._parameters

    def __repr__(self) -> str:
        error_correction, depth, fill, basis = self._parameters
        return (
            f"ReedSolomonCode(error_correction={error_correction}, interleaving_depth={depth}, "
            f"virtual_fill={fill}, basis={basis!r})"
        )
