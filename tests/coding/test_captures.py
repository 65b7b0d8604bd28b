"""Real downlink frames: codeblocks of Suomi NPP, frames whose FECF somebody else counted."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccsds.coding.randomizer import randomize
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.frames.error_control import frame_error_control

CAPTURES = Path(__file__).parents[2].parent / "shared" / "captures"
MARKER_OCTETS = 4


def truth(file: str) -> dict[str, Any]:
    if not (CAPTURES / file).exists():
        pytest.skip(f"{file} is not beside the project directory")
    entries = tomllib.loads((CAPTURES / "captures.toml").read_text())["file"]
    return next(entry for entry in entries if entry["file"] == file)


@pytest.mark.parametrize("file", ["snpp_16_cadu.dat", "snpp_6_16_cadu.dat"])
def test_codeblocks_of_a_real_pass(file: str) -> None:
    entry = truth(file)
    octets = entry["record_octets"]
    units = np.fromfile(CAPTURES / file, np.uint8).reshape(-1, octets)
    assert len(units) == entry["records"]
    code = ReedSolomonCode(16, entry["rs_interleave"])
    blocks = randomize(np.ascontiguousarray(units[:, MARKER_OCTETS:]), "short", code.block_octets)
    clean = code.decode_batch(blocks)
    assert not clean.corrected_symbols.any()
    assert code.encode_batch(clean.frames) == blocks

    source = random.Random(file)
    damaged = np.frombuffer(blocks, np.uint8).copy().reshape(-1, code.block_octets)
    for block in damaged:
        for codeword in range(entry["rs_interleave"]):
            block[[symbol * 4 + codeword for symbol in source.sample(range(255), 16)]] ^= source.randrange(1, 256)
    repaired = code.decode_batch(damaged)
    assert repaired.frames == clean.frames
    assert (repaired.corrected_symbols == 4 * 16).all()


@pytest.mark.parametrize("file", ["mars2020_10kbps.u8", "bgm1_20250302_interleaved.u8"])
def test_frames_that_fail_their_field(file: str) -> None:
    entry = truth(file)
    records = np.fromfile(CAPTURES / file, np.uint8).reshape(entry["records"], entry["record_octets"])
    if "deinterleave" in entry:  # the receiver read four code words one after another as interleaved
        depth = entry["deinterleave"]
        records = records.reshape(len(records), -1, depth).transpose(0, 2, 1).reshape(len(records), -1)
    valid = sum(frame_error_control(record.tobytes()) == 0 for record in records)
    assert (valid, len(records) - valid) == (entry["fecf_pass"], entry["fecf_fail"])
