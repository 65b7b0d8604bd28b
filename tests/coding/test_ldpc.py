"""The LDPC codes of telecommand against a twin in numpy that knows only the published matrices."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from ccsds import _native
from ccsds.coding.ldpc import TC_LDPC_128_64, TC_LDPC_512_256, LdpcCode, LdpcDecoded
from ccsds.errors import ConfigurationError, EncodeError, TruncatedError
from ccsds.testing import load_vectors

VECTORS = load_vectors("231.0-B-4/ldpc.toml")
CODES = (TC_LDPC_128_64, TC_LDPC_512_256)
VARIANTS = _native.ldpc_variants()
Bits = NDArray[np.uint8]


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in VECTORS if case["kind"] == kind]


@dataclass
class Twin:
    """A code as a dense matrix."""

    matrix: Bits
    generator: Bits


def twin(code: LdpcCode) -> Twin:
    """From the table of circulants; the generator by Gaussian elimination of the matrix."""
    case = next(case for case in VECTORS if case["kind"] == "matrix" and case["id"] == code.name)
    size, identity = case["circulant"], np.eye(case["circulant"], dtype=np.uint8)
    zero = np.zeros((size, size), np.uint8)
    blocks = [[sum((np.roll(identity, s, axis=1) for s in shifts), zero) for shifts in row] for row in case["H"]]
    matrix = np.block(blocks) % 2
    reduced, checks = matrix.copy(), len(matrix)
    for step in range(checks):
        column = case["k"] + step
        pivot = step + int(np.flatnonzero(reduced[step:, column])[0])
        reduced[[step, pivot]] = reduced[[pivot, step]]
        others = np.flatnonzero(reduced[:, column])
        reduced[others[others != step]] ^= reduced[step]
    generator = np.hstack([np.eye(case["k"], dtype=np.uint8), reduced[:, : case["k"]].T])
    return Twin(matrix, generator)


TWINS = {code: twin(code) for code in CODES}


def bits_of(octets: bytes | bytearray, length: int) -> Bits:
    return np.unpackbits(np.frombuffer(octets, np.uint8)).reshape(-1, length)


def noisy(code: LdpcCode, words: int, ebn0_db: float, seed: int) -> tuple[bytes, NDArray[np.float32]]:
    """Random information, and what a receiver makes of its code words: BPSK, white noise."""
    source = np.random.default_rng(seed)
    information = source.bytes(words * code.information_octets)
    sent = 1.0 - 2.0 * bits_of(code.encode(information), 8 * code.codeword_octets)
    variance = 1.0 / 10.0 ** (ebn0_db / 10)  # rate 1/2: Es = Eb / 2, so 1 / (2 Es/N0)
    received = sent + source.normal(0.0, np.sqrt(variance), sent.shape)
    return information, (2 * received / variance).astype(np.float32)


def wrong_words(code: LdpcCode, information: bytes, decoded: LdpcDecoded) -> NDArray[np.bool_]:
    shape = (-1, code.information_octets)
    sent, found = (np.frombuffer(octets, np.uint8).reshape(shape) for octets in (information, decoded.octets))
    return np.asarray((sent != found).any(axis=1))


def assert_sound(code: LdpcCode, received: Bits, decoded: LdpcDecoded, limit: int) -> None:
    """What holds of any result: converged words are of the code, columns say how far they are, others are as was."""
    codewords = bits_of(code.encode(decoded.octets), 8 * code.codeword_octets)
    distance = (codewords != received).sum(axis=1)
    assert (decoded.corrected_bits == np.where(decoded.converged, distance, 0)).all()
    known = 8 * code.information_octets
    unchanged = (codewords[:, :known] == received[:, :known]).all(axis=1)
    assert unchanged[~decoded.converged].all()
    assert (decoded.iterations[~decoded.converged] == limit).all()
    assert not (decoded.ordered_statistics & ~decoded.converged).any()
    shapes = {column.shape for column in (decoded.converged, decoded.iterations, decoded.ordered_statistics)}
    assert shapes == {(len(received),)}


def decoded_as_tuple(decoded: LdpcDecoded) -> tuple[object, ...]:
    columns = (decoded.converged, decoded.iterations, decoded.corrected_bits, decoded.ordered_statistics)
    return decoded.octets, *(column.tolist() for column in columns)


# Encoding


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC (128,64) encoding")
@pytest.mark.parametrize("case", of_kind("codeword"))
def test_published_codewords(case: dict[str, Any]) -> None:
    code = LdpcCode(case["code"])
    message, codeword = bytes.fromhex(case["message"]), bytes.fromhex(case["message"] + case["parity"])
    assert code.encode(message) == codeword
    assert code.syndrome_is_zero(codeword).tolist() == [True]
    assert decoded_as_tuple(code.decode_hard(codeword)) == (message, [True], [0], [0], [False])


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC (512,256) encoding")
@pytest.mark.parametrize("case", of_kind("matrix"))
def test_published_generators(case: dict[str, Any]) -> None:
    """Row r of a block of the generator is its first row, each circulant of which is turned right r times."""
    code, size = LdpcCode(case["id"]), case["circulant"]
    for block, first in enumerate(case["G_first_rows"]):
        circulants = bits_of(bytes.fromhex(first), size)
        for turn in range(size):
            information = np.zeros(case["k"], np.uint8)
            information[block * size + turn] = 1
            parity = np.packbits(np.roll(circulants, turn, axis=1)).tobytes()
            message = np.packbits(information).tobytes()
            assert code.encode(message) == message + parity


@pytest.mark.parametrize("case", of_kind("cltu") + of_kind("wrong"))
def test_codewords_of_a_published_cltu(case: dict[str, Any]) -> None:
    """They follow a start sequence of 8 octets, and each is randomized anew."""
    sequence = bytes.fromhex(load_vectors("231.0-B-4/randomizer.toml")[0]["first_16_octets"])
    randomized = bytes.fromhex(case["cltu"])[8:]
    codewords = bytes(octet ^ sequence[i % 16] for i, octet in enumerate(randomized))
    if case["kind"] == "wrong":
        assert TC_LDPC_128_64.syndrome_is_zero(codewords).tolist() == [True, False]
        return
    assert TC_LDPC_128_64.syndrome_is_zero(codewords).all()
    assert TC_LDPC_128_64.decode_hard(codewords).octets.startswith(bytes.fromhex(case["frame"]))


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC (128,64) encoding")
@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC (512,256) encoding")
@pytest.mark.parametrize("code", CODES, ids=str)
def test_encoder_is_that_of_the_twin(code: LdpcCode) -> None:
    information = np.random.default_rng(1).bytes(500 * code.information_octets)
    known = bits_of(information, 8 * code.information_octets)
    expected = known.astype(np.int64) @ TWINS[code].generator % 2
    codewords = code.encode(information)
    assert codewords == np.packbits(expected.astype(np.uint8)).tobytes()
    assert not (expected @ TWINS[code].matrix.T % 2).any()
    damaged = bytearray(codewords)
    damaged[:: code.codeword_octets] = bytes(octet ^ 0x10 for octet in damaged[:: code.codeword_octets])
    assert code.syndrome_is_zero(codewords).all()
    assert not code.syndrome_is_zero(damaged).any()


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC error detection by the syndromes")
@given(st.sampled_from(CODES), st.binary(max_size=512))
def test_syndrome_is_that_of_the_twin(code: LdpcCode, octets: bytes) -> None:
    octets = octets[: len(octets) // code.codeword_octets * code.codeword_octets]
    syndromes = bits_of(octets, 8 * code.codeword_octets).astype(np.int64) @ TWINS[code].matrix.T % 2
    assert code.syndrome_is_zero(octets).tolist() == (~syndromes.any(axis=1)).tolist()


# Decoding


@given(st.sampled_from(CODES), st.data())
@settings(max_examples=50)
def test_decoding_inverts_encoding(code: LdpcCode, data: st.DataObject) -> None:
    words = data.draw(st.integers(0, 40))
    size = words * code.information_octets
    information = data.draw(st.binary(min_size=size, max_size=size))
    codewords = code.encode(information)
    scale = data.draw(st.floats(2.0**-100, 2.0**100, width=32))
    llr = (scale * (1.0 - 2.0 * bits_of(codewords, 8 * code.codeword_octets))).astype(np.float32)
    for decoded in (code.decode_hard(codewords), code.decode_soft(llr)):
        assert decoded.octets == information
        assert decoded.converged.all()
        assert not decoded.iterations.any()
        assert not decoded.corrected_bits.any()


def quantised(llr: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers of one word: 128 stands for the value whose bit pattern is the mean of those of finite magnitudes."""
    magnitude = np.abs(llr)
    counts = np.isfinite(llr) & (magnitude > 0)
    patterns = magnitude[counts].view(np.uint32).astype(np.uint64)
    mean = np.uint32(patterns.sum() // len(patterns)) if len(patterns) else np.float32(1).view(np.uint32)
    scale = 128 / np.float64(mean.view(np.float32))
    with np.errstate(invalid="ignore"):
        scaled = np.clip(np.rint(magnitude.astype(np.float64) * scale), 1, 4095)
    scaled = np.where(np.isinf(magnitude), 16383, scaled)
    return np.where(np.isnan(llr) | (llr == 0), 0, np.where(llr < 0, -scaled, scaled)).astype(np.int64)


def min_sum_twin(matrix: Bits, llr: NDArray[np.float32], limit: int) -> tuple[Bits | None, int]:
    """Layered normalised min-sum on 16-bit integers that saturate: the word found, or None, and iterations used."""
    checks = [np.flatnonzero(row) for row in matrix]
    messages = [np.zeros(len(bits), np.int64) for bits in checks]
    totals = quantised(llr)
    for iteration in range(1, limit + 1):
        for said, bits in zip(messages, checks, strict=True):
            others = np.clip(totals[bits] - said, -32767, 32767)
            for place in range(len(bits)):
                rest = np.delete(others, place)
                least = int(np.abs(rest).min())
                said[place] = (least - least // 4) * (-1) ** int((rest < 0).sum())
            totals[bits] = np.clip(others + said, -32767, 32767)
        found = (totals < 0).astype(np.uint8)
        if totals.all() and not (matrix.astype(np.int64) @ found % 2).any():
            return found, iteration
    return None, limit


def sum_product_twin(matrix: Bits, llr: NDArray[np.float32], limit: int) -> tuple[Bits | None, int]:
    """Flooding sum-product by hyperbolic tangents in double precision."""
    edges = matrix != 0
    received = llr.astype(np.float64)
    said = np.zeros(matrix.shape)
    for iteration in range(1, limit + 1):
        others = np.where(edges, (received + said.sum(axis=0)) - said, 0.0)
        tangents = np.where(edges, np.tanh(np.clip(others, -36, 36) / 2), 1.0)
        rest = np.stack([np.delete(tangents, place, axis=1).prod(axis=1) for place in range(matrix.shape[1])], axis=1)
        said = np.where(edges, 2 * np.arctanh(rest), 0.0)
        found = (received + said.sum(axis=0) < 0).astype(np.uint8)
        if not (matrix.astype(np.int64) @ found % 2).any():
            return found, iteration
    return None, limit


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC decoding from soft symbols: min-sum")
@pytest.mark.parametrize(("code", "ebn0_db", "words"), [(TC_LDPC_128_64, 2.0, 30), (TC_LDPC_512_256, 1.8, 6)])
def test_min_sum_is_that_of_the_twin(code: LdpcCode, ebn0_db: float, words: int) -> None:
    limit = 12
    _, llr = noisy(code, words, ebn0_db, seed=2)
    llr[:, 5] = 0.0
    llr[::3, 9] *= 1e9
    llr[1::3, 10] = np.inf * np.sign(llr[1::3, 10])
    llr[2::3, 11] = np.nan
    decoded = code.decode_soft(llr, maximum_iterations=limit)
    information = bits_of(decoded.octets, 8 * code.information_octets)
    for word, ratios in enumerate(llr):
        found, iterations = min_sum_twin(TWINS[code].matrix, ratios, limit)
        assert (found is not None, iterations) == (decoded.converged[word], decoded.iterations[word])
        expected = (ratios < 0) if found is None else found
        assert (expected[: information.shape[1]] == information[word]).all()
    assert 0 < decoded.converged.sum() < words
    assert_sound(code, (llr < 0).astype(np.uint8), decoded, limit)


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC decoding from soft symbols: sum-product")
@pytest.mark.parametrize(("code", "ebn0_db", "words"), [(TC_LDPC_128_64, 2.0, 40), (TC_LDPC_512_256, 1.9, 3)])
def test_sum_product_is_that_of_the_twin(code: LdpcCode, ebn0_db: float, words: int) -> None:
    limit = 10
    _, llr = noisy(code, words, ebn0_db, seed=3)
    decoded = code.decode_soft(llr, algorithm="sum-product", maximum_iterations=limit)
    information = bits_of(decoded.octets, 8 * code.information_octets)
    for word, ratios in enumerate(llr):
        found, iterations = sum_product_twin(TWINS[code].matrix, ratios, limit)
        assert (found is not None, iterations) == (decoded.converged[word], decoded.iterations[word])
        expected = (ratios < 0) if found is None else found
        assert (expected[: information.shape[1]] == information[word]).all()
    assert 0 < decoded.converged.sum() < words
    assert_sound(code, (llr < 0).astype(np.uint8), decoded, limit)


def nearest_word(code: LdpcCode, llr: NDArray[np.float32], order: int) -> Bits:
    """Ordered statistics by the book: all patterns of up to `order` flips, each re-encoded and correlated."""
    integers = quantised(llr)
    reduced, pivots = TWINS[code].generator.copy(), list[int]()
    for place in np.argsort(-np.abs(integers), kind="stable"):
        rows = np.flatnonzero(reduced[len(pivots) :, place]) + len(pivots)
        if len(rows):
            reduced[[len(pivots), rows[0]]] = reduced[[rows[0], len(pivots)]]
            others = np.flatnonzero(reduced[:, place])
            reduced[others[others != len(pivots)]] ^= reduced[len(pivots)]
            pivots.append(int(place))
        if len(pivots) == len(reduced):
            break
    first = (integers[pivots] < 0).astype(np.int64)
    flips = [np.zeros(len(pivots), np.int64)]
    for _ in range(order):
        flips += [flip | unit for flip in flips for unit in np.eye(len(pivots), dtype=np.int64)]
    candidates = np.unique(np.array(flips) ^ first, axis=0) @ reduced % 2
    return np.asarray(candidates[np.argmax((1 - 2 * candidates) @ integers)], np.uint8)


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC decoding: ordered statistics, as an option")
@pytest.mark.parametrize("order", [0, 1, 2])
def test_ordered_statistics_is_that_of_the_twin(order: int) -> None:
    code = TC_LDPC_128_64
    _, llr = noisy(code, 24, 1.0, seed=4)
    given_up = ~code.decode_soft(llr, maximum_iterations=5).converged
    decoded = code.decode_soft(llr, maximum_iterations=5, ordered_statistics_order=order)
    assert decoded.converged.all()
    assert (decoded.ordered_statistics == given_up).all()
    assert given_up.sum() >= 8
    codewords = bits_of(code.encode(decoded.octets), 128)
    for word in np.flatnonzero(given_up):
        expected, integers = nearest_word(code, llr[word], order), quantised(llr[word])
        correlations = [int((1 - 2 * found.astype(np.int64)) @ integers) for found in (expected, codewords[word])]
        assert correlations[0] == correlations[1]  # there may be two as near
    assert_sound(code, (llr < 0).astype(np.uint8), decoded, 5)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_variants_are_equal_and_words_do_not_mind_their_neighbours(code: LdpcCode) -> None:
    _, llr = noisy(code, 300, 2.2, seed=5)
    llr[::7] = np.where(llr[::7] < 0, -1.0, 1.0)
    expected = _native.Ldpc(code.name, "portable").decode_soft(llr.reshape(-1).data, "min-sum", 30, None)
    for variant in VARIANTS:
        assert _native.Ldpc(code.name, variant).decode_soft(llr.reshape(-1).data, "min-sum", 30, None) == expected
    size = code.information_octets
    for word in range(0, 300, 17):
        alone = code.decode_soft(llr[word : word + 1], maximum_iterations=30)
        assert alone.octets == expected[0][word * size : (word + 1) * size]
    with pytest.raises(ValueError, match="no variant"):
        _native.Ldpc(code.name, "other")


@pytest.mark.parametrize("code", CODES, ids=str)
def test_large_batches_are_the_small_ones_end_to_end(code: LdpcCode) -> None:
    """A call is done by pieces of some thousand words: more than two of them, and a rest."""
    information, llr = noisy(code, 4500, 6.0, seed=6)
    decoded = code.decode_soft(llr)
    assert decoded.octets == information
    parts = [code.decode_soft(llr[start : start + 100]) for start in range(0, 4500, 100)]
    assert (np.concatenate([part.corrected_bits for part in parts]) == decoded.corrected_bits).all()
    assert (np.concatenate([part.iterations for part in parts]) == decoded.iterations).all()
    hard = np.packbits(llr < 0, axis=1).tobytes()
    assert code.decode_hard(hard).octets == b"".join(
        code.decode_hard(hard[start : start + 100 * code.codeword_octets]).octets
        for start in range(0, len(hard), 100 * code.codeword_octets)
    )


def test_threads_do_not_disturb_each_other() -> None:
    work = [(code, noisy(code, 600, 3.0, seed)[1]) for seed, code in enumerate(CODES * 3)]
    one_by_one = [decoded_as_tuple(code.decode_soft(llr, ordered_statistics_order=1)) for code, llr in work]
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(code.decode_soft, llr, ordered_statistics_order=1) for code, llr in work]
        assert [decoded_as_tuple(future.result()) for future in futures] == one_by_one


# What comes in from outside


odd_floats = stn.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(128)), elements=st.floats(width=32))


