"""Dissection of CLTUs: start sequence, codeblocks with the state of their parity, tail sequence."""

from __future__ import annotations

from typing import Any, Final

from ccsds.coding import bch
from ccsds.coding.cltu import DOCUMENT
from ccsds.coding.cltu_unit import START_SEQUENCE, TAIL_SEQUENCE, UNIT, Cltu
from ccsds.coding.randomizer import randomize
from ccsds.frames import tc
from ccsds.interop.dissection_walk import DissectedField, UnitKind, Walk

__all__ = ["KINDS"]

_BLOCK = bch.CODEBLOCK_OCTETS


def _settle(octets: bytes, managed: dict[str, Any]) -> list[str]:
    """Found out by the header of the first frame, where nobody said."""
    if managed.get("randomized") is not None:
        return []
    blocks = octets[len(START_SEQUENCE) :]
    blocks = blocks[: len(blocks) // _BLOCK * _BLOCK]
    ends = [at for at in range(0, len(blocks), _BLOCK) if blocks[at : at + _BLOCK] == TAIL_SEQUENCE]
    blocks = blocks[: ends[0]] if ends else blocks
    information = b"".join(blocks[at : at + 7] for at in range(0, len(blocks), _BLOCK))
    derandomized = randomize(information, "telecommand")
    plain, turned = _begins_with_a_frame(information), _begins_with_a_frame(derandomized)
    managed["randomized"] = turned and not plain
    if plain == turned:
        return ["taken to be not randomized: nobody said, and no frame header tells"]
    how = "only derandomized" if turned else "only as it is"
    return [f"randomizer guessed: {how} it begins with a frame that fits"]


def _begins_with_a_frame(information: bytes) -> bool:
    if len(information) < tc.PRIMARY_HEADER.octets:
        return False
    header = tc.PRIMARY_HEADER.unpack(information)
    fits = 5 < header["frame_length"] + 1 <= len(information)
    return fits and not header["transfer_frame_version_number"] and not header["reserved_spare"]


def _bits(walk: Walk, name: str, begin: int, bits: int, meaning: str) -> None:
    cut = walk.bits[begin : begin + bits]
    clause = f"{DOCUMENT} §3"
    walk.fields.append(DissectedField(UNIT, name, begin, bits, str(cut.bin), int(cut.uint), b"", meaning, clause))


def _walk_codeblock(walk: Walk, number: int, at: int) -> None:
    block = walk.octets[at : at + _BLOCK]
    meaning = f"codeblock {number}"
    if walk.managed.get("randomized"):
        begin = 7 * (number - 1)
        pattern = bytes(begin) + block[:7]
        meaning += f", derandomized {randomize(pattern, 'telecommand')[begin:].hex()}"
    walk.field(UNIT, "codeblock_information", at, at + 7, meaning, f"{DOCUMENT} §3")
    if len(block) < _BLOCK:
        return
    expected = bch.encode(block[:7])[-1]
    right = (block[-1] ^ expected) & 0xFE == 0
    state = "valid" if right else f"WRONG, {expected >> 1:07b} expected"
    if not right and bch.decode(block, "correct").corrected_bits[0] == 1:
        state += "; one bit in error explains it"
    _bits(walk, "parity", 8 * (at + 7), 7, state)
    _bits(walk, "filler_bit", 8 * (at + 7) + 7, 1, "" if block[-1] & 1 == 0 else "WRONG, 0 expected")


def _walk(walk: Walk) -> None:
    start = walk.octets[: len(START_SEQUENCE)]
    state = "" if start == START_SEQUENCE else f"WRONG, {START_SEQUENCE.hex()} expected"
    walk.field(UNIT, "start_sequence", 0, len(START_SEQUENCE), state, f"{DOCUMENT} §5.2.2")
    at, number = len(START_SEQUENCE), 1
    while at < len(walk.octets):
        if walk.octets[at : at + _BLOCK] == TAIL_SEQUENCE:
            walk.field(UNIT, "tail_sequence", at, at + _BLOCK, "no codeblock", f"{DOCUMENT} §5.2.4")
            return
        _walk_codeblock(walk, number, at)
        at += _BLOCK
        number += 1
    walk.notes.append("the tail sequence is not there")


KINDS: Final = (
    UnitKind(
        "cltu", Cltu, "Communications Link Transmission Unit with BCH, CCSDS 231.0-B-4", _walk, ("randomized",), _settle
    ),
)
