"""Reed-Solomon against reedsolo, and its properties for every code and every variant of the kernel."""

from __future__ import annotations

import contextlib
import pickle
import random

import numpy as np
import pytest
import reedsolo
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds import _native
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.errors import CcsdsError, ConfigurationError, EncodeError, FieldError, IntegrityError, TruncatedError

VARIANTS = _native.reed_solomon_variants()
DEPTHS = (1, 2, 3, 4, 5, 8)
ALPHA_11 = 0xAD  # alpha^11, the root spacing of the code, as a field element
DUAL_ROWS = (0x8D, 0xEF, 0xEC, 0x86, 0xFA, 0x99, 0xAF, 0x7B)  # annex F: dual octets of alpha^7 to alpha^0


def dual_of(element: int) -> int:
    octet = 0
    for place, row in enumerate(DUAL_ROWS):
        octet ^= row if element >> (7 - place) & 1 else 0
    return octet


TO_DUAL = bytes(map(dual_of, range(256)))
FROM_DUAL = bytes(TO_DUAL.index(octet) for octet in range(256))


def peer(error_correction: int) -> reedsolo.RSCodec:
    return reedsolo.RSCodec(
        2 * error_correction, nsize=255, fcr=128 - error_correction, prim=0x187, generator=ALPHA_11, c_exp=8
    )


PEERS = {error_correction: peer(error_correction) for error_correction in (16, 8)}


def peer_encode(code: ReedSolomonCode, frame: bytes) -> bytes:
    """The codeblock, one code word at a time in the conventional basis."""
    block = bytearray(code.block_octets)
    for start in range(code.interleaving_depth):
        word = frame[start :: code.interleaving_depth]
        if code.basis == "dual":
            word = word.translate(FROM_DUAL)
        encoded = bytes(PEERS[code.error_correction].encode(word))
        block[start :: code.interleaving_depth] = encoded.translate(TO_DUAL) if code.basis == "dual" else encoded
    return bytes(block)


@st.composite
def codes(draw: st.DrawFn) -> ReedSolomonCode:
    error_correction = draw(st.sampled_from([16, 8]))
    depth = draw(st.sampled_from(DEPTHS))
    fill = draw(st.integers(0, 254 - 2 * error_correction))
    return ReedSolomonCode(error_correction, depth, fill * depth, draw(st.sampled_from(["dual", "conventional"])))


def with_variant(code: ReedSolomonCode, variant: str) -> _native.ReedSolomon:
    return _native.ReedSolomon(code.error_correction, code.interleaving_depth, code.virtual_fill, code.basis, variant)


def damaged(code: ReedSolomonCode, block: bytes, counts: list[int], source: random.Random) -> bytes:
    """`block` with that many symbols of each code word changed."""
    octets, depth = bytearray(block), code.interleaving_depth
    for codeword, count in enumerate(counts):
        for symbol in source.sample(range(len(block) // depth), min(count, len(block) // depth)):
            octets[symbol * depth + codeword] ^= source.randrange(1, 256)
    return bytes(octets)


seeds = st.integers(0, 2**32 - 1).map(random.Random)


@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "Reed-Solomon encoding: E = 16 and 8")
@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "shortened codeblocks (virtual fill)")
@pytest.mark.conforms("CCSDS 131.0-B-5", "annex F", "dual basis; the conventional one as an option")
@settings(deadline=None, max_examples=40)
@given(codes(), seeds)
def test_check_symbols_are_those_of_reedsolo(code: ReedSolomonCode, source: random.Random) -> None:
    frame = source.randbytes(code.frame_octets)
    assert code.encode(frame) == peer_encode(code, frame)


@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "Reed-Solomon decoding: E = 16 and 8")
@settings(deadline=None, max_examples=15)
@given(seeds, st.sampled_from([16, 8]), st.integers(0, 20), st.integers(0, 100))
def test_decodes_what_reedsolo_decodes(source: random.Random, error_correction: int, count: int, fill: int) -> None:
    code = ReedSolomonCode(error_correction, 1, fill, "conventional")
    received = damaged(code, code.encode(source.randbytes(code.frame_octets)), [count], source)
    try:
        frame, block, errors = PEERS[error_correction].decode(received)
    except reedsolo.ReedSolomonError:
        with pytest.raises(IntegrityError):
            code.decode(received)
    else:
        assert code.decode(received) == (bytes(frame), len(errors))
        assert code.encode(bytes(frame)) == bytes(block)


@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "Reed-Solomon decoding: E = 16 and 8")
@pytest.mark.conforms("CCSDS 131.0-B-5", "4", "symbol interleaving, depths 1, 2, 3, 4, 5 and 8")
@settings(deadline=None)
@given(codes(), seeds, st.data())
def test_corrected_equals_injected(code: ReedSolomonCode, source: random.Random, data: st.DataObject) -> None:
    frame = source.randbytes(code.frame_octets)
    depth = code.interleaving_depth
    counts = data.draw(st.lists(st.integers(0, code.error_correction), min_size=depth, max_size=depth))
    received = damaged(code, code.encode(frame), counts, source)
    assert code.decode(received) == (frame, sum(counts))
    for variant in VARIANTS:
        kernel = with_variant(code, variant)
        column = np.array([sum(counts)], dtype=np.int32).tobytes()
        assert kernel.decode(received) == (frame, column), variant


