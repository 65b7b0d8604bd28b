//! The synchroniser, rule by rule; every stream also in pieces, as bits, and cut off everywhere.

use ccsds_link::synchronizer::{Block, Parameters, Statistics, Synchronizer};

const MARKER: u64 = 0x1ACF_FC1D;
const BLOCK: usize = 40;
const PERIOD: u64 = 32 + 8 * BLOCK as u64;

fn parameters() -> Parameters {
    Parameters {
        marker: MARKER,
        marker_bits: 32,
        block_octets: BLOCK,
        tolerated_errors: 2,
        flywheel_frames: 2,
        maximum_slip_bits: 2,
        accept_inverted: true,
    }
}

/// Bits, most significant first.
#[derive(Clone, Default)]
struct Bits(Vec<u8>);

impl Bits {
    fn push(&mut self, value: u64, count: u32) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| (value >> bit & 1) as u8));
        self
    }

    fn cadu(&mut self, number: u8) -> &mut Self {
        self.push(MARKER, 32);
        block(number).iter().for_each(|octet| {
            self.push(u64::from(*octet), 8);
        });
        self
    }

    fn cadus(&mut self, numbers: std::ops::Range<u8>) -> &mut Self {
        numbers.for_each(|number| {
            self.cadu(number);
        });
        self
    }

    fn octets(&self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |octet, (at, bit)| octet | bit << (7 - at)))
            .collect()
    }
}

/// A block's content, which holds no marker nor anything near one.
fn block(number: u8) -> [u8; BLOCK] {
    let mut octets = [number; BLOCK];
    octets.iter_mut().skip(1).step_by(2).for_each(|octet| *octet = 0x33);
    octets
}

type Given = Vec<(Block, Vec<u8>)>;

fn run(parameters: Parameters, feed: impl FnOnce(&mut Synchronizer, &mut Given)) -> (Given, Statistics) {
    let mut synchronizer = Synchronizer::new(parameters).unwrap();
    let mut given = Vec::new();
    feed(&mut synchronizer, &mut given);
    synchronizer.finish(&mut |block, source| {
        let mut octets = Vec::new();
        source.append_to(&mut octets, BLOCK);
        given.push((block, octets));
    });
    (given, synchronizer.statistics())
}

fn in_pieces(parameters: Parameters, octets: &[u8], sizes: &[usize]) -> (Given, Statistics) {
    run(parameters, |synchronizer, given| {
        let mut give = |block, source: ccsds_link::synchronizer::Source<'_>| {
            let mut octets = Vec::new();
            source.append_to(&mut octets, BLOCK);
            given.push((block, octets));
        };
        let (mut rest, mut sizes) = (octets, sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            synchronizer.feed(piece, &mut give);
            rest = behind;
        }
    })
}

/// The stream in one piece, and the same in pieces of all kinds, which may change nothing.
fn received(parameters: Parameters, bits: &Bits) -> (Given, Statistics) {
    let octets = bits.octets();
    let whole = in_pieces(parameters.clone(), &octets, &[octets.len()]);
    for sizes in [&[1][..], &[3], &[44, 1], &[7, 4096, 100], &[45]] {
        assert_eq!(in_pieces(parameters.clone(), &octets, sizes), whole, "pieces of {sizes:?}");
    }
    for cut in 0..=octets.len() {
        assert_eq!(in_pieces(parameters.clone(), &octets, &[cut.max(1), octets.len()]), whole, "cut at {cut}");
    }
    whole
}

fn numbers(given: &Given) -> Vec<u8> {
    given.iter().map(|(_, octets)| octets[0]).collect()
}

