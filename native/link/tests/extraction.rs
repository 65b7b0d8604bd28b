//! Packet extraction, rule by rule, and packets back to back.

use ccsds_link::account::Account;
use ccsds_link::extraction::{Extractor, Origin, Packet};
use ccsds_link::packet_stream::PacketStream;
use ccsds_link::parameters::VirtualChannel;

const NO_START: u16 = 0x7FF;

/// A space packet of `octets` octets in all.
fn space_packet(application_process: u16, count: u16, octets: usize) -> Vec<u8> {
    let mut packet = vec![0xA5; octets];
    packet[..2].copy_from_slice(&application_process.to_be_bytes());
    packet[2..4].copy_from_slice(&(0xC000 | count).to_be_bytes());
    packet[4..6].copy_from_slice(&(octets as u16 - 7).to_be_bytes());
    packet
}

/// One virtual channel at work, and what came out.
#[derive(Default)]
struct Rig {
    extractor: Extractor,
    parameters: VirtualChannel,
    account: Account,
    frames: u64,
    given: Vec<(Vec<u8>, bool, Origin)>,
}

impl Rig {
    fn keep(given: &mut Vec<(Vec<u8>, bool, Origin)>, packet: &Packet<'_>) {
        given.push((packet.octets.to_vec(), packet.complete, packet.origin));
    }

    fn zone(&mut self, zone: &[u8], pointer: u16) -> &mut Self {
        let origin = Origin { frame_index: self.frames, corrected_symbols: 1, ..Origin::default() };
        self.frames += 1;
        let Self { extractor, parameters, account, given, .. } = self;
        extractor.zone(zone, pointer, origin, parameters, account, &mut |packet| Self::keep(given, &packet));
        self
    }

    fn late(&mut self, zone: &[u8], pointer: u16) -> &mut Self {
        let origin = Origin { frame_index: self.frames, ..Origin::default() };
        let Self { extractor, parameters, account, given, .. } = self;
        extractor.late_zone(zone, pointer, origin, parameters, account, &mut |packet| Self::keep(given, &packet));
        self
    }

    fn gap(&mut self, lost: u32) -> &mut Self {
        let Self { extractor, parameters, account, given, .. } = self;
        extractor.gap(lost, parameters, account, &mut |packet| Self::keep(given, &packet));
        self
    }

    fn finish(&mut self) -> &mut Self {
        let Self { extractor, parameters, account, given, .. } = self;
        extractor.finish(parameters, account, &mut |packet| Self::keep(given, &packet));
        self
    }

    fn octets(&self) -> Vec<&[u8]> {
        self.given.iter().map(|(octets, ..)| &octets[..]).collect()
    }
}

#[test]
fn packets_lie_in_one_zone_one_after_the_other() {
    let (one, two) = (space_packet(1, 0, 20), space_packet(2, 0, 7));
    let mut rig = Rig::default();
    rig.zone(&[&one[..], &two].concat(), 0);
    assert_eq!(rig.octets(), [&one[..], &two]);
    assert_eq!((rig.account.packets, rig.account.packet_octets), (2, 27));
}

#[test]
fn octets_before_the_pointer_are_nobodys_at_the_start() {
    let packet = space_packet(1, 0, 12);
    let mut rig = Rig::default();
    rig.zone(&[&[0xEE; 5], &packet[..]].concat(), 5);
    assert_eq!(rig.octets(), [&packet[..]]);
    assert_eq!((rig.account.pointer_matches, rig.account.pointer_mismatches), (0, 0));
}

#[test]
fn a_packet_may_be_cut_anywhere_its_header_too() {
    let (one, two) = (space_packet(1, 0, 30), space_packet(1, 1, 9));
    let stream = [&one[..], &two].concat();
    for cut in 1..30 {
        let mut rig = Rig::default();
        rig.zone(&stream[..cut], 0).zone(&stream[cut..], (30 - cut) as u16);
        assert_eq!(rig.octets(), [&one[..], &two], "{cut}");
        assert_eq!((rig.account.pointer_matches, rig.account.pointer_mismatches), (1, 0));
        assert_eq!((rig.given[0].2.frame_index, rig.given[1].2.frame_index), (0, 1));
        assert_eq!((rig.given[0].2.corrected_symbols, rig.given[1].2.corrected_symbols), (2, 1));
    }
}

