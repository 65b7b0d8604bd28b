"""Managed parameters of a telecommand physical channel.  Source: CCSDS 231.0-B-4 with Corrigendum 1, section 8."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ccsds.coding.bch import Mode
from ccsds.coding.cltu import CltuEncoder, Code, RandomizeOrder, Tail, coding_parameters
from ccsds.coding.cltu_decoder import CltuDecoder, tolerated_errors
from ccsds.errors import ConfigurationError
from ccsds.procedures.plop import PhysicalLayerOperations, check_operations

__all__ = ["CommandCoding"]


class CommandCoding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How telecommand frames are coded and sent; both ends are made from it.

    code: BCH, or one of the two LDPC codes.  mode: of BCH: "detect" errors, or "correct" one per codeblock.
    randomizer: left out, on with LDPC, where it is mandatory, and off with BCH, where it is optional.
    randomize_order: of LDPC; issue 4 has "after encoding", issue 3 "before encoding".
    randomize_fill: the fill of the last codeblock is randomized with the frame (no receiver depends on it).
    tail: of LDPC (128,64): "none", "corrigendum 1" (July 2026), or "before corrigendum 1", superseded.
    start_sequence_tolerated_errors: left out, none when detecting, one when correcting, 12 of 64 with LDPC.
    accept_inverted: the receiver takes a stream of inverted polarity, and turns it.
    maximum_cltu_octets: start sequence, codewords and tail.
    repetitions: times that a CLTU is sent in all.
    plop: 1, the carrier is unmodulated between CLTUs, or 2.
    acquisition_octets, acquisition_first_bit, idle_octets: of the sequences of alternating bits.
    """

    code: Code = "BCH"
    mode: Mode = "correct"
    randomizer: bool | None = None
    randomize_order: RandomizeOrder | None = None
    randomize_fill: bool = False
    tail: Tail | None = None
    start_sequence_tolerated_errors: Annotated[int, Meta(ge=0, le=20)] | None = None
    accept_inverted: bool = False
    maximum_cltu_octets: Annotated[int, Meta(ge=18, le=1 << 24)] = 65_536
    repetitions: Annotated[int, Meta(ge=1, le=65_535)] = 1
    plop: Literal[1, 2] = 2
    acquisition_octets: Annotated[int, Meta(ge=16, le=1 << 24)] = 16
    acquisition_first_bit: Literal[0, 1] = 0
    idle_octets: Annotated[int, Meta(ge=0, le=1 << 24)] = 1

    def __post_init__(self) -> None:
        coding_parameters(
            self.code,
            randomizer=self.randomizer,
            randomize_order=self.randomize_order,
            randomize_fill=self.randomize_fill,
            tail=self.tail,
            maximum_cltu_octets=self.maximum_cltu_octets,
        )
        tolerated_errors(self.code, self.mode, self.start_sequence_tolerated_errors)
        check_operations(self.plop, self.acquisition_octets, self.acquisition_first_bit, self.idle_octets)
        if self.repetitions < 1:
            raise ConfigurationError(f"repetitions is at least 1, not {self.repetitions} [CCSDS 231.0-B-4 §8]")

    def encoder(self) -> CltuEncoder:
        """What makes the CLTUs."""
        return CltuEncoder(
            self.code,
            randomizer=self.randomizer,
            randomize_order=self.randomize_order,
            randomize_fill=self.randomize_fill,
            tail=self.tail,
            maximum_cltu_octets=self.maximum_cltu_octets,
        )

    def decoder(self, *, active: bool = True) -> CltuDecoder:
        """What receives them."""
        return CltuDecoder(
            self.code,
            mode=self.mode,
            randomizer=self.randomizer,
            randomize_order=self.randomize_order,
            tail=self.tail,
            start_sequence_tolerated_errors=self.start_sequence_tolerated_errors,
            maximum_cltu_octets=self.maximum_cltu_octets,
            accept_inverted=self.accept_inverted,
            active=active,
        )

    def physical_layer_operations(self) -> PhysicalLayerOperations:
        """What says how they are radiated; `repetitions` is given to its `transmit`."""
        return PhysicalLayerOperations(
            self.plop,
            acquisition_octets=self.acquisition_octets,
            acquisition_first_bit=self.acquisition_first_bit,
            idle_octets=self.idle_octets,
        )
