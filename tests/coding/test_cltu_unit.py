"""One CLTU as a unit, and its dissection: codeblocks with the state of their parity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding.cltu import CltuEncoder
from ccsds.coding.cltu_unit import Cltu
from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.tc import TcTransferFrame
from ccsds.interop.dissection import Dissection, dissect
from ccsds.testing import load_vectors

CASES = [case for case in load_vectors("231.0-B-4/cltu.toml") if case["kind"] == "cltu"]
FRAME = TcTransferFrame(spacecraft_id=9, virtual_channel_id=1, transfer_frame_data_unit=b"switch it on").encode()


def meanings(found: Dissection, name: str) -> list[str]:
    return [field.meaning for field in found.fields if field.name == name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_cltus(case: dict[str, str]) -> None:
    octets = bytes.fromhex(case["cltu"])
    unit = Cltu.decode(octets, randomized=bool(case["randomized"]))
    assert unit.information.startswith(bytes.fromhex(case["frame"]))
    assert unit.encode() == octets
    found = dissect(octets, "cltu", randomized=bool(case["randomized"]))
    assert found.problems == ()
    assert set(meanings(found, "parity")) == {"valid"}


@given(st.binary(min_size=1, max_size=100), st.booleans())
def test_made_by_hand_it_is_what_the_encoder_makes(frame: bytes, randomized: bool) -> None:
    unit = Cltu(information=frame, randomized=randomized)
    octets = CltuEncoder(randomizer=randomized).encode(frame)
    assert (unit.encode(), len(unit)) == (octets, len(octets))
    assert Cltu.decode(octets, randomized=randomized).information[: len(frame)] == frame


@pytest.mark.parametrize("randomized", [False, True])
def test_whether_it_is_randomized_is_guessed_by_the_frame_in_it(randomized: bool) -> None:
    found = dissect(CltuEncoder(randomizer=randomized).encode(FRAME))
    assert found.unit == "cltu"
    assert found.values is not None
    assert found.values["randomized"] == randomized
    assert found.values["information"].startswith(FRAME.hex())
    assert any("randomizer guessed" in note for note in found.notes)
    if randomized:
        assert meanings(found, "codeblock_information")[0] == f"codeblock 1, derandomized {FRAME[:7].hex()}"


def test_wrong_parity_is_shown_with_the_right_one() -> None:
    octets = bytearray(Cltu(information=bytes(21)).encode())
    octets[3] ^= 1
    octets[2 + 8] ^= 3
    octets[2 + 23] ^= 1
    found = dissect(bytes(octets), "cltu")
    assert [meaning.split(";")[0][:5] for meaning in meanings(found, "parity")] == ["WRONG", "WRONG", "valid"]
    one, two, _ = meanings(found, "parity")
    assert one.endswith("one bit in error explains it")
    assert not two.endswith("explains it")
    assert meanings(found, "filler_bit") == ["", "", "WRONG, 0 expected"]
    assert found.problems == (
        "CLTU, octet 2: the codeblock does not verify: its last octet is 0xfe, not "
        f"{int(one.split()[1], 2) << 1:#04x} [CCSDS 231.0-B-4 §3]",
    )


GOOD = Cltu(information=bytes(range(14))).encode()


@pytest.mark.parametrize(
    ("octets", "error", "message"),
    [
        (b"", TruncatedError, "octet 0: a start sequence has 2 octets, 0 given"),
        (b"\xeb\x91" + GOOD[2:], FieldError, "octet 0: eb91 is not the start sequence, eb90"),
        (GOOD[:2] + GOOD[-8:], TruncatedError, "octet 2: the tail sequence follows the start sequence"),
        (GOOD[:-8], TruncatedError, "octet 18: 0 octets where a codeblock or the tail sequence has 8"),
        (GOOD[:10] + b"\0" + GOOD[11:], IntegrityError, "octet 10: the codeblock does not verify"),
        (GOOD[:9] + bytes([GOOD[9] ^ 1]) + GOOD[10:], FieldError, "octet 9: the filler bit is 1"),
        (GOOD + b"\x55", FieldError, "octet 26: 1 octets follow the tail sequence"),
    ],
)
def test_what_is_no_cltu_is_refused(octets: bytes, error: type[DecodeError], message: str) -> None:
    with pytest.raises(error, match=message):
        Cltu.decode(octets)


def test_what_cannot_be_made() -> None:
    with pytest.raises(EncodeError, match="at least one codeblock"):
        Cltu(information=b"")
    with pytest.raises(EncodeError, match="True or False"):
        Cltu(information=b"x", randomized=2)  # type: ignore[arg-type]