#[test]
fn locks_at_every_bit_offset() {
    for offset in 0..16 {
        let mut bits = Bits::default();
        bits.push(0, offset).cadus(1..6).push(0, 5);
        let (given, statistics) = received(parameters(), &bits);
        assert_eq!(numbers(&given), [1, 2, 3, 4, 5]);
        for (index, (found, octets)) in given.iter().enumerate() {
            assert_eq!(found.bit_position, u64::from(offset) + index as u64 * PERIOD);
            assert_eq!(octets[..], block(index as u8 + 1));
            assert!(!found.inverted && !found.flywheel && !found.unconfirmed);
        }
        let fill = bits.octets().len() as u64 * 8 - bits.0.len() as u64;
        assert_eq!(statistics.skipped_bits, u64::from(offset) + 5 + fill);
        assert_eq!(statistics.trailing_bits, 5 + fill);
    }
}

#[test]
fn bits_are_taken_as_octets_are() {
    let mut bits = Bits::default();
    bits.push(1, 3).cadus(1..5);
    let whole: Vec<u8> = numbers(&received(parameters(), &bits).0);
    let by_bits = run(parameters(), |synchronizer, given| {
        for piece in bits.0.chunks(101) {
            synchronizer.feed_bits(piece, &mut |block, source| {
                let mut octets = Vec::new();
                source.append_to(&mut octets, BLOCK);
                given.push((block, octets));
            });
        }
    });
    assert_eq!(numbers(&by_bits.0), whole);
    let mixed = run(parameters(), |synchronizer, given| {
        let mut give = |block, source: ccsds_link::synchronizer::Source<'_>| {
            let mut octets = Vec::new();
            source.append_to(&mut octets, BLOCK);
            given.push((block, octets));
        };
        synchronizer.feed_bits(&bits.0[..3], &mut give);
        synchronizer.feed(&Bits(bits.0[3..].to_vec()).octets(), &mut give);
    });
    assert_eq!(mixed, by_bits);
}

#[test]
fn markers_with_errors_are_counted_up_to_the_tolerance() {
    let mut bits = Bits::default();
    bits.cadus(1..7);
    for (cadu, errors) in [(1, 1), (2, 2), (3, 3)] {
        (0..errors).for_each(|at| bits.0[cadu * PERIOD as usize + 9 * at] ^= 1);
    }
    let (given, statistics) = received(parameters(), &bits);
    assert_eq!(numbers(&given), [1, 2, 3, 4, 5, 6]);
    assert_eq!(given.iter().map(|(found, _)| found.marker_errors).collect::<Vec<_>>(), [0, 1, 2, 0, 0, 0]);
    assert!(given[3].0.flywheel && statistics.flywheel_blocks == 1);
    assert_eq!(statistics.marker_bit_errors, 3);
}

#[test]
fn the_flywheel_bridges_no_more_than_it_may() {
    for (missing, bridged) in [(1, true), (2, true), (3, false)] {
        let mut bits = Bits::default();
        bits.cadus(1..10);
        for cadu in 2..2 + missing {
            bits.0[cadu * PERIOD as usize..][..32].fill(0);
        }
        let (given, statistics) = received(parameters(), &bits);
        assert_eq!(statistics.lock_losses, u64::from(!bridged), "{missing}");
        assert_eq!(statistics.flywheel_blocks, if bridged { missing as u64 } else { 0 });
        let lost = if bridged { 0 } else { missing };
        let expected: Vec<u8> = (1..10).filter(|number| lost == 0 || !(3..3 + lost as u8).contains(number)).collect();
        assert_eq!(numbers(&given), expected, "{missing}");
    }
}

#[test]
fn a_slip_is_followed_and_counted() {
    for slip in [-2isize, -1, 1, 2] {
        let mut bits = Bits::default();
        bits.cadus(1..4);
        if slip > 0 {
            bits.push(0, slip as u32);
        } else {
            bits.0.truncate(bits.0.len() - slip.unsigned_abs());
        }
        bits.cadus(4..7);
        let (given, statistics) = received(parameters(), &bits);
        assert_eq!(numbers(&given), [1, 2, 3, 4, 5, 6], "{slip}");
        assert_eq!((statistics.bit_slips, statistics.lock_losses), (1, 0));
        assert_eq!(given[3].0.bit_position as isize, 3 * PERIOD as isize + slip);
    }
}