#[test]
fn a_packet_may_go_on_through_frames_without_a_start() {
    let (long, next) = (space_packet(1, 0, 100), space_packet(1, 1, 8));
    let mut rig = Rig::default();
    rig.zone(&long[..30], 0).zone(&long[30..60], NO_START).zone(&long[60..90], NO_START);
    rig.zone(&[&long[90..], &next].concat(), 10);
    assert_eq!(rig.octets(), [&long[..], &next]);
    assert_eq!(rig.account.frames_without_packet_start, 2);
}

#[test]
fn a_packet_may_end_with_a_frame_without_a_start() {
    let (long, next) = (space_packet(1, 0, 60), space_packet(1, 1, 8));
    let mut rig = Rig::default();
    rig.zone(&long[..30], 0).zone(&long[30..], NO_START).zone(&next, 0);
    assert_eq!(rig.octets(), [&long[..], &next]);
    assert_eq!((rig.account.pointer_matches, rig.account.packets_dropped_by_mismatch), (1, 0));
}

#[test]
fn a_pointer_that_disagrees_drops_the_packet_and_is_believed() {
    let (one, two) = (space_packet(1, 0, 30), space_packet(1, 1, 9));
    for wrong in [3, 12] {
        let mut rig = Rig::default();
        rig.zone(&one[..20], 0).zone(&[&vec![0; wrong][..], &two].concat(), wrong as u16);
        assert_eq!(rig.octets(), [&two[..]]);
        assert_eq!((rig.account.pointer_mismatches, rig.account.packets_dropped_by_mismatch), (1, 1));
        assert_eq!(rig.account.dropped_octets, 20 + wrong as u64);
    }
}

#[test]
fn a_pointer_behind_the_zone_ends_the_packet_in_progress() {
    let one = space_packet(1, 0, 30);
    let mut rig = Rig::default();
    rig.zone(&one[..20], 0).zone(&[0; 10], 10);
    assert!(rig.given.is_empty());
    assert_eq!((rig.account.pointers_invalid, rig.account.packets_dropped_by_mismatch), (1, 1));
}

#[test]
fn a_gap_drops_the_packet_and_the_next_one_tells_the_loss() {
    let (one, two) = (space_packet(1, 0, 30), space_packet(1, 1, 9));
    let mut rig = Rig::default();
    rig.zone(&one[..20], 0).gap(3).gap(2).zone(&[&[0; 4], &two[..], &two].concat(), 4);
    assert_eq!(rig.octets(), [&two[..], &two]);
    assert_eq!(rig.given.iter().map(|(.., origin)| origin.lost_frames_before).collect::<Vec<_>>(), [5, 0]);
    assert_eq!((rig.account.packets_dropped_by_gap, rig.account.dropped_octets), (1, 20));
}

#[test]
fn incomplete_packets_come_out_where_they_are_wanted() {
    let one = space_packet(1, 0, 30);
    let mut rig = Rig::default();
    rig.parameters.deliver_incomplete_packets = true;
    rig.zone(&one[..20], 0).gap(1).zone(&one[..25], 0).finish();
    assert_eq!(rig.octets(), [&one[..20], &one[..25]]);
    assert!(rig.given.iter().all(|(_, complete, _)| !complete));
    assert_eq!((rig.account.incomplete_packets, rig.account.packets_unfinished, rig.account.packets), (2, 1, 0));
}

#[test]
fn an_unknown_version_ends_the_zone_until_the_next_pointer() {
    let packet = space_packet(1, 0, 9);
    let mut rig = Rig::default();
    rig.zone(&[&packet[..], &[0x60, 1, 2, 3]].concat(), 0).zone(&packet, NO_START).zone(&packet, 0);
    assert_eq!(rig.octets(), [&packet[..], &packet]);
    assert_eq!(rig.account.unknown_packet_versions, 1);
}

#[test]
fn versions_that_are_not_valid_here_are_unknown() {
    let mut rig = Rig::default();
    rig.parameters.valid_packet_versions = 1;
    rig.zone(&[0xE0], 0);
    assert_eq!((rig.account.unknown_packet_versions, rig.account.idle_packets), (1, 0));
}