@given(odd_floats, st.integers(1, 8), st.sampled_from(["min-sum", "sum-product"]), st.sampled_from([None, 0, 1]))
def test_any_ratios_decode(llr: NDArray[np.float32], limit: int, algorithm: Any, order: int | None) -> None:
    code = TC_LDPC_128_64
    decoded = code.decode_soft(llr, algorithm=algorithm, maximum_iterations=limit, ordered_statistics_order=order)
    received = (llr < 0).astype(np.uint8)
    if order is None:
        assert_sound(code, received, decoded, limit)
    else:  # words are given up after the last iteration, whatever becomes of them then
        codewords = bits_of(code.encode(decoded.octets), 128)
        assert (
            decoded.corrected_bits[decoded.converged] == (codewords != received).sum(axis=1)[decoded.converged]
        ).all()


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC decoding from hard decisions")
@given(st.sampled_from(CODES), st.binary(max_size=256), st.integers(1, 30))
def test_any_octets_decode_or_are_cut_short(code: LdpcCode, octets: bytes, limit: int) -> None:
    whole = len(octets) // code.codeword_octets * code.codeword_octets
    if whole != len(octets):
        for call in (code.decode_hard, code.syndrome_is_zero):
            with pytest.raises(TruncatedError, match="code word has") as caught:
                call(octets)
            assert caught.value.octet_offset == len(octets)
    received = bytearray(octets[:whole])
    decoded = code.decode_hard(received, maximum_iterations=limit)
    assert_sound(code, bits_of(octets[:whole], 8 * code.codeword_octets), decoded, limit)
    soft = code.decode_soft(1.0 - 2.0 * bits_of(received, 8 * code.codeword_octets), maximum_iterations=limit)
    assert decoded_as_tuple(soft) == decoded_as_tuple(decoded)
    assert received == octets[:whole]


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan])
@pytest.mark.parametrize("code", CODES, ids=str)
def test_what_says_nothing_is_not_decoded(code: LdpcCode, value: float) -> None:
    """Zero ratios would else be the code word of zeros, and a dead receiver would send commands."""
    llr = np.full((2, 8 * code.codeword_octets), value, np.float32)
    decoded = code.decode_soft(llr, ordered_statistics_order=2)
    assert not decoded.converged.any()
    assert not any(decoded.octets)