#[test]
fn a_larger_slip_loses_the_lock_and_finds_it_again() {
    let mut bits = Bits::default();
    bits.cadus(1..4).push(0, 11).cadus(4..7);
    let (given, statistics) = received(parameters(), &bits);
    assert_eq!(numbers(&given), [1, 2, 3, 4, 5, 6]);
    let fill = bits.octets().len() as u64 * 8 - bits.0.len() as u64;
    assert_eq!((statistics.bit_slips, statistics.lock_losses, statistics.skipped_bits), (0, 1, 11 + fill));
}

#[test]
fn inverted_blocks_are_turned_where_that_is_wanted() {
    let mut bits = Bits::default();
    bits.cadus(1..4);
    bits.0.iter_mut().for_each(|bit| *bit ^= 1);
    bits.cadus(4..6);
    let (given, statistics) = received(parameters(), &bits);
    assert_eq!(given.iter().map(|(found, _)| found.inverted).collect::<Vec<_>>(), [true, true, true, false, false]);
    assert!(given.iter().enumerate().all(|(index, (_, octets))| octets[..] == block(index as u8 + 1)));
    assert_eq!(statistics.inverted_blocks, 3);
    let upright_only = Parameters { accept_inverted: false, ..parameters() };
    assert_eq!(numbers(&received(upright_only, &bits).0), [4, 5]);
}

#[test]
fn a_lone_block_is_given_unconfirmed_once_nothing_follows_in_step() {
    let mut bits = Bits::default();
    bits.push(0, 4).cadu(1);
    bits.0.extend([0; 4 * PERIOD as usize]);
    let (given, statistics) = received(parameters(), &bits);
    assert_eq!(numbers(&given), [1]);
    assert!(given[0].0.unconfirmed);
    assert_eq!(statistics.unconfirmed_blocks, 1);
}

#[test]
fn noise_is_skipped_to_the_last_bit_and_holds_nothing() {
    let mut state = 1u32;
    let noise: Vec<u8> = (0..1 << 16)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let strict = Parameters { tolerated_errors: 0, ..parameters() };
    let (given, statistics) = in_pieces(strict.clone(), &noise, &[noise.len()]);
    assert!(given.is_empty());
    assert_eq!(statistics.skipped_bits, 8 << 16);
    let mut synchronizer = Synchronizer::new(strict).unwrap();
    for _ in 0..4 {
        synchronizer.feed(&noise, &mut |_, _| {});
        assert!(synchronizer.position() - synchronizer.oldest() < 64);
    }
}

/// Wherever the stream ends, the whole blocks before the end are given, and nothing else.
#[test]
fn finish_at_every_cut() {
    let mut bits = Bits::default();
    bits.push(0, 3).cadus(1..5);
    for end in 0..=bits.0.len() {
        let (given, statistics) = run(parameters(), |synchronizer, given| {
            synchronizer.feed_bits(&bits.0[..end], &mut |block, source| {
                let mut octets = Vec::new();
                source.append_to(&mut octets, BLOCK);
                given.push((block, octets));
            });
        });
        let whole = (end.saturating_sub(3) as u64 / PERIOD) as u8;
        assert_eq!(numbers(&given), (1..=whole).collect::<Vec<_>>(), "{end} bits");
        assert_eq!(statistics.skipped_bits, end as u64 - u64::from(whole) * PERIOD, "{end} bits");
    }
}

#[test]
fn parameters_that_contradict_are_refused_by_name() {
    let refused = |change: fn(&mut Parameters)| {
        let mut wrong = parameters();
        change(&mut wrong);
        Synchronizer::new(wrong).err().unwrap()
    };
    assert!(refused(|p| p.marker_bits = 65).contains("marker of 65 bits"));
    assert!(refused(|p| p.marker_bits = 16).contains("marker_bits"));
    assert!(refused(|p| p.block_octets = 0).contains("block_octets"));
    assert!(refused(|p| p.tolerated_errors = 16).contains("tolerated_errors"));
    assert!(refused(|p| p.maximum_slip_bits = 8).contains("maximum_slip_bits"));
}
