"""Channel coding of the simulated transmitter: Reed-Solomon, randomizers, check sequences.

Written from the published figures alone, so that it can judge the receiving chain: it shares no code with it.
Source: CCSDS 131.0-B-5; field and generator as in 131.0-B-2 4.3.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ccsds.testing.transmitter.parameters import Randomizer, ReedSolomon

__all__ = [
    "frame_error_control",
    "frame_header_error_control",
    "idle_data",
    "is_correctable",
    "randomizer_octets",
    "reed_solomon_check_symbols",
    "to_conventional",
    "to_dual",
]

OctetArray: TypeAlias = NDArray[np.uint8]

FIELD_POLYNOMIAL = 0x187  # x^8 + x^7 + x^2 + x + 1
ROOT_STEP = 11  # roots of the generator are powers of alpha^11
CHUNK_CODEWORDS = 4096  # keeps the running check symbols in the second-level cache

# Row r: dual-basis octet of alpha^(7-r) (131.0-B-2 annex F).
DUAL_BASIS_ROWS = bytes.fromhex("8defec86fa99af7b")


def _field_tables() -> tuple[list[int], list[int]]:
    antilogarithms, logarithms = [0] * 510, [0] * 256
    value = 1
    for exponent in range(255):
        antilogarithms[exponent] = antilogarithms[exponent + 255] = value
        logarithms[value] = exponent
        value <<= 1
        if value & 0x100:
            value ^= FIELD_POLYNOMIAL
    return antilogarithms, logarithms


ANTILOGARITHMS, LOGARITHMS = _field_tables()
_POWERS = np.array(ANTILOGARITHMS[:255], dtype=np.uint8)


def _multiply(a: int, b: int) -> int:
    return ANTILOGARITHMS[LOGARITHMS[a] + LOGARITHMS[b]] if a and b else 0


def _dual_table() -> bytes:
    table = []
    for conventional in range(256):
        dual = 0
        for row in range(8):
            if conventional >> (7 - row) & 1:
                dual ^= DUAL_BASIS_ROWS[row]
        table.append(dual)
    return bytes(table)


to_dual = _dual_table()
"""Dual-basis octet of each conventional octet."""
to_conventional = bytes(to_dual.index(dual) for dual in range(256))
"""Conventional octet of each dual-basis octet."""


@lru_cache(maxsize=4)
def generator_polynomial(correctable_symbols: int) -> tuple[int, ...]:
    """Coefficients of the code generator, highest power first."""
    coefficients = [1]
    for power in range(128 - correctable_symbols, 128 + correctable_symbols):
        root = ANTILOGARITHMS[ROOT_STEP * power % 255]
        shifted = [*coefficients, 0]
        for index, coefficient in enumerate(coefficients):
            shifted[index + 1] ^= _multiply(coefficient, root)
        coefficients = shifted
    return tuple(coefficients)


@lru_cache(maxsize=4)
def _check_symbol_table(correctable_symbols: int, dual_basis: bool) -> OctetArray:
    """Check symbols of a lone octet: shape (position in the codeword, octet, 2E)."""
    generator = generator_polynomial(correctable_symbols)
    checks = 2 * correctable_symbols
    rows = [list(generator[1:])]  # x^2E modulo the generator: the last information symbol
    while len(rows) < 255 - checks:
        previous = rows[-1]
        shifted = [*previous[1:], 0]
        rows.append([_multiply(previous[0], generator[i + 1]) ^ shifted[i] for i in range(checks)])
    remainders = np.array(rows[::-1], dtype=np.uint8)
    antilogarithms, logarithms = np.array(ANTILOGARITHMS, np.uint8), np.array(LOGARITHMS, np.int16)
    octets = np.frombuffer(to_conventional if dual_basis else bytes(range(256)), dtype=np.uint8)
    products = antilogarithms[logarithms[octets][None, :, None] + logarithms[remainders][:, None, :]]
    products[:, octets == 0, :] = 0
    products[np.broadcast_to((remainders == 0)[:, None, :], products.shape)] = 0
    table: OctetArray = np.frombuffer(to_dual, dtype=np.uint8)[products] if dual_basis else products
    return table


def reed_solomon_check_symbols(frames: OctetArray, code: ReedSolomon) -> OctetArray:
    """The check symbols of each frame, interleaved as they are sent.

    Args: frames: uint8, shape (frames, code.information_octets).
    Returns: uint8, shape (frames, code.check_octets).
    """
    depth, checks = code.interleaving_depth, 2 * code.correctable_symbols
    # Leading zeros of a shortened codeword change nothing: only the last positions of the table are needed.
    length = code.information_octets // depth
    table = _check_symbol_table(code.correctable_symbols, code.dual_basis)[-length:].view(np.uint64)
    columns = np.ascontiguousarray(frames.reshape(len(frames), length, depth).transpose(1, 0, 2)).reshape(length, -1)
    words = columns.shape[1]
    sums = np.zeros((words, checks // 8), dtype=np.uint64)
    for first in range(0, words, CHUNK_CODEWORDS):
        part = sums[first : first + CHUNK_CODEWORDS]
        for position in range(length):
            part ^= table[position][columns[position, first : first + CHUNK_CODEWORDS]]
    symbols = sums.view(np.uint8).reshape(len(frames), depth, checks)
    return np.ascontiguousarray(symbols.transpose(0, 2, 1)).reshape(len(frames), depth * checks)


def is_correctable(errors: Mapping[int, int], correctable_symbols: int) -> bool:
    """True where a decoder that corrects up to E symbols finds a codeword after these errors, the right one or not.

    Args: errors: position in the codeword of 255 symbols (0 is sent first) to the error there, in the
          conventional basis.  The code is linear: what was sent does not matter.
    """
    places = np.array([position for position, error in errors.items() if error], dtype=np.int64)
    logarithms = np.array([LOGARITHMS[error] for error in errors.values() if error], dtype=np.int64)
    powers = np.arange(128 - correctable_symbols, 128 + correctable_symbols)
    terms = _POWERS[(logarithms + ROOT_STEP * powers[:, None] * (254 - places)) % 255]
    locator, length = _shortest_register(np.bitwise_xor.reduce(terms, axis=1).tolist())
    if length > correctable_symbols:
        return False
    degrees = np.array([degree for degree, coefficient in enumerate(locator) if coefficient], dtype=np.int64)
    logarithms = np.array([LOGARITHMS[coefficient] for coefficient in locator if coefficient], dtype=np.int64)
    values = np.bitwise_xor.reduce(_POWERS[(logarithms + np.arange(255)[:, None] * degrees) % 255], axis=1)
    return int(np.count_nonzero(values == 0)) == length


def _shortest_register(syndromes: list[int]) -> tuple[list[int], int]:
    """The shortest feedback register that makes `syndromes` (Berlekamp and Massey): (coefficients, length)."""
    current, before = [1], [1]
    length, gap, discrepancy_before = 0, 1, 1
    for index, syndrome in enumerate(syndromes):
        discrepancy = syndrome
        for power in range(1, min(length, len(current) - 1) + 1):
            discrepancy ^= _multiply(current[power], syndromes[index - power])
        if not discrepancy:
            gap += 1
            continue
        inverse = ANTILOGARITHMS[255 - LOGARITHMS[discrepancy_before]]
        scale = _multiply(discrepancy, inverse)
        changed = current + [0] * max(0, len(before) + gap - len(current))
        for power, coefficient in enumerate(before):
            changed[power + gap] ^= _multiply(scale, coefficient)
        if 2 * length <= index:
            before, length, discrepancy_before, gap = current, index + 1 - length, discrepancy, 1
        else:
            gap += 1
        current = changed
    return current, length


@lru_cache(maxsize=16)
def randomizer_octets(kind: Randomizer, octets: int) -> bytes:
    """The first octets of the sequence that is added to each codeblock; the generator restarts at every marker."""
    if kind is Randomizer.NONE:
        return bytes(octets)
    if kind is Randomizer.SHORT:  # x^8 + x^7 + x^5 + x^3 + 1, all ones
        bits = [1] * 8
        for index in range(octets * 8 - 8):
            bits.append(bits[index] ^ bits[index + 3] ^ bits[index + 5] ^ bits[index + 7])
    else:  # x^17 + x^14 + 1; of the printed seed the rightmost bit leaves first
        bits = [int(bit) for bit in reversed("11000111000111000")]
        for index in range(octets * 8 - 17):
            bits.append(bits[index] ^ bits[index + 14])
    return np.packbits(np.array(bits[: octets * 8], dtype=np.uint8)).tobytes()


@lru_cache(maxsize=2)
def idle_data(octets: int) -> bytes:
    """The fill of only-idle-data frames, 1+D+D^2+D^22+D^32 from all ones (132.0-B-3 annex D).

    The bits obey s[n+32] = s[n] + s[n+10] + s[n+30] + s[n+31], and so do all bits at a distance that is a
    power of two times this one: the sequence is made in blocks that double.
    """
    bits = [1] * 32
    for index in range(32 * 8 - 32):
        bits.append(bits[index] ^ bits[index + 10] ^ bits[index + 30] ^ bits[index + 31])
    sequence = np.zeros(max(octets, 32), dtype=np.uint8)
    sequence[:32] = np.packbits(np.array(bits, dtype=np.uint8))
    done = 32
    while done < octets:
        block = 1 << ((done // 32).bit_length() - 1)
        take = min(block, octets - done)
        start = done - 32 * block
        new = sequence[start : start + take].copy()
        for cell in (10, 30, 31):
            new ^= sequence[start + cell * block : start + cell * block + take]
        sequence[done : done + take] = new
        done += take
    return sequence[:octets].tobytes()


def frame_error_control(octets: bytes) -> int:
    """The 16-bit check sequence of `octets`; 0 where they end in their own (132.0-B-3 4.1.6)."""
    return binascii.crc_hqx(octets, 0xFFFF)


def _nibble_multiply(a: int, b: int) -> int:
    """The product in GF(16) with x^4 + x + 1."""
    product = 0
    for bit in range(4):
        if b >> bit & 1:
            product ^= a << bit
    for bit in (6, 5, 4):
        if product >> bit & 1:
            product ^= 0b10011 << (bit - 4)
    return product


@lru_cache(maxsize=4096)
def frame_header_error_control(first_octets: int, last_octet: int) -> int:
    """The AOS frame header error control of header octets 0, 1 (as one number) and 5 (732.0-B-5 4.1.2.6)."""
    generator = (8, 2, 8, 1)  # x^4 + a^3 x^3 + a x^2 + a^3 x + 1
    covered = first_octets << 8 | last_octet
    remainder = [0, 0, 0, 0]
    for shift in range(20, -4, -4):
        feedback = remainder[0] ^ (covered >> shift & 15)
        remainder = [_nibble_multiply(feedback, generator[i]) ^ (remainder[i + 1] if i < 3 else 0) for i in range(4)]
    return remainder[0] << 12 | remainder[1] << 8 | remainder[2] << 4 | remainder[3]