#[test]
fn encapsulation_packets_of_every_length_of_length() {
    let packets: [&[u8]; 5] =
        [&[0xE0], &[0xE9, 3, 7], &[0xEA, 0x12, 0, 5, 7], &[0xEB, 0, 0x34, 0x56, 0, 0, 0, 9, 7], &[0xE9, 2]];
    let mut rig = Rig::default();
    rig.zone(&packets.concat(), 0);
    assert_eq!(rig.octets(), packets);
    assert_eq!((rig.account.idle_packets, rig.account.packets), (1, 4));
    let mut invalid = Rig::default();
    invalid.zone(&[0xE9, 1, 0, 0], 0).zone(&[0xE4], 0);
    assert_eq!((invalid.account.invalid_packets, invalid.given.len()), (2, 0));
}

#[test]
fn a_length_that_is_not_believed_is_not_waited_for() {
    let claim = [0xEB, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    for cut in 1..=8 {
        let mut rig = Rig::default();
        rig.zone(&claim[..cut], 0);
        for _ in 0..1000 {
            rig.zone(&[&claim[cut..], &[0; 1000]].concat(), NO_START);
        }
        assert_eq!(rig.account.oversize_packets, 1, "{cut}");
        assert!(rig.given.is_empty());
        rig.finish();
        assert!(rig.account.dropped_octets <= 1008, "{cut}");
    }
}

#[test]
fn a_late_frame_gives_its_whole_packets_and_disturbs_nothing() {
    let (one, two, late) = (space_packet(1, 5, 30), space_packet(1, 6, 9), space_packet(2, 0, 10));
    let mut rig = Rig::default();
    rig.zone(&one[..20], 0).late(&[&[0; 3], &late[..], &late[..5]].concat(), 3).late(&late, NO_START);
    rig.zone(&[&one[20..], &two].concat(), 10);
    assert_eq!(rig.octets(), [&late[..], &one, &two]);
    assert_eq!((rig.account.pointer_matches, rig.account.packets_dropped_by_mismatch), (1, 0));
}

#[test]
fn sequence_counts_are_judged_per_application_process() {
    let stream: Vec<u8> = [(1, 0x3FFF), (2, 7), (1, 0), (2, 10), (1, 1)]
        .iter()
        .flat_map(|(id, count)| space_packet(*id, *count, 8))
        .collect();
    let mut rig = Rig::default();
    rig.zone(&stream, 0);
    let rows = rig.account.application_processes.rows();
    assert_eq!(
        rows.iter().map(|(id, row)| (*id, row.packets, row.missing_packets)).collect::<Vec<_>>(),
        [(1, 3, 0), (2, 2, 2)]
    );
}

fn stream_of(octets: &[u8], size: usize) -> (Vec<u8>, u64, u64, bool) {
    let mut stream = PacketStream::new(VirtualChannel::default(), false, false);
    let mut given = Vec::new();
    for piece in octets.chunks(size) {
        given.extend(stream.feed(piece, -1).packet_octets);
    }
    given.extend(stream.finish().packet_octets);
    (given, stream.account().packets, stream.trailing_octets(), stream.stopped())
}

#[test]
fn packets_back_to_back_in_pieces_of_any_size() {
    let idle = space_packet(0x7FF, 0, 40);
    let (one, two) = (space_packet(1, 0, 300), space_packet(1, 1, 7));
    let octets = [&one[..], &idle, &[0xE9, 3, 7], &two, &one[..50]].concat();
    let expected = ([&one[..], &[0xE9, 3, 7], &two].concat(), 3, 50, false);
    for size in 1..octets.len() {
        assert_eq!(stream_of(&octets, size), expected, "{size}");
    }
}

#[test]
fn nothing_is_read_behind_a_place_where_no_packet_starts() {
    let packet = space_packet(1, 0, 30);
    let octets = [&packet[..], &[0x60], &packet].concat();
    for size in 1..octets.len() {
        assert_eq!(stream_of(&octets, size), (packet.clone(), 1, 31, true), "{size}");
    }
}
