"""LDPC codes of telecommand: encode, check, decode hard and soft, each variant next to a peer of the same run."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import harness
import numpy as np

from ccsds import _native
from ccsds.coding.ldpc import TC_LDPC_128_64, TC_LDPC_512_256, LdpcCode
from ccsds.testing import load_vectors

WORDS = 20_000
PEER_WORDS = 1000
SECONDS = 0.5
EBN0_DB = 4.0
BIT_ERROR_RATE = 1e-3
TITLE = "LDPC codes of telecommand"
INCLUDED = f"""`benchmarks/ldpc_codes.py`.  Thousand code words/s; the note has the same as Mbit/s of information.
{WORDS} words a call of what the Python face calls, its result included; at most 50 iterations.  Encoding: a product of
bits with the generator matrix in numpy stands beside it, float32, packing not counted.  Decoding: `ldpc` 2.4.1,
BpDecoder in C++ with the same algorithm (min-sum scaled by 0.75, serial schedule), which takes a word a call;
{PEER_WORDS} words.  Hard: bit error rate {BIT_ERROR_RATE}; soft: Eb/N0 {EBN0_DB:g} dB."""
HERE = Path(__file__).resolve().parent

Work = Callable[[], object]


def matrices(code: LdpcCode) -> tuple[Any, Any]:
    """Parity check matrix from the published table, generator matrix from the encoder."""
    cases = load_vectors("231.0-B-4/ldpc.toml")
    case = next(case for case in cases if case["kind"] == "matrix" and case["id"] == code.name)
    identity = np.eye(case["circulant"], dtype=np.uint8)
    zero = np.zeros_like(identity)
    blocks = [[sum((np.roll(identity, s, axis=1) for s in shifts), zero) for shifts in row] for row in case["H"]]
    units = np.packbits(np.eye(case["k"], dtype=np.uint8)).tobytes()
    generator = np.unpackbits(np.frombuffer(code.encode(units), np.uint8)).reshape(case["k"], case["n"])
    return np.block(blocks), generator


def peer_rate(matrix: Any, ratios: Any, sent: Any, kind: str) -> tuple[float, int]:
    """Thousand words per second, and words in error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.npz"
        np.savez(path, matrix=matrix, ratios=ratios[:PEER_WORDS], sent=sent[:PEER_WORDS])
        result = harness.run_peer(HERE / "peers_ldpc.py", "ldpc", str(path), kind)
    return result["words"] / result["seconds"] / 1e3, result["errors"]


def add(report: harness.Report, code: LdpcCode, case: str, ours: dict[str, Work], peer: str, theirs: Any) -> None:
    for variant, work in ours.items():
        rate = harness.measure(work, WORDS / 1e3, seconds=SECONDS).rate
        note = f"{variant}, {rate * 8e-3 * code.information_octets:.0f} Mbit/s"
        report.rows.append(harness.Row(f"{code.name} {case}", "kword/s", rate, peer, theirs, note))


def measure(report: harness.Report, code: LdpcCode, peers: bool) -> None:
    source = np.random.default_rng(1)
    information = source.bytes(WORDS * code.information_octets)
    codewords = code.encode(information)
    bits = 8 * code.codeword_octets
    sent = np.unpackbits(np.frombuffer(codewords, np.uint8)).reshape(WORDS, bits)
    matrix, generator = matrices(code)

    known = sent[:, : 8 * code.information_octets].astype(np.float32)
    by_product = partial(np.matmul, known, generator.astype(np.float32))
    assert (by_product() % 2 == sent).all()
    product = harness.measure(by_product, WORDS / 1e3, seconds=SECONDS).rate
    add(report, code, "encode", {"-": partial(code.encode, information)}, f"numpy {np.__version__}", product)
    add(report, code, "check syndromes", {"-": partial(code.syndrome_is_zero, codewords)}, "", None)

    variance = 10 ** (-EBN0_DB / 10)
    noisy = 1 - 2.0 * sent + source.normal(0, np.sqrt(variance), sent.shape)
    soft = (2 * noisy / variance).astype(np.float32)
    flipped = np.where(source.random(sent.shape) < BIT_ERROR_RATE, 1 - sent, sent)
    hard = np.packbits(flipped).tobytes()
    kernels = {name: _native.Ldpc(code.name, name) for name in _native.ldpc_variants()}
    for kind, ratios in (("hard", 1 - 2 * flipped.astype(np.float32)), ("soft", soft)):
        theirs, name = None, ""
        if peers:
            try:
                theirs, errors = peer_rate(matrix, ratios, sent, kind)
                name = f"ldpc 2.4.1 ({errors} of {PEER_WORDS} wrong)"
            except harness.PeerError as error:
                name = f"ldpc: {error}"
        buffer = hard if kind == "hard" else soft.reshape(-1).data
        works: dict[str, Work] = {
            variant: partial(getattr(kernel, f"decode_{kind}"), buffer, "min-sum", 50, None)
            for variant, kernel in kernels.items()
        }
        add(report, code, f"decode {kind}", works, name, theirs)


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    for code in (TC_LDPC_128_64, TC_LDPC_512_256):
        measure(report, code, peers=not arguments.no_peers)
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
