"""Belief propagation decoders of others.  Runs in the peer's own environment.

Usage: peers_ldpc.py PEER FILE soft|hard.  FILE is an .npz with `matrix` (parity checks), `ratios` (float32, a word a
row) and `sent` (bits).  Prints JSON: words, median seconds, words in error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import harness
import numpy as np


def ldpc(matrix: Any, ratios: Any, kind: str) -> Callable[[], Any]:
    """BpDecoder, scaled min-sum, serial schedule; it takes one word a call, soft ones as probabilities of error."""
    from ldpc import BpDecoder

    options = {"max_iter": 50, "bp_method": "minimum_sum", "ms_scaling_factor": 0.75, "schedule": "serial"}
    decoder = BpDecoder(matrix, error_rate=0.05, input_vector_type="received_vector", **options)
    received = (ratios < 0).astype(np.uint8)
    if kind == "hard":
        return lambda: [decoder.decode(word) for word in received]
    probabilities = 1 / (1 + np.exp(np.abs(ratios.astype(np.float64))))

    def soft() -> list[Any]:
        found = []
        for word, chances in zip(received, probabilities, strict=True):
            decoder.update_channel_probs(chances)
            found.append(decoder.decode(word))
        return found

    return soft


PEERS = {"ldpc": ldpc}


def main(peer: str, path: str, kind: str) -> None:
    given = np.load(path)
    work = PEERS[peer](given["matrix"], given["ratios"], kind)
    errors = int((np.array(work()) != given["sent"]).any(axis=1).sum())
    words = len(given["sent"])
    measured = harness.measure(work, words, seconds=1.0)
    print(json.dumps({"words": words, "seconds": measured.median, "errors": errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