def test_erasures_are_filled_and_certain_bits_are_believed() -> None:
    code = TC_LDPC_512_256
    information, llr = noisy(code, 50, 9.0, seed=7)
    llr[:, ::8] = np.nan
    decoded = code.decode_soft(llr)
    assert decoded.octets == information
    assert decoded.iterations.all()
    information, llr = noisy(code, 300, 1.5, seed=8)
    sent = bits_of(code.encode(information), 512)
    helped = llr.copy()
    helped[:, :128] = np.where(sent[:, :128] == 1, -np.inf, np.inf)
    assert wrong_words(code, information, code.decode_soft(helped)).sum() < 5
    assert wrong_words(code, information, code.decode_soft(llr)).sum() > 100


def test_other_arrays_are_converted() -> None:
    code = TC_LDPC_128_64
    information, llr = noisy(code, 5, 6.0, seed=9)
    for array in (llr.astype(np.float64), np.asfortranarray(llr), np.rint(llr).astype(np.int8), llr.tolist()):
        assert code.decode_soft(array).octets == information
    assert code.decode_soft(llr.astype(np.float64) * 1e300).octets == information
    read_only = llr.copy()
    read_only.flags.writeable = False
    assert code.decode_soft(read_only).octets == information
    assert code.decode_soft(llr[:0]).octets == b""


