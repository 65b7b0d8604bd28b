//! TC and USLP frames of variable length: any octets, any cut, and the search for the next frame.

use std::collections::HashMap;

use ccsds_link::batch::Batch;
use ccsds_link::chain::ReceivingChain;
use ccsds_link::parameters::{FrameType, MasterChannel, PhysicalChannel, VirtualChannel};

/// A small generator: no more is needed to draw octets.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn channel(frame_type: FrameType, frame_error_control: bool, variable: bool) -> PhysicalChannel {
    let virtual_channel =
        VirtualChannel { segment_header: true, truncated_frame_octets: Some(9), ..VirtualChannel::default() };
    let master = MasterChannel { default: virtual_channel, virtual_channels: HashMap::new() };
    PhysicalChannel {
        frame_type,
        frame_octets: 64,
        variable_frame_length: variable && frame_type == FrameType::Uslp,
        synchronizer: None,
        randomizer: None,
        reed_solomon: None,
        deinterleaving_depth: 1,
        frame_error_control,
        frame_error_control_octets: 2,
        header_error_control: None,
        insert_zone_octets: 0,
        issue_5: true,
        late_frame_window: 64,
        master_channels: HashMap::from([(9, master)]),
        any_master_channel: MasterChannel::default(),
        deliver_idle_packets: true,
        digest: true,
    }
}

fn tc_frame(number: u8, data: &[u8], check: bool) -> Vec<u8> {
    let length = 5 + data.len() + if check { 2 } else { 0 } - 1;
    let mut frame = vec![0, 9, (1 << 2) | (length >> 8) as u8, length as u8, number];
    frame.extend_from_slice(data);
    if check {
        frame.extend_from_slice(&ccsds_coding::crc::remainder(&frame).to_be_bytes());
    }
    frame
}

fn received(parameters: PhysicalChannel, pieces: &[&[u8]]) -> (Vec<Batch>, ReceivingChain) {
    let mut chain = ReceivingChain::new(parameters).expect("parameters that agree");
    let mut batches: Vec<Batch> = pieces.iter().map(|piece| chain.feed(piece, 7)).collect();
    batches.push(chain.finish());
    (batches, chain)
}

type Outcome = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u64>, Vec<u8>, Vec<i16>);

fn everything(batches: &[Batch]) -> Outcome {
    (
        batches.iter().flat_map(|batch| batch.frame_octets.clone()).collect(),
        batches.iter().flat_map(|batch| batch.packet_octets.clone()).collect(),
        batches.iter().flat_map(|batch| batch.unit_octets.clone()).collect(),
        batches.iter().flat_map(|batch| batch.frames.bit_position.clone()).collect(),
        batches.iter().flat_map(|batch| batch.frames.status.clone()).collect(),
        batches.iter().flat_map(|batch| batch.map_frames.map_id.clone()).collect(),
    )
}

/// Octets of which many look like headers.
fn noise(draw: &mut Draw, octets: usize) -> Vec<u8> {
    let likely = [0xC0, 0x00, 0x09, 0x04, 0x08, 0x10, 0x20, 0x90, 0x01, 0xFF];
    (0..octets).map(|_| if draw.below(3) > 0 { likely[draw.below(likely.len())] } else { draw.next() as u8 }).collect()
}

#[test]
fn any_octets_in_any_cut_give_the_same_and_add_up() {
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    for round in 0..400 {
        let frame_type = if round % 2 == 0 { FrameType::Tc } else { FrameType::Uslp };
        let (check, variable) = (round % 3 == 0, round % 5 != 0);
        let mut octets = noise(&mut draw, 600);
        if frame_type == FrameType::Tc {
            octets.splice(200..200, tc_frame(3, b"\xC1\0\0\0\0\0\0\0", check));
        }
        let (whole, chain) = received(channel(frame_type, check, variable), &[&octets]);
        let mut pieces = Vec::new();
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + draw.below(rest.len().min(90)));
            pieces.push(piece);
            rest = after;
        }
        let (cut, again) = received(channel(frame_type, check, variable), &pieces);
        assert_eq!(everything(&whole), everything(&cut), "round {round}");
        assert_eq!(chain.totals(), again.totals(), "round {round}");
        let totals = chain.totals();
        let frames: usize = whole.iter().map(|batch| batch.frame_octets.len()).sum();
        let sum = frames as u64 + totals.skipped_octets + totals.trailing_octets;
        assert_eq!(sum, octets.len() as u64, "round {round}");
    }
}

#[test]
fn a_damaged_length_costs_one_frame() {
    let frames: Vec<Vec<u8>> = (0..6).map(|number| tc_frame(number, b"\xC1\0\0\0\0\0\0\0", true)).collect();
    let mut octets = frames.concat();
    octets[frames[0].len() * 2 + 3] ^= 0x10;
    let (batches, chain) = received(channel(FrameType::Tc, true, true), &[&octets]);
    let totals = chain.totals();
    assert_eq!((totals.resynchronizations, totals.skipped_octets), (1, frames[2].len() as u64));
    assert_eq!(batches.iter().map(|batch| batch.frames.status.len()).sum::<usize>(), 5);
    let (_, _, controlled) = chain.sequence_accounts().next().expect("a sequence");
    assert_eq!((controlled.counter_gaps, controlled.lost_frames), (1, 1));
}

#[test]
fn a_frame_in_error_that_another_follows_keeps_its_place() {
    let mut octets: Vec<u8> = (0..4).flat_map(|number| tc_frame(number, b"\xC1\0\0\0\0\0\0\0", true)).collect();
    octets[20] ^= 1;
    let (_, chain) = received(channel(FrameType::Tc, true, true), &[&octets]);
    let totals = chain.totals();
    assert_eq!((totals.fecf_errors, totals.resynchronizations, totals.trailing_octets), (1, 0, 0));
}

#[test]
fn a_stream_that_ends_within_a_frame_leaves_its_octets() {
    let octets = [tc_frame(0, b"\xC1\0\0\0\0\0\0\0", true), tc_frame(1, b"\xC1\0\0\0\0\0\0\0", true)].concat();
    for cut in 1..15 {
        let (_, chain) = received(channel(FrameType::Tc, true, true), &[&octets[..octets.len() - cut]]);
        assert_eq!((chain.totals().records, chain.totals().trailing_octets), (1, 15 - cut as u64));
    }
}
