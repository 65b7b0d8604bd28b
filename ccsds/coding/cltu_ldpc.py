"""The decoder of CLTUs with an LDPC code.  Source: CCSDS 231.0-B-4 with Corrigendum 1, sections 4 to 6.

`ccsds.coding.cltu_decoder` is the face of it.  A CLTU ends with a codeword that the LDPC decoder cannot decode, or,
with LDPC (128,64), with a tail sequence, which is looked for before each codeword is decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ccsds import _native
from ccsds.coding.cltu import LDPC_TAIL_SEQUENCES, CodingParameters, ldpc_code
from ccsds.coding.randomizer import randomize, sequence_octets

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    Soft = NDArray[np.float32]

__all__ = ["LdpcCltuDecoder"]

HARD_DECISION = np.float32(4.0)
"""Log-likelihood ratio that stands for a hard decision: a bit error rate of 1.8 %."""
TAIL_ERRORS = 16
"""Of 128: what a tail sequence may have in error and still be recognised."""
SEARCHED_AT_ONCE = 65_536
MOST_CODEWORDS_AT_ONCE = 64
_TAIL, _REJECTED, _LIMIT, _DEACTIVATED, _FINISHED = range(1, 6)


class _Open(NamedTuple):
    """A CLTU in progress; positions are those of the stream."""

    start: int
    next: int
    inverted: bool
    start_errors: int
    corrected_bits: int = 0
    octets: tuple[bytes, ...] = ()
    codewords: int = 0


class LdpcCltuDecoder:
    """Same face as the BCH kernel, `_native.CltuDecoder`."""

    def __init__(self, parameters: CodingParameters, tolerated_errors: int, accept_inverted: bool) -> None:
        self._parameters = parameters
        self._code = ldpc_code(parameters.code)
        facts = parameters.facts
        self._codeword_symbols = 8 * facts.codeword_octets
        self._start_symbols = 8 * len(facts.start_sequence)
        self._least_cosine = 1 - 2 * tolerated_errors / self._start_symbols
        self._accept_inverted = accept_inverted
        self._tails = [tail for tail in LDPC_TAIL_SEQUENCES.values() if tail] if len(facts.tails) > 1 else []
        after = parameters.randomize_order == "after encoding"
        pattern = sequence_octets("telecommand", facts.codeword_octets) if after else bytes(facts.codeword_octets)
        self._signs = _soft(pattern, 1)
        self._symbols: Soft = np.empty(0, np.float32)
        self._base = 0
        self._active = False
        self._from = 0
        self._open: _Open | None = None
        self._found: list[tuple[bytes, tuple[int, ...]]] = []
        self._counts = dict.fromkeys(_COUNTS, 0)

    @property
    def state(self) -> str:
        """The name of the state."""
        return "DECODE" if self._open else "SEARCH" if self._active else "INACTIVE"

    @property
    def _end(self) -> int:
        return self._base + len(self._symbols)

    def activate(self) -> None:
        """INACTIVE to SEARCH."""
        if not self._active:
            self._active = True
            self._from = self._end

    def deactivate(self) -> tuple[bytes, bytes]:
        """To INACTIVE."""
        self._end_here(_DEACTIVATED)
        self._active = False
        return self._take()

    def finish(self) -> tuple[bytes, bytes]:
        """The stream ends."""
        self._end_here(_FINISHED)
        return self._take()

    def feed(self, octets: Buffer, /) -> tuple[bytes, bytes]:
        """Take in octets."""
        return self._feed(_soft(octets, HARD_DECISION))

    def feed_bits(self, bits: Buffer, /) -> tuple[bytes, bytes]:
        """Take in bits."""
        values = np.frombuffer(memoryview(bits), np.uint8)
        if values.size and values.max() > 1:
            at = int(np.argmax(values > 1))
            raise ValueError(f"bit {at} is {values[at]}, not 0 or 1")
        return self._feed(HARD_DECISION * (1 - 2 * values.astype(np.float32)))

    def feed_soft(self, llr: Soft, /) -> tuple[bytes, bytes]:
        """Take in soft symbols."""
        if np.isnan(llr).any():
            raise ValueError(f"soft symbol {int(np.argmax(np.isnan(llr)))} is not a number")
        return self._feed(llr)

    def statistics(self) -> dict[str, int]:
        """What happened so far."""
        return dict(self._counts)

    def _feed(self, symbols: Soft) -> tuple[bytes, bytes]:
        self._counts["bits"] += len(symbols)
        if not self._active:
            self._counts["inactive_bits"] += len(symbols)
            self._base += len(symbols)
            return b"", b""
        self._symbols = np.concatenate([self._symbols, symbols])
        self._run()
        return self._take()

    def _take(self) -> tuple[bytes, bytes]:
        found, self._found = self._found, []
        rows = np.array([row for _, row in found], np.uint64)
        return b"".join(octets for octets, _ in found), rows.tobytes()

    def _run(self) -> None:
        """Decide all that the symbols held allow to decide, and let go of those decided on."""
        while self._decode(self._open) if self._open else self._search():
            pass
        keep = self._from
        if self._open:  # those of a start sequence without a codeword may be searched once more
            keep = self._open.next if self._open.codewords else self._open.start
        self._symbols = self._symbols[keep - self._base :].copy()
        self._base = keep

    def _cut(self, begin: int, end: int) -> Soft:
        return self._symbols[begin - self._base : end - self._base]

    def _search(self) -> bool:
        pattern = self._parameters.facts.start_sequence
        while self._from + self._start_symbols <= self._end:
            end = min(self._end, self._from + SEARCHED_AT_ONCE)
            window = self._cut(self._from, end)
            found = _native.start_sequence_find(window, pattern, 0, self._least_cosine, self._accept_inverted)
            if found is None:
                self._from = end - self._start_symbols + 1
                continue
            start = self._from + found[0]
            decided = self._cut(start, start + self._start_symbols) < 0
            errors = int(np.count_nonzero(decided != (_soft(pattern, 1) < 0)))
            errors = self._start_symbols - errors if found[1] else errors
            self._open = _Open(start, start + self._start_symbols, found[1], errors)
            return True
        return False

    def _decode(self, unit: _Open) -> bool:
        """Decode what is there of a CLTU, a growing number of codewords at a time; True when it ended."""
        size = self._codeword_symbols
        at_once = 1
        while unit.next + size <= self._end:
            count = min((self._end - unit.next) // size, at_once)
            received = self._cut(unit.next, unit.next + count * size).reshape(count, size)
            received = -received if unit.inverted else received
            good = self._before_tail(received)
            accepted = self._accepted(received[:good])
            room = self._parameters.maximum_codewords - unit.codewords
            unit = self._appended(unit, received[:room][: len(accepted)], accepted[:room])
            if len(accepted) > room:
                self._close(unit, _LIMIT, unit.next)
                return True
            if len(accepted) < count:
                self._reject(unit, is_tail=len(accepted) == good)
                return True
            at_once = min(2 * at_once, MOST_CODEWORDS_AT_ONCE)
        self._open = unit
        return False

    def _before_tail(self, received: Soft) -> int:
        """How many of the codewords lie before the first tail sequence."""
        least = 1 - 2 * TAIL_ERRORS / 128
        good = len(received)
        for tail in self._tails:
            cosines = _native.sequence_cosines(np.ascontiguousarray(received), tail)
            good = min(good, next((at for at, cosine in enumerate(cosines) if cosine >= least), good))
        return good

    def _accepted(self, received: Soft) -> list[bytes]:
        """Information of the codewords before the first one that cannot be decoded."""
        if not len(received):
            return []
        result = self._code.decode_soft(np.ascontiguousarray(received * self._signs))
        converged = np.asarray(result.converged, bool)
        good = len(converged) if converged.all() else int(np.argmin(converged))
        size = self._parameters.facts.information_octets
        octets = bytes(result.octets)
        return [octets[at * size : (at + 1) * size] for at in range(good)]

    def _appended(self, unit: _Open, received: Soft, accepted: list[bytes]) -> _Open:
        if not accepted:
            return unit
        encoded = np.unpackbits(np.frombuffer(self._code.encode(b"".join(accepted)), np.uint8))
        decided = (received * self._signs < 0).reshape(-1)
        return unit._replace(
            next=unit.next + received.size,
            corrected_bits=unit.corrected_bits + int(np.count_nonzero(decided != encoded)),
            octets=(*unit.octets, *accepted),
            codewords=unit.codewords + len(accepted),
        )

    def _reject(self, unit: _Open, *, is_tail: bool) -> None:
        self._counts["tails" if is_tail else "rejected_codewords"] += 1
        if not unit.codewords:
            self._false_start(unit)
        elif is_tail:
            end = unit.next + self._codeword_symbols
            self._close(unit._replace(next=end), _TAIL, end)
        else:
            self._close(unit, _REJECTED, unit.next)

    def _false_start(self, unit: _Open) -> None:
        self._counts["false_starts"] += 1
        self._open = None
        self._from = unit.start + 1

    def _close(self, unit: _Open, end: int, search_from: int) -> None:
        octets = b"".join(unit.octets)
        if self._parameters.randomize_order == "before encoding":
            octets = randomize(octets, "telecommand")
        errors, inverted = unit.start_errors, int(unit.inverted)
        row = (unit.start, unit.next, unit.codewords, unit.corrected_bits, errors, inverted, end)
        self._found.append((octets, row))
        for name, value in (
            ("cltus", 1),
            ("cltu_bits", unit.next - unit.start),
            ("codewords", unit.codewords),
            ("corrected_bits", unit.corrected_bits),
            ("start_sequence_bit_errors", errors),
            ("inverted_cltus", inverted),
        ):
            self._counts[name] += value
        self._open = None
        self._from = search_from

    def _end_here(self, end: int) -> None:
        while self._open:
            if self._open.codewords:
                self._close(self._open, end, self._end)
            else:
                self._false_start(self._open)
                self._run()  # what follows a false start may hold a whole CLTU
        self._base = self._from = self._end
        self._symbols = self._symbols[:0]


_COUNTS = (
    "bits",
    "inactive_bits",
    "cltu_bits",
    "cltus",
    "false_starts",
    "codewords",
    "rejected_codewords",
    "tails",
    "corrected_bits",
    "start_sequence_bit_errors",
    "inverted_cltus",
)


def _soft(octets: Buffer, amplitude: float | np.float32) -> Soft:
    """Log-likelihood ratios of octets."""
    bits = np.unpackbits(np.frombuffer(memoryview(octets), np.uint8))
    soft: Soft = np.float32(amplitude) * (1 - 2 * bits.astype(np.float32))
    return soft
