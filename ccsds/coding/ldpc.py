"""LDPC codes (128, 64) and (512, 256) of telecommand, with soft decoding.  Source: CCSDS 231.0-B-4, section 4.

The randomizer is no part of this: it is applied to code words after encoding, anew for each, and taken off before
decoding (231.0-B-4, section 6).  Soft symbols are derandomised by changing the sign where the sequence has a 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ccsds import _native
from ccsds.errors import ConfigurationError, EncodeError, TruncatedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Buffer

__all__ = ["TC_LDPC_128_64", "TC_LDPC_512_256", "Algorithm", "LdpcCode", "LdpcDecoded"]

CLAUSE = "CCSDS 231.0-B-4 §4"
Algorithm = Literal["min-sum", "sum-product"]
"""How beliefs are passed: "min-sum" is normalised, layered and fast; "sum-product" is flooding, the slow reference."""


@dataclass(frozen=True, slots=True, eq=False)
class LdpcDecoded:
    """What became of `n` code words; word i of each column belongs to block i of `octets`.

    A word that was not decoded is no error: `converged` says False, its octets are the hard decisions as received.
    """

    octets: bytes
    """Information octets of all words, end to end."""
    converged: NDArray[np.bool_]
    """The octets are those of a word of the code, shape (n,)."""
    iterations: NDArray[np.uint32]
    """Iterations of message passing, shape (n,); 0 where a word of the code was received."""
    corrected_bits: NDArray[np.uint32]
    """Bits of the code word that differ from the hard decisions received, shape (n,); 0 where not converged."""
    ordered_statistics: NDArray[np.bool_]
    """Message passing had given the word up and ordered statistics found it, shape (n,): see `LdpcCode.decode_soft`."""


class LdpcCode:
    """One systematic LDPC code: information octets first, then as many of parity.

    Immutable, equal and hashable by its name, picklable.  Safe to use from many threads.
    """

    __slots__ = ("_kernel", "_name")

    def __init__(self, name: Literal["tc-128-64", "tc-512-256"]) -> None:
        try:
            self._kernel = _native.Ldpc(name)
        except ValueError as error:
            raise ConfigurationError(f"LDPC code: {error}; known: 'tc-128-64', 'tc-512-256'") from None
        self._name = name

    @property
    def name(self) -> str:
        """Such as "tc-128-64": use, bits of a code word, bits of information."""
        return self._name

    @property
    def information_octets(self) -> int:
        """Octets that one code word carries."""
        return self._kernel.information_octets

    @property
    def codeword_octets(self) -> int:
        """Octets of one code word."""
        return self._kernel.codeword_octets

    def encode(self, octets: Buffer) -> bytes:
        """The code words, end to end, of information blocks that stand end to end (any contiguous buffer of octets).

        Raises: EncodeError: not a whole number of blocks; fill is the caller's (231.0-B-4, section 5).
        """
        given = memoryview(octets).nbytes
        if given % self.information_octets:
            raise EncodeError(
                f"{self}: {given} octets are not a whole number of blocks of {self.information_octets} [{CLAUSE}]"
            )
        return self._kernel.encode(octets)

    def syndrome_is_zero(self, octets: Buffer) -> NDArray[np.bool_]:
        """For each of the code words that stand end to end whether all its parity checks hold, shape (n,).

        Raises: TruncatedError: the last code word is cut short.
        """
        import numpy as np  # late: importing ccsds stays light

        self._require_whole(octets)
        return np.frombuffer(self._kernel.syndromes_are_zero(octets), dtype=np.bool_)

    def decode_soft(
        self,
        llr: ArrayLike,
        *,
        algorithm: Algorithm = "min-sum",
        maximum_iterations: int = 50,
        ordered_statistics_order: int | None = None,
    ) -> LdpcDecoded:
        """Decode code words from the reliability of each bit.

        Args:    llr: log-likelihood ratios ln P(0)/P(1), shape (n, 8 * codeword_octets), read as float32: positive
                 favours 0.  With BPSK that sends 0 as +1 they are 2 r / sigma^2; min-sum does not mind another scale.
                 Zero and NaN say nothing of a bit (an erasure); an infinite ratio is a bit known for certain.  Min-sum
                 takes a finite ratio above 32 times the geometric mean of its word for that much.
                 algorithm: "sum-product" wants true ratios, and is some hundred times slower.
                 maximum_iterations: 1 to 1000; a word stops as soon as it is one of the code and no bit is undecided.
                 ordered_statistics_order: 0 to 4; words that message passing gives up are tried with ordered statistics
                 decoding, which nearly always finds a word of the code: a decoder that is complete, so what it gets
                 wrong is an undetected error.  Use it where frames carry a check of their own, and ask the
                 `ordered_statistics` column.  Order 3 costs up to 44 thousand candidates a word for (128, 64); for
                 (512, 256) use 1 or 2.
        Raises:  ValueError: llr has another shape, or no numbers.
                 ConfigurationError: no such algorithm, or a limit out of range.

        A word that is not decoded is left as received, with `converged` False.
        """
        import numpy as np  # late: importing ccsds stays light

        with np.errstate(over="ignore"):  # a double too large for float32 is as good as certain
            ratios = np.ascontiguousarray(llr, dtype=np.float32)
        bits = 8 * self.codeword_octets
        if ratios.ndim != 2 or ratios.shape[1] != bits:
            raise ValueError(f"{self}: llr has shape (n, {bits}), not {ratios.shape}")
        self._require_options(algorithm, maximum_iterations, ordered_statistics_order)
        return _decoded(
            self._kernel.decode_soft(ratios.reshape(-1).data, algorithm, maximum_iterations, ordered_statistics_order)
        )

    def decode_hard(
        self,
        octets: Buffer,
        *,
        algorithm: Algorithm = "min-sum",
        maximum_iterations: int = 50,
        ordered_statistics_order: int | None = None,
    ) -> LdpcDecoded:
        """Decode code words that stand end to end (any contiguous buffer of octets), all bits being equally reliable.

        Args:    as of `decode_soft`; "sum-product" takes one bit in twenty for wrong.
        Raises:  TruncatedError: the last code word is cut short.
                 ConfigurationError: no such algorithm, or a limit out of range.
        """
        self._require_whole(octets)
        self._require_options(algorithm, maximum_iterations, ordered_statistics_order)
        return _decoded(self._kernel.decode_hard(octets, algorithm, maximum_iterations, ordered_statistics_order))

    def _require_whole(self, octets: Buffer) -> None:
        given = memoryview(octets).nbytes
        rest = given % self.codeword_octets
        if rest:
            message = f"a code word has {self.codeword_octets} octets, {rest} given"
            raise TruncatedError(message, unit=str(self), octet_offset=given, clause=CLAUSE)

    def _require_options(self, algorithm: str, maximum_iterations: int, order: int | None) -> None:
        if algorithm not in ("min-sum", "sum-product"):
            raise ConfigurationError(f"algorithm is 'min-sum' or 'sum-product', not {algorithm!r}")
        if not 1 <= maximum_iterations <= 1000:
            raise ConfigurationError(f"maximum_iterations is 1 to 1000, not {maximum_iterations}")
        if order is not None and not 0 <= order <= 4:
            raise ConfigurationError(f"ordered_statistics_order is 0 to 4 or None, not {order}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LdpcCode) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __reduce__(self) -> tuple[object, ...]:
        return LdpcCode, (self._name,)

    def __repr__(self) -> str:
        return f"LdpcCode({self._name!r})"

    def __str__(self) -> str:
        return f"LDPC code {self._name}"


def _decoded(columns: tuple[bytes, bytes, bytes, bytes, bytes]) -> LdpcDecoded:
    import numpy as np  # late: importing ccsds stays light

    octets, converged, ordered_statistics, iterations, corrected_bits = columns
    return LdpcDecoded(
        octets,
        np.frombuffer(converged, dtype=np.bool_),
        np.frombuffer(iterations, dtype=np.uint32),
        np.frombuffer(corrected_bits, dtype=np.uint32),
        np.frombuffer(ordered_statistics, dtype=np.bool_),
    )


TC_LDPC_128_64 = LdpcCode("tc-128-64")
"""128 bits that carry 64: for short frames and low rates."""
TC_LDPC_512_256 = LdpcCode("tc-512-256")
"""512 bits that carry 256."""
