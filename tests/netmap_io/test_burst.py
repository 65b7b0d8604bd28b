"""Burst: columns that fit, slices that share, joins that own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst
from netmap_io.burst import join


@given(st.lists(st.binary(max_size=20)), st.integers(-60, 60), st.integers(-60, 60))
def test_indexing_is_a_list_s(frames, start, stop):
    burst = Burst.of(frames)
    assert [bytes(frame) for frame in burst] == frames
    assert [bytes(frame) for frame in burst[start:stop]] == frames[start:stop]
    assert len(burst) == len(frames) and burst.octets == sum(map(len, frames))
    if frames:
        assert bytes(burst[-1]) == frames[-1]
    with pytest.raises(IndexError):
        burst[len(frames)]
    assert join([burst[: len(frames) // 2], burst[len(frames) // 2 :]]) == burst
    assert burst.copy() == burst


@pytest.mark.parametrize(
    "columns",
    [
        {"offsets": []},
        {"offsets": [0, 4]},
        {"offsets": [2, 1]},
        {"offsets": [0, 2], "timestamps_ns": [1, 2]},
        {"offsets": [0, 2], "original_lengths": [1]},
        {"offsets": [0, 2], "link_types": [1, 2]},
        {"offsets": [0, 2], "interfaces": []},
    ],
)
def test_columns_that_do_not_fit_are_refused(columns):
    with pytest.raises(ValueError):
        Burst(b"abc", **columns)


def test_annotations_follow_their_frames():
    burst = Burst.of([b"a", b"b", b"c"], annotations=[(0, 1, b"first"), (2, 1, b"\xff")])
    assert burst.comments == {0: ["first"], 2: ["\ufffd"]}
    assert burst[1:].annotations == [(1, 1, b"\xff")]
    assert join([burst, burst]).annotations[2:] == [(3, 1, b"first"), (5, 1, b"\xff")]


def test_a_burst_cannot_be_written_through():
    own = bytearray(b"abc")
    burst = Burst(own, [0, 3])
    with pytest.raises(TypeError):
        burst[0][0] = 1
    assert burst.original_lengths.dtype == np.uint32 and burst.offsets.dtype == np.uint64