@settings(deadline=None)
@given(codes(), seeds, st.data())
def test_every_variant_equals_the_portable_one(
    code: ReedSolomonCode, source: random.Random, data: st.DataObject
) -> None:
    frames = source.randbytes(3 * code.frame_octets)
    portable = with_variant(code, "portable")
    blocks = portable.encode(frames)
    most = code.error_correction + 4
    counts = [data.draw(st.integers(0, most)) for _ in range(code.interleaving_depth)]
    octets = code.block_octets
    received = blocks[:octets] + damaged(code, blocks[octets : 2 * octets], counts, source) + source.randbytes(octets)
    expected = portable.decode(received)
    for variant in VARIANTS:
        assert with_variant(code, variant).encode(frames) == blocks, variant
        assert with_variant(code, variant).decode(received) == expected, variant


@settings(deadline=None)
@given(codes(), seeds, st.integers(1, 30))
def test_beyond_the_capability_only_code_words_come_out(
    code: ReedSolomonCode, source: random.Random, excess: int
) -> None:
    block = code.encode(source.randbytes(code.frame_octets))
    received = damaged(code, block, [code.error_correction + excess] * code.interleaving_depth, source)
    try:
        frame, corrected = code.decode(received)
    except IntegrityError:
        return
    again = code.encode(frame)  # the nearest code word, if it is not the one sent
    distance = sum(a != b for a, b in zip(again, received, strict=True))
    assert distance == corrected <= code.error_correction * code.interleaving_depth


@settings(deadline=None)
@given(st.binary(max_size=600), codes())
def test_any_octets_decode_or_raise(octets: bytes, code: ReedSolomonCode) -> None:
    with contextlib.suppress(CcsdsError):
        code.decode(octets)
    padded = octets.ljust(code.block_octets, b"\x5a")[: code.block_octets]
    try:
        assert code.encode(code.decode(padded).frame)
    except IntegrityError as error:
        assert "symbols in error" in str(error)


def test_batch_equals_one_by_one() -> None:
    source = random.Random(7)
    code = ReedSolomonCode(16, 5)
    frames = [source.randbytes(code.frame_octets) for _ in range(20)]
    blocks = code.encode_batch(b"".join(frames))
    assert blocks == b"".join(map(code.encode, frames))
    received = bytearray(blocks)
    received[3 * 1275 : 4 * 1275] = damaged(code, blocks[3 * 1275 : 4 * 1275], [1, 0, 2, 16, 0], source)
    received[9 * 1275 : 10 * 1275] = damaged(code, blocks[9 * 1275 : 10 * 1275], [3, 60, 0, 0, 70], source)
    decoded = code.decode_batch(received)
    assert decoded.corrected_symbols.dtype == np.int32
    assert decoded.corrected_symbols.tolist() == [0, 0, 0, 19, 0, 0, 0, 0, 0, -1, *[0] * 10]
    for i, frame in enumerate(frames):
        if i != 9:
            assert decoded.frames[i * 1115 : (i + 1) * 1115] == frame
    bad = decoded.frames[9 * 1115 : 10 * 1115]  # code word 0 corrected, 1 and 4 as received
    assert bad[0::5] == frames[9][0::5]
    assert bad[1::5] == bytes(received[9 * 1275 : 9 * 1275 + 1115][1::5])
    with pytest.raises(IntegrityError, match="2 of 5 code words"):
        code.decode(received[9 * 1275 : 10 * 1275])


def test_batches_of_nothing_and_of_arrays() -> None:
    code = ReedSolomonCode(8, 2, 100)
    assert code.encode_batch(b"") == b""
    empty = code.decode_batch(b"")
    assert (empty.frames, empty.corrected_symbols.shape) == (b"", (0,))
    array = np.arange(3 * code.frame_octets, dtype=np.uint32).astype(np.uint8).reshape(3, -1)
    blocks = np.frombuffer(code.encode_batch(array), np.uint8).reshape(3, -1)
    assert np.array_equal(blocks[:, : code.frame_octets], array)
    assert code.decode_batch(blocks).corrected_symbols.tolist() == [0, 0, 0]
    with pytest.raises(BufferError):
        code.decode_batch(blocks[:, ::-1])


def test_lengths() -> None:
    code = ReedSolomonCode(16, 5, 500)
    assert (code.frame_octets, code.check_octets, code.block_octets) == (615, 160, 775)
    with pytest.raises(EncodeError, match="615 octets, not 614"):
        code.encode(bytes(614))
    with pytest.raises(EncodeError, match="whole number of frames"):
        code.encode_batch(bytes(616))
    with pytest.raises(TruncatedError, match="774 given"):
        code.decode(bytes(774))
    with pytest.raises(FieldError, match="776 given"):
        code.decode(bytes(776))
    with pytest.raises(TruncatedError) as caught:
        code.decode_batch(bytes(2 * 775 + 3))
    assert caught.value.octet_offset == 2 * 775 + 3


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"error_correction": 17}, "error_correction"),
        ({"error_correction": -1}, "Reed-Solomon"),
        ({"interleaving_depth": 6}, "interleaving depth"),
        ({"interleaving_depth": 0}, "interleaving depth"),
        ({"interleaving_depth": 5, "virtual_fill": 7}, "virtual fill"),
        ({"virtual_fill": 223}, "virtual fill"),
        ({"virtual_fill": 2**70}, "Reed-Solomon"),
        ({"basis": "normal"}, "basis"),
    ],
)
def test_codes_that_do_not_exist(parameters: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        ReedSolomonCode(**parameters)  # type: ignore[arg-type]


def test_codes_are_values() -> None:
    code = ReedSolomonCode(8, 4, 40, "conventional")
    assert pickle.loads(pickle.dumps(code)) == code == eval(repr(code))
    assert len({code, ReedSolomonCode(8, 4, 40, "conventional"), ReedSolomonCode()}) == 2
    assert code != "code"


def test_an_unknown_variant_is_refused() -> None:
    assert VARIANTS[0] == "portable"
    with pytest.raises(ValueError, match="no variant"):
        _native.ReedSolomon(16, 1, 0, "dual", "abacus")
