"""Code word error rates of the LDPC codes of telecommand: BPSK and white noise, random information, a fixed seed.

Prints the tables of docs/units/ldpc.md.  A rate is of words not delivered as sent, given up or wrong; beside it stands
how many were seen, and, after "u", how many of them were wrong without the decoder knowing.
"""

from __future__ import annotations

import numpy as np

from ccsds.coding.ldpc import TC_LDPC_128_64, TC_LDPC_512_256, LdpcCode

ENOUGH = 200
"""Words in error after which a point is done."""
DECODERS = {
    "min-sum": ({}, 1_000_000),
    "sum-product": ({"algorithm": "sum-product"}, 10_000),
    "min-sum, then ordered statistics": ({"ordered_statistics_order": 3}, 200_000),
}
"""Options, and the most words of 128 bits; of 512 bits it is a fifth."""
POINTS = {TC_LDPC_128_64: (2.0, 3.0, 4.0, 5.0), TC_LDPC_512_256: (1.5, 2.0, 2.5, 3.0, 3.5)}


def error_rate(code: LdpcCode, ebn0_db: float, options: dict[str, object], most: int) -> str:
    """Decode until there are errors enough, or words."""
    source = np.random.default_rng(231)
    deviation = np.float32(10 ** (-ebn0_db / 20))
    bits, batch = 8 * code.codeword_octets, 2000
    words = errors = undetected = 0
    while words < most and errors < ENOUGH:
        information = source.bytes(batch * code.information_octets)
        sent = np.unpackbits(np.frombuffer(code.encode(information), np.uint8)).reshape(batch, bits)
        received = 1 - 2 * sent.astype(np.float32) + deviation * source.standard_normal(sent.shape, np.float32)
        decoded = code.decode_soft(2 * received / deviation**2, **options)  # type: ignore[arg-type]
        shape = (batch, code.information_octets)
        expected, found = (np.frombuffer(octets, np.uint8).reshape(shape) for octets in (information, decoded.octets))
        wrong = (expected != found).any(axis=1)
        words += batch
        errors += int((wrong | ~decoded.converged).sum())
        undetected += int((wrong & decoded.converged).sum())
    rate = f"{errors / words:.1e}" if errors else f"below {1 / words:.0e}"
    unknown = f", u {undetected}" if undetected else ""
    return f"{rate} ({errors} of {words:_}{unknown})".replace("_", " ")


def main() -> None:
    for code, points in POINTS.items():
        print(f"\n{code}\n\n| Eb/N0, dB | {' | '.join(DECODERS)} |\n|---:|{'---|' * len(DECODERS)}", flush=True)
        for ebn0_db in points:
            cells = []
            for options, most in DECODERS.values():
                given = dict(options)
                if code == TC_LDPC_512_256 and "ordered_statistics_order" in given:
                    given["ordered_statistics_order"] = 2
                cells.append(error_rate(code, ebn0_db, given, most if code == TC_LDPC_128_64 else most // 5))
            print(f"| {ebn0_db} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
