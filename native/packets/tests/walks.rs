//! Several walks joined give what one walk gives, on any octets.
use ccsds_packets::{
    Column, FIELDS, HeaderOutside, Refusal, Rules, Spare, Step, Table, cut_columns, packet_columns, scan, scan_plainly,
    step,
};

const RULES: Rules = Rules { encapsulation: true, maximum_octets: 1 << 24 };

/// A small generator (xorshift), so that every run sees the same octets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

fn space_packet(out: &mut Vec<u8>, id: u16, data: &[u8]) {
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0xc0, 0]);
    out.extend_from_slice(&((data.len() - 1) as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// Packets whose data look like packets: the guesses are often wrong.
fn deceiving(random: &mut Random, octets: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < octets {
        let mut data = vec![0; random.below(40) as usize + 1];
        let kind = random.below(6);
        while data.len() < 200 + random.below(3000) as usize {
            match kind {
                0 => data.extend(random.next().to_be_bytes()),
                1 => data.resize(data.len() + 64, 0),
                2 => data.resize(data.len() + 64, 0xff),
                3 => data.push(0xe0),
                _ => {
                    let size = random.below(300) as usize + 1;
                    space_packet(&mut data, 0x0800 + random.below(4) as u16, &vec![8; size]);
                }
            }
        }
        match random.below(20) {
            0 => out.push(0xe0),
            1 => {
                out.push(0xe6);
                out.push(0);
                out.extend(((data.len() + 4) as u16).to_be_bytes());
                out.extend_from_slice(&data);
            }
            _ => space_packet(&mut out, 0x0800 + random.below(4) as u16, &data),
        }
    }
    out
}

fn twins(octets: &[u8], rules: &Rules) -> Table {
    let table = scan(octets, rules, Spare::default());
    assert_eq!(table, scan_plainly(octets, rules, Spare::default()));
    // Dirty memory of an earlier table changes nothing.
    let earlier = scan(&[8; 4000], rules, Spare::default());
    let spare = Spare { offsets: earlier.offsets, columns: earlier.columns };
    assert_eq!(table, scan(octets, rules, spare));
    table
}

#[test]
fn deceiving_packets_are_walked_as_by_one_walk() {
    let mut random = Random(7);
    for round in 0..60 {
        let mut octets = deceiving(&mut random, 60_000 + 20_000 * round);
        let whole = twins(&octets, &RULES);
        assert_eq!(*whole.offsets.last().unwrap(), octets.len() as u64);
        octets.truncate(octets.len() - random.below(2500) as usize);
        twins(&octets, &RULES);
        twins(&octets, &Rules { encapsulation: false, maximum_octets: 3000 });
    }
}

#[test]
fn damage_anywhere_stops_both_walks_at_the_same_octet() {
    let mut random = Random(11);
    let clean = deceiving(&mut random, 400_000);
    for _ in 0..150 {
        let mut octets = clean.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(octets.len() as u64) as usize;
            octets[at] ^= 1 << random.below(8);
        }
        twins(&octets, &RULES);
    }
}

#[test]
fn noise_and_constant_octets() {
    let mut random = Random(13);
    for octet in [0, 8, 0x1f, 0xe0, 0xe1, 0xff] {
        twins(&vec![octet; 300_000], &RULES);
    }
    for _ in 0..50 {
        // Version 0 in the first octets, so that the walk goes on for a while.
        let noise: Vec<u8> = (0..200_000).map(|_| random.next() as u8 & 0x1f).collect();
        twins(&noise, &RULES);
    }
}

#[test]
fn every_truncation_of_a_short_file() {
    let mut random = Random(17);
    let octets = deceiving(&mut random, 9_000);
    for end in 0..octets.len() {
        let table = twins(&octets[..end], &RULES);
        let last = *table.offsets.last().unwrap();
        assert!(last <= end as u64 && last + table.needed > end as u64);
        assert_eq!(table.refusal, None);
    }
}

#[test]
fn steps() {
    let at = |octets: &[u8]| step(octets, 0, &RULES);
    assert_eq!(at(&[]), Step::Incomplete(1));
    assert_eq!(at(&[0, 0, 0, 0, 0]), Step::Incomplete(6));
    assert_eq!(at(&[0, 0, 0, 0, 0, 1, 9]), Step::Incomplete(8));
    assert_eq!(at(&[8, 1, 0xc0, 2, 0, 0, 9]), Step::Packet { octets: 7, header: 0x0801_c002_0000 });
    assert_eq!(at(&[0x20]), Step::Refused(Refusal::Version(1)));
    assert_eq!(at(&[0xe0, 1]), Step::Packet { octets: 1, header: 7 << 45 });
    assert_eq!(at(&[0xe4, 1]), Step::Refused(Refusal::NoLength(1)));
    assert_eq!(at(&[0xe5]), Step::Incomplete(2));
    assert_eq!(at(&[0xe5, 1]), Step::Refused(Refusal::TooShort(1)));
    assert_eq!(at(&[0xe5, 2]), Step::Packet { octets: 2, header: 7 << 45 });
    assert_eq!(at(&[0xe6, 0, 0, 5]), Step::Incomplete(5));
    assert_eq!(at(&[0xe7, 0, 0, 0, 0xff, 0, 0, 0]), Step::Refused(Refusal::TooLong(0xff00_0000)));
}

#[test]
fn columns_at_places_are_those_of_the_walk() {
    let octets = deceiving(&mut Random(19), 50_000);
    let table = twins(&octets, &RULES);
    let starts = &table.offsets[..table.offsets.len() - 1];
    assert_eq!(packet_columns(&octets, starts).unwrap(), table.columns);
    let outside = [0, octets.len() as u64];
    assert_eq!(packet_columns(&octets, &outside), Err(HeaderOutside(1)));
    assert_eq!(packet_columns(&octets, &[u64::MAX]), Err(HeaderOutside(0)));
}

#[test]
fn any_field_of_a_header_can_be_cut() {
    let octets: Vec<u8> = (0..40).map(|i: u8| i.wrapping_mul(73) ^ 0x5a).collect();
    for bits in 1..=64 {
        for bit_offset in 0..=(72 - bits) {
            let columns = cut_columns(&octets, &[0, 3, 31], 9, &[(bit_offset, bits)]).unwrap();
            for (index, start) in [0_usize, 3, 31].into_iter().enumerate() {
                let expected = (bit_offset..bit_offset + bits).fold(0_u64, |value, bit| {
                    let octet = octets[start + bit as usize / 8];
                    value << 1 | u64::from(octet >> (7 - bit % 8) & 1)
                });
                let given = match &columns[0] {
                    Column::U8(values) => u64::from(values[index]),
                    Column::U16(values) => u64::from(values[index]),
                    Column::U32(values) => u64::from(values[index]),
                    Column::U64(values) => values[index],
                };
                assert_eq!(given, expected, "{bits} bits at {bit_offset} of octet {start}");
            }
        }
    }
    assert_eq!(cut_columns(&octets, &[32], 9, &[(0, 8)]), Err(HeaderOutside(0)));
}

#[test]
fn fields_fill_the_header() {
    let mut at = 0;
    for field in FIELDS {
        assert_eq!(field.bit_offset, at);
        at += field.bits;
    }
    assert_eq!(at, 48);
}

/// `CCSDS_FUZZ_SECONDS=60 cargo test --release -p ccsds-packets -- --ignored --nocapture`
#[test]
#[ignore = "runs as long as it is told"]
fn fuzz() {
    let seconds = std::env::var("CCSDS_FUZZ_SECONDS").map_or(10, |text| text.parse().unwrap());
    let begun = std::time::Instant::now();
    let (mut inputs, mut octets_walked) = (0_u64, 0_u64);
    while begun.elapsed().as_secs() < seconds {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (inputs + 1));
        let size = 20_000 + random.below(600_000) as usize;
        let mut octets = deceiving(&mut random, size);
        for _ in 0..random.below(4) {
            let at = random.below(octets.len() as u64) as usize;
            octets[at] = random.next() as u8;
        }
        let cut = random.below(octets.len() as u64 / 4) as usize;
        octets.truncate(octets.len() - cut);
        let maximum_octets = [1 << 24, 3000, 70_000][random.below(3) as usize];
        twins(&octets, &Rules { encapsulation: random.below(2) == 0, maximum_octets });
        inputs += 1;
        octets_walked += octets.len() as u64;
    }
    println!("{inputs} inputs, {octets_walked} octets, no difference");
}