@pytest.mark.parametrize("shape", [(128,), (0,), (1, 127), (2, 64), (1, 1, 128), ()])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"llr has shape \(n, 128\)"):
        TC_LDPC_128_64.decode_soft(np.zeros(shape, np.float32))


def test_wrong_use_is_refused() -> None:
    code = TC_LDPC_128_64
    with pytest.raises(EncodeError, match="9 octets are not a whole number of blocks of 8"):
        code.encode(bytes(9))
    for options, message in (
        ({"algorithm": "best"}, "algorithm is"),
        ({"maximum_iterations": 0}, "maximum_iterations is"),
        ({"maximum_iterations": 1001}, "maximum_iterations is"),
        ({"ordered_statistics_order": -1}, "ordered_statistics_order is"),
        ({"ordered_statistics_order": 5}, "ordered_statistics_order is"),
    ):
        wrong: dict[str, Any] = options
        with pytest.raises(ConfigurationError, match=message):
            code.decode_hard(bytes(16), **wrong)
        with pytest.raises(ConfigurationError, match=message):
            code.decode_soft(np.zeros((1, 128)), **wrong)
    with pytest.raises(ConfigurationError, match="tc-512-256: ordered_statistics_order is 0 to 2"):
        TC_LDPC_512_256.decode_hard(b"", ordered_statistics_order=3)
    with pytest.raises(ConfigurationError, match="no code"):
        LdpcCode("tc-256-128")  # type: ignore[arg-type]


