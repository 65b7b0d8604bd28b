"""Some seconds of the fuzzing of captures, a minute in CI; `python tests/fuzz/captures.py` goes on for longer."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path


def test_damaged_captures_break_no_rule() -> None:
    spec = importlib.util.spec_from_file_location("fuzz_captures", Path(__file__).with_name("captures.py"))
    assert spec is not None
    assert spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fuzz
    spec.loader.exec_module(fuzz)
    kinds: Counter[str] = Counter()
    for number in fuzz.inputs(7, 60 if os.environ.get("CI") == "true" else 5):
        kind, _ = fuzz.run_one(number)
        kinds[kind] += 1
    for wanted in ("whole", "cut", "units", "units, refused", "octets", "octets, refused", "gzip, refused"):
        assert kinds[wanted] > 5, wanted
