"""Batches own octets that behave as octets do: they can be sliced, and sent to another process."""

from __future__ import annotations

import pickle

import pytest

from ccsds.link.receiver import receive
from ccsds.testing.impaired_stream import FrameType, TransmitterParameters, VirtualChannelTraffic, transmit
from ccsds.testing.receiving_end import ReceiverSettings, channel_of


def test_what_a_feed_gave_can_be_sliced_and_pickled() -> None:
    traffic = (VirtualChannelTraffic(virtual_channel_id=1),)
    parameters = TransmitterParameters(frame_type=FrameType.TM, spacecraft_id=1, virtual_channels=traffic)
    sent = transmit(parameters, seed=3, frames=50)
    reception = receive(sent.octets, channel_of(sent.parameters, ReceiverSettings()))
    assert reception.frames is not None
    packets, octets = reception.packets, reception.packets.octets
    start, end = int(packets.starts[2]), int(packets.ends[2])
    assert bytes(octets[start:end]) == packets[2].encode()
    assert (octets[start], octets[-1]) == (octets[start:end][0], bytes(octets)[-1])
    with pytest.raises(IndexError):
        octets[len(octets)]
    again, frames = pickle.loads(pickle.dumps((packets, reception.frames)))
    assert again.to_bytes() == packets.to_bytes()
    assert again["application_process_id"].tolist() == packets["application_process_id"].tolist()
    assert (frames.octets == reception.frames.octets).all()
    assert frames.concatenate([frames, frames])[0] == reception.frames[0]
