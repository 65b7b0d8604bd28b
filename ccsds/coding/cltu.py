"""Communications Link Transmission Units, made.  Source: CCSDS 231.0-B-4 with Corrigendum 1, sections 3 to 6 and 8.

A CLTU is a start sequence, codewords, and a tail sequence where the code has one.  With the BCH code, frames are
randomized (optional), completed with fill and encoded; with an LDPC code they are completed, encoded and randomized.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from ccsds import _native
from ccsds.coding import bch
from ccsds.coding.randomizer import randomize
from ccsds.errors import ConfigurationError, EncodeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = [
    "CODES",
    "DOCUMENT",
    "FILL_OCTET",
    "LDPC_TAIL_SEQUENCES",
    "CltuEncoder",
    "Code",
    "CodeFacts",
    "CodingParameters",
    "EncodedCltus",
    "RandomizeOrder",
    "Tail",
    "coding_parameters",
]

DOCUMENT: Final = "CCSDS 231.0-B-4"
UNIT = "CLTU"
FILL_OCTET: Final = 0x55
LDPC_START_SEQUENCE: Final = bytes.fromhex("034776c7272895b0")
DEFAULT_MAXIMUM_CLTU_OCTETS: Final = 65_536

Code = Literal["BCH", "LDPC (128,64)", "LDPC (512,256)"]
RandomizeOrder = Literal["before encoding", "after encoding"]
Tail = Literal["standard", "corrigendum 1", "before corrigendum 1", "none"]


class CodeFacts(NamedTuple):
    """What a code makes of a CLTU.  `tails` are those that it may have, the default first."""

    information_octets: int
    codeword_octets: int
    start_sequence: bytes
    tails: dict[Tail, bytes]
    order: RandomizeOrder
    """of issue 4"""


LDPC_TAIL_SEQUENCES: Final[dict[Tail, bytes]] = {
    "none": b"",
    "corrigendum 1": bytes.fromhex("63a1ed72c6ac79e25555555555555555"),
    "before corrigendum 1": bytes.fromhex("55555556aaaaaaaa5555555555555555"),
}
"""Of LDPC (128,64): the optional one of Corrigendum 1 (July 2026), and the one that it superseded."""

CODES: Final[dict[Code, CodeFacts]] = {
    "BCH": CodeFacts(
        bch.INFORMATION_OCTETS,
        bch.CODEBLOCK_OCTETS,
        bytes.fromhex("eb90"),
        {"standard": bytes.fromhex("c5c5c5c5c5c5c579")},
        "before encoding",
    ),
    "LDPC (128,64)": CodeFacts(8, 16, LDPC_START_SEQUENCE, LDPC_TAIL_SEQUENCES, "after encoding"),
    "LDPC (512,256)": CodeFacts(32, 64, LDPC_START_SEQUENCE, {"none": b""}, "after encoding"),
}


class CodingParameters(NamedTuple):
    """Managed parameters with their defaults filled in, found consistent."""

    code: Code
    facts: CodeFacts
    randomizer: bool
    randomize_order: RandomizeOrder
    randomize_fill: bool
    tail: Tail
    maximum_cltu_octets: int

    @property
    def tail_sequence(self) -> bytes:
        """What is sent behind the last codeword; empty where nothing is."""
        return self.facts.tails[self.tail]

    @property
    def maximum_codewords(self) -> int:
        """Codewords in a CLTU of the maximum length."""
        other = len(self.facts.start_sequence) + len(self.tail_sequence)
        return (self.maximum_cltu_octets - other) // self.facts.codeword_octets


def coding_parameters(
    code: Code,
    *,
    randomizer: bool | None = None,
    randomize_order: RandomizeOrder | None = None,
    randomize_fill: bool = False,
    tail: Tail | None = None,
    maximum_cltu_octets: int = DEFAULT_MAXIMUM_CLTU_OCTETS,
) -> CodingParameters:
    """Fill in what the code leaves no choice in, and what most missions do.

    Args:    code: which code.
             randomizer: left out, off with BCH, where it is optional, and on with LDPC, where it is mandatory.
             randomize_order: of LDPC; issue 4 has "after encoding", the generator preset at each codeword; issue 3
                "before encoding", preset at each CLTU.
             randomize_fill: the fill of the last codeword is randomized with the frame, where that comes before
                encoding; by default it is not.  A receiver that cuts frames by their length takes either.
             tail: of LDPC (128,64), an optional one; by default none.
             maximum_cltu_octets: start sequence, codewords and tail.
    Raises:  ConfigurationError: these contradict each other or the standard; names the clause.
    """
    if code not in CODES:
        raise ConfigurationError(f"code is {_either(get_args(Code))}, not {code!r} [{DOCUMENT} §8]")
    facts = CODES[code]
    is_ldpc = code != "BCH"
    if randomizer is False and is_ldpc:
        raise ConfigurationError(f"randomizer cannot be off with {code}: it is mandatory [{DOCUMENT} §6]")
    order = randomize_order or facts.order
    if order not in get_args(RandomizeOrder) or (order == "after encoding" and not is_ldpc):
        allowed = get_args(RandomizeOrder) if is_ldpc else ("before encoding",)
        raise ConfigurationError(f"randomize_order of {code} is {_either(allowed)}, not {order!r} [{DOCUMENT} §6]")
    randomizer = is_ldpc if randomizer is None else randomizer
    if randomize_fill and (order == "after encoding" or not randomizer):
        raise ConfigurationError(f"randomize_fill is for frames that are randomized before encoding [{DOCUMENT} §6]")
    chosen = next(iter(facts.tails)) if tail is None else tail
    if chosen not in facts.tails:
        clause = f"{DOCUMENT} Cor. 1 §5.2.4"
        raise ConfigurationError(f"tail of {code} is {_either(facts.tails)}, not {chosen!r} [{clause}]")
    parameters = CodingParameters(code, facts, randomizer, order, randomize_fill, chosen, maximum_cltu_octets)
    if parameters.maximum_codewords < 1:
        message = f"maximum_cltu_octets {maximum_cltu_octets} leaves no room for a codeword of {code}"
        raise ConfigurationError(f"{message} [{DOCUMENT} §8]")
    return parameters


def _either(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in names)


def ldpc_code(code: Code) -> Any:
    """The LDPC kernel, loaded when first used."""
    from ccsds.coding import ldpc

    return {"LDPC (128,64)": ldpc.TC_LDPC_128_64, "LDPC (512,256)": ldpc.TC_LDPC_512_256}[code]


class EncodedCltus(NamedTuple):
    """CLTUs end to end; CLTU i is octets[offsets[i]:offsets[i + 1]]."""

    octets: bytes
    offsets: NDArray[np.uint64]


class CltuEncoder:
    """Makes CLTUs.  Immutable; safe to use from many threads.

    Args:   as `coding_parameters`.
    Raises: ConfigurationError: see there.
    """

    def __init__(
        self,
        code: Code = "BCH",
        *,
        randomizer: bool | None = None,
        randomize_order: RandomizeOrder | None = None,
        randomize_fill: bool = False,
        tail: Tail | None = None,
        maximum_cltu_octets: int = DEFAULT_MAXIMUM_CLTU_OCTETS,
    ) -> None:
        self._parameters = coding_parameters(
            code,
            randomizer=randomizer,
            randomize_order=randomize_order,
            randomize_fill=randomize_fill,
            tail=tail,
            maximum_cltu_octets=maximum_cltu_octets,
        )

    @property
    def parameters(self) -> CodingParameters:
        """The managed parameters in force."""
        return self._parameters

    def cltu_octets(self, frame_octets: int) -> int:
        """Octets of the CLTU of so many octets of frames."""
        facts = self._parameters.facts
        codewords = -(-frame_octets // facts.information_octets)
        other = len(facts.start_sequence) + len(self._parameters.tail_sequence)
        return other + codewords * facts.codeword_octets

    def encode(self, frames: Buffer) -> bytes:
        """The CLTU of one transfer frame, or of several end to end.

        Raises: EncodeError: nothing to send, or a CLTU of more than `maximum_cltu_octets`.
        """
        given = memoryview(frames).nbytes
        parameters = self._parameters
        self._check_lengths(given, given)
        if parameters.code != "BCH":
            return self._encode_ldpc(frames, [0, given])[0]
        return _native.cltu_encode(frames, array("Q", (0, given)), self._randomization)[0]

    def encode_frames(self, frames: Iterable[bytes]) -> EncodedCltus:
        """One CLTU for each frame.  Raises EncodeError, as `encode`."""
        import numpy as np

        units = list(frames)
        offsets = np.zeros(len(units) + 1, np.uint64)
        np.cumsum([len(unit) for unit in units], out=offsets[1:])
        return self.encode_batch(b"".join(units), offsets)

    def encode_batch(self, frames: Buffer, offsets: NDArray[np.uint64]) -> EncodedCltus:
        """One CLTU for the octets between each two neighbouring `offsets` into `frames`.

        Raises: EncodeError: as `encode`, or offsets that are not in order within `frames`.
        """
        import numpy as np

        offsets = np.ascontiguousarray(offsets, np.uint64)
        given = memoryview(frames).nbytes
        if not len(offsets) or (offsets[1:] < offsets[:-1]).any() or offsets[-1] > given:
            raise EncodeError(f"{UNIT}: offsets are at least one, in order, within the {given} octets of frames")
        if len(offsets) > 1:
            lengths = np.diff(offsets)
            self._check_lengths(int(lengths.min()), int(lengths.max()))
        if self._parameters.code != "BCH":
            octets, ends = self._encode_ldpc(frames, offsets.tolist())
            return EncodedCltus(octets, np.array(ends, np.uint64))
        octets, begins = _native.cltu_encode(frames, offsets, self._randomization)
        return EncodedCltus(octets, np.frombuffer(begins, np.uint64))

    @property
    def _randomization(self) -> str:
        if not self._parameters.randomizer:
            return "off"
        return "frame and fill" if self._parameters.randomize_fill else "frame"

    def _check_lengths(self, least: int, greatest: int) -> None:
        if not least:
            raise EncodeError(f"{UNIT}: there is no frame to send [{DOCUMENT} §5.2]")
        most = self.cltu_octets(greatest)
        if most > self._parameters.maximum_cltu_octets:
            raise EncodeError(
                f"{UNIT}: {most} octets are more than maximum_cltu_octets, "
                f"{self._parameters.maximum_cltu_octets} [{DOCUMENT} §8]"
            )

    def _encode_ldpc(self, frames: Buffer, offsets: list[int]) -> tuple[bytes, list[int]]:
        """CLTUs end to end, and their offsets."""
        parameters = self._parameters
        facts = parameters.facts
        octets = bytes(memoryview(frames))
        blocks = [self._completed(octets[begin:end]) for begin, end in pairwise(offsets)]
        codewords = bytes(ldpc_code(parameters.code).encode(b"".join(blocks)))
        if parameters.randomize_order == "after encoding":
            codewords = randomize(codewords, "telecommand", facts.codeword_octets)
        units, at = [], 0
        for block in blocks:
            end = at + len(block) // facts.information_octets * facts.codeword_octets
            units.append(facts.start_sequence + codewords[at:end] + parameters.tail_sequence)
            at = end
        return b"".join(units), [0, *accumulate(map(len, units))]

    def _completed(self, frame: bytes) -> bytes:
        """A whole number of information blocks."""
        parameters = self._parameters
        fill = bytes([FILL_OCTET]) * (-len(frame) % parameters.facts.information_octets)
        if parameters.randomize_order == "after encoding":
            return frame + fill
        if parameters.randomize_fill:
            return randomize(frame + fill, "telecommand")
        return randomize(frame, "telecommand") + fill