def test_codes_are_values() -> None:
    assert pickle.loads(pickle.dumps(TC_LDPC_128_64)) == TC_LDPC_128_64 == LdpcCode("tc-128-64")
    assert len({TC_LDPC_128_64, LdpcCode("tc-128-64"), TC_LDPC_512_256}) == 2
    assert (repr(TC_LDPC_128_64), TC_LDPC_128_64.name) == ("LdpcCode('tc-128-64')", "tc-128-64")
    assert [(code.information_octets, code.codeword_octets) for code in CODES] == [(8, 16), (32, 64)]


# Performance


def tolerated(words: int, rate: float) -> float:
    """Five standard deviations of a count of errors, and one more."""
    return 5 * float(np.sqrt(words * rate * (1 - rate))) + 1


@pytest.mark.conforms("CCSDS 231.0-B-4", "4", "LDPC decoding: codeword error rates as published")
@pytest.mark.parametrize("case", [case for case in of_kind("performance") if case.values[0]["cwer"] > 0.01])
def test_codeword_error_rate(case: dict[str, Any]) -> None:
    """Sum-product as simulated by somebody else; min-sum no worse, and no better than a gain of 0.3 dB would be."""
    code = LdpcCode(case["code"])
    words = 2500 if code == TC_LDPC_128_64 else 250
    information, llr = noisy(code, words, case["ebno_db"], seed=10)
    reference = code.decode_soft(llr, algorithm="sum-product")
    errors = int(wrong_words(code, information, reference).sum())
    uncertainty = 5 * np.sqrt(case["codeword_errors"]) * words / case["frames"]
    assert abs(errors - words * case["cwer"]) < tolerated(words, case["cwer"]) + uncertainty
    fast = int(wrong_words(code, information, code.decode_soft(llr)).sum())
    assert errors / 3 - 5 <= fast <= errors + 3 * np.sqrt(errors) + 3


def test_gain_of_ordered_statistics() -> None:
    """About 1 dB: at 3 dB fewer than a fifth of the words that min-sum loses, nearly as good as the nearest word."""
    code = TC_LDPC_128_64
    information, llr = noisy(code, 8000, 3.0, seed=11)
    without = wrong_words(code, information, code.decode_soft(llr)).sum()
    decoded = code.decode_soft(llr, ordered_statistics_order=3)
    wrong = wrong_words(code, information, decoded)
    assert decoded.converged.all()
    assert without > 250
    assert wrong.sum() < without / 5
