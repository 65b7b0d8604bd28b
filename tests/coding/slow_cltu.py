"""The receiving end of a telecommand channel by the letter, one bit at a time, on strings of 0 and 1: the oracle."""

from __future__ import annotations

GENERATOR = 0b1100_0101  # x^7 + x^6 + x^2 + 1
START = f"{0xEB90:016b}"
TAIL = f"{0xC5C5C5C5C5C5C579:064b}"
INVERTED = str.maketrans("01", "10")

Found = tuple[bytes, int, int, int, int, int, bool, int]


def bits_of(octets: bytes) -> str:
    return "".join(f"{octet:08b}" for octet in octets)


def octets_of(bits: str) -> bytes:
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def differing(a: str, b: str) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def parity(information: str) -> str:
    """Seven bits: the remainder of the information times x^7, complemented."""
    value = int(information, 2) << 7
    for bit in range(62, 6, -1):
        if value >> bit & 1:
            value ^= GENERATOR << (bit - 7)
    return f"{value:07b}".translate(INVERTED)


def is_codeword(bits63: str) -> bool:
    return parity(bits63[:56]) == bits63[56:]


def flipped(bits: str, at: int) -> str:
    return bits[:at] + bits[at].translate(INVERTED) + bits[at + 1 :]


def decode_block(block: str, correct: bool) -> tuple[str, int] | None:
    """Information and bits corrected; None: rejected."""
    word = block[:63]
    if is_codeword(word):
        return word[:56], 0
    if correct:
        for at in range(63):
            if is_codeword(flipped(word, at)):
                return flipped(word, at)[:56], 1
    return None


def randomizer(length: int) -> str:
    register, out = [1] * 8, ""
    for _ in range(length):
        out += str(register[0])
        register = [*register[1:], sum(register[i] for i in (0, 1, 2, 3, 4, 6)) % 2]
    return out


def start_at(bits: str, at: int, tolerated: int, accept_inverted: bool) -> tuple[int, bool] | None:
    errors = differing(bits[at : at + 16], START)
    if errors <= tolerated:
        return errors, False
    if accept_inverted and 16 - errors <= tolerated:
        return 16 - errors, True
    return None


def receive(
    bits: str, *, correct: bool, tolerated: int, accept_inverted: bool, derandomize: bool, most: int
) -> list[Found]:
    """All CLTUs of a stream that ends: octets, first bit, end, codewords, corrected, start errors, inverted, why."""
    found: list[Found] = []
    at = 0
    while at + 16 <= len(bits):
        start = start_at(bits, at, tolerated, accept_inverted)
        if start is None:
            at += 1
            continue
        unit = receive_one(bits, at, start, correct, derandomize, most)
        if unit is None:
            at += 1
            continue
        found.append(unit[0])
        at = unit[1]
    return found


def receive_one(
    bits: str, begin: int, start: tuple[int, bool], correct: bool, derandomize: bool, most: int
) -> tuple[Found, int] | None:
    errors, inverted = start
    information, corrected, codewords, at = "", 0, 0, begin + 16
    end = 5
    while at + 64 <= len(bits):
        block = bits[at : at + 64].translate(INVERTED) if inverted else bits[at : at + 64]
        decoded = decode_block(block, correct)
        if decoded is None:
            end = 1 if differing(block, TAIL) <= 8 else 2
            break
        if codewords == most:
            end = 3
            break
        information += decoded[0]
        corrected += decoded[1]
        codewords += 1
        at += 64
    if not codewords:
        return None
    if derandomize:
        sequence = randomizer(len(information))
        information = "".join(str(int(a != b)) for a, b in zip(information, sequence, strict=True))
    at += 64 * (end == 1)
    search_from = len(bits) if end == 5 else at
    return (octets_of(information), begin, at, codewords, corrected, errors, inverted, end), search_from
