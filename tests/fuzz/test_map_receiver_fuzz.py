"""A few seconds of the fuzzing of TC and USLP receiving; `python tests/fuzz/map_receiver.py` goes on for longer."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path


def test_drawn_profiles_and_frames_break_no_rule() -> None:
    spec = importlib.util.spec_from_file_location("fuzz_map_receiver", Path(__file__).with_name("map_receiver.py"))
    assert spec is not None
    assert spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fuzz
    spec.loader.exec_module(fuzz)
    kinds: Counter[str] = Counter()
    for number in fuzz.inputs(7, 5):
        kind, _ = fuzz.run_one(number)
        kinds[kind] += 1
    assert kinds["oracle"] > 5
    assert kinds["stream"] > 5
