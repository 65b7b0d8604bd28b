"""CLTUs made: published ones, those that must not come out, and the steps of the standard one after the other."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding import bch
from ccsds.coding.cltu import CODES, FILL_OCTET, LDPC_TAIL_SEQUENCES, CltuEncoder
from ccsds.coding.cltu_decoder import CltuDecoder, CltuEnd
from ccsds.coding.randomizer import randomize, sequence_octets
from ccsds.errors import ConfigurationError, EncodeError
from ccsds.testing import load_vectors

CASES = load_vectors("231.0-B-4/cltu.toml")
CAPTURES = Path(__file__).parents[2].parent / "shared" / "captures"
START = bytes.fromhex("eb90")
TAIL = bytes.fromhex("c5c5c5c5c5c5c579")


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["kind"] == kind]


def constant(name: str) -> dict[str, Any]:
    return next(case for case in of_kind("constant") if case["id"] == name)


def slow(frame: bytes, randomizer: bool, randomize_fill: bool) -> bytes:
    fill = b"\x55" * (-len(frame) % 7)
    information = randomize(frame, "telecommand") + fill if randomizer else frame + fill
    if randomize_fill:
        information = randomize(frame + fill, "telecommand")
    return START + bch.encode(information) + TAIL


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "TC randomizer before BCH encoding")
@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2", "CLTU with BCH: start sequence, fill, tail sequence")
@pytest.mark.parametrize("case", of_kind("cltu"), ids=lambda case: case["id"])
def test_published_cltus(case: dict[str, Any]) -> None:
    frame, unit = bytes.fromhex(case["frame"]), bytes.fromhex(case["cltu"])
    encoder = CltuEncoder(randomizer=case["randomized"])
    assert encoder.encode(frame) == unit
    assert encoder.cltu_octets(len(frame)) == len(unit)
    received = CltuDecoder(mode="detect", randomizer=case["randomized"]).feed(unit)[0]
    assert received.octets[: len(frame)] == frame
    fill = received.octets[len(frame) :]
    assert len(fill) == case.get("fill_octets", len(fill)) < 7
    assert (received.end, received.codewords) == (CltuEnd.TAIL, (len(unit) - 10) // 8)


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "fill randomized with the frame, as an option")
def test_fill_that_is_randomized_is_an_option_and_decodes_too() -> None:
    case = next(case for case in of_kind("wrong") if case["id"] == "dariol83-randomized-fill")
    frame, unit = bytes.fromhex(case["frame"]), bytes.fromhex(case["cltu"])
    assert CltuEncoder(randomizer=True).encode(frame) != unit
    assert CltuEncoder(randomizer=True, randomize_fill=True).encode(frame) == unit
    assert CltuDecoder(randomizer=True).feed(unit)[0].octets == frame + b"\x55" * 6


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2.2", "start sequences: 16 bits with BCH, 64 bits with LDPC")
@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2.4", "tail sequence of BCH")
def test_sequences_are_the_published_ones() -> None:
    assert CODES["BCH"].start_sequence.hex() == constant("bch-start")["octets"]
    assert CODES["BCH"].tails["standard"].hex() == constant("bch-tail")["octets"]
    assert bytes([FILL_OCTET]).hex() == constant("fill-octet")["octets"]
    for code in ("LDPC (128,64)", "LDPC (512,256)"):
        assert CODES[code].start_sequence.hex() == constant("ldpc-start")["octets"]  # type: ignore[index]
    tail = constant("ldpc64-tail-optional")
    assert LDPC_TAIL_SEQUENCES["corrigendum 1"].hex() == tail["octets"]
    assert randomize(LDPC_TAIL_SEQUENCES["corrigendum 1"], "telecommand").hex() == tail["derandomised"]
    assert LDPC_TAIL_SEQUENCES["before corrigendum 1"].hex() == constant("ldpc64-tail-before-corrigendum")["octets"]
    assert dict(CODES["LDPC (512,256)"].tails) == {"none": b""}


def test_the_sequence_of_telecommand_is_not_that_of_telemetry() -> None:
    # Both begin with ff: one octet proves nothing.
    assert sequence_octets("telecommand", 1) == sequence_octets("short", 1)
    assert sequence_octets("telecommand", 2) != sequence_octets("short", 2)


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2.3", "fill: octets 55 hex up to a whole number of codewords")
@given(st.binary(min_size=1, max_size=600), st.sampled_from([(False, False), (True, False), (True, True)]))
def test_equals_the_steps_one_after_the_other(frame: bytes, randomization: tuple[bool, bool]) -> None:
    randomizer, randomize_fill = randomization
    encoder = CltuEncoder(randomizer=randomizer, randomize_fill=randomize_fill)
    assert encoder.encode(frame) == slow(frame, *randomization)


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2.3", "frames one by one, and several frames in a CLTU")
@given(st.lists(st.binary(min_size=1, max_size=100), max_size=8), st.booleans())
def test_a_batch_is_single_cltus_side_by_side(frames: list[bytes], randomizer: bool) -> None:
    encoder = CltuEncoder(randomizer=randomizer)
    octets, offsets = encoder.encode_frames(frames)
    units = [octets[begin:end] for begin, end in pairwise(offsets)]
    assert units == [encoder.encode(frame) for frame in frames]
    assert offsets.dtype == np.uint64
    bounds = np.cumsum([3, *map(len, frames)])
    again = encoder.encode_batch(bytearray(b"xyz" + b"".join(frames) + b"rest"), bounds)
    assert (again.octets, again.offsets.tolist()) == (octets, offsets.tolist())


@pytest.mark.conforms("CCSDS 231.0-B-4", "8", "maximum length of a CLTU")
def test_what_cannot_be_sent() -> None:
    encoder = CltuEncoder(maximum_cltu_octets=26)
    assert len(encoder.encode(bytes(14))) == 26
    with pytest.raises(EncodeError, match=r"34 octets are more than maximum_cltu_octets, 26 \[CCSDS 231.0-B-4 §8\]"):
        encoder.encode(bytes(15))
    with pytest.raises(EncodeError, match="there is no frame to send"):
        encoder.encode(b"")
    for offsets in ([], [0, 4], [2, 1], [0, 3, 2]):
        with pytest.raises(EncodeError, match="offsets are at least one, in order, within the 3 octets"):
            encoder.encode_batch(b"abc", np.array(offsets, np.uint64))
    assert encoder.encode_frames([]) == (b"", np.zeros(1, np.uint64))


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "TC randomizer mandatory with LDPC, optional with BCH")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "BHC"}, r"code is 'BCH' or .*, not 'BHC' \[CCSDS 231.0-B-4 §8\]"),
        ({"code": "LDPC (256,128)"}, r"not 'LDPC \(256,128\)'"),  # of 231.1-O-1 only
        ({"code": "LDPC (128,64)", "randomizer": False}, r"randomizer cannot be off with LDPC \(128,64\).* §6\]"),
        ({"randomize_order": "after encoding"}, r"randomize_order of BCH is 'before encoding', not .* §6\]"),
        ({"code": "LDPC (512,256)", "randomize_order": "never"}, r"'before encoding' or 'after encoding', not 'never'"),
        ({"randomize_fill": True}, "randomize_fill is for frames that are randomized before encoding"),
        ({"code": "LDPC (128,64)", "randomize_fill": True}, "randomize_fill is for frames that are randomized before"),
        ({"tail": "none"}, r"tail of BCH is 'standard', not 'none' \[CCSDS 231.0-B-4 Cor. 1 §5.2.4\]"),
        ({"code": "LDPC (512,256)", "tail": "corrigendum 1"}, r"tail of LDPC \(512,256\) is 'none'"),
        ({"maximum_cltu_octets": 17}, "maximum_cltu_octets 17 leaves no room for a codeword of BCH"),
    ],
)
def test_parameters_that_contradict_the_standard(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CltuEncoder(**options)
    if "randomize_fill" not in options:
        with pytest.raises(ConfigurationError, match=message):
            CltuDecoder(**options)


def truth(file: str) -> dict[str, Any]:
    if not (CAPTURES / file).exists():
        pytest.skip(f"{file} is not beside the project directory")
    entries = tomllib.loads((CAPTURES / "captures.toml").read_text())["file"]
    return next(entry for entry in entries if entry["file"] == file)


def test_cltus_of_another_project() -> None:
    entry = truth("sim_tc_cltu.hex")
    units = [bytes.fromhex(line) for line in (CAPTURES / "sim_tc_cltu.hex").read_text().split()]
    assert len(units) == entry["records"]
    plain, derandomized = CltuDecoder(mode="detect"), CltuDecoder(mode="detect", randomizer=True)
    for unit, expected in zip(units, entry["cltu"], strict=True):
        (information,) = plain.feed(unit)
        (candidate,) = derandomized.feed(unit)
        assert len(unit) == expected["octets"]
        assert information.octets.hex() == expected["information"]
        assert candidate.octets.hex() == expected["derandomised"]
        assert information.codewords == expected["codeblocks"] == expected["parity_ok"]
        assert information.end == CltuEnd.TAIL
        frame = candidate.octets[: int.from_bytes(candidate.octets[2:4], "big") % 1024 + 1]
        assert CltuEncoder(randomizer=True).encode(frame) == unit


def test_frames_of_another_project_go_through() -> None:
    entry = truth("sim_tc_plain.hex")
    frames = [bytes.fromhex(line) for line in (CAPTURES / "sim_tc_plain.hex").read_text().split()]
    assert [len(frame) for frame in frames] == [frame[0] for frame in entry["frames"]]
    octets, _ = CltuEncoder(randomizer=True).encode_frames(frames)
    batch = CltuDecoder(randomizer=True).feed(octets)
    assert [unit.octets[:724] for unit in batch] == frames
