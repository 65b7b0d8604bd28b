//! Compares the walks: `cargo run --release --example speed`.
use ccsds_packets::{Rules, Spare, Table, scan, scan_plainly};
use std::time::Instant;

fn packets(octets: usize, size: impl Fn(u64) -> usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets + 2048);
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut count = 0_u16;
    while out.len() < octets {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let n = size(seed);
        out.extend_from_slice(&(0x0800_u16 | ((seed >> 50) as u16 % 20)).to_be_bytes());
        out.extend_from_slice(&(0xc000_u16 | (count & 0x3fff)).to_be_bytes());
        out.extend_from_slice(&((n - 7) as u16).to_be_bytes());
        out.extend((6..n).map(|i| (seed >> (i % 56)) as u8));
        count = count.wrapping_add(1);
    }
    out
}

fn main() {
    let rules = Rules { encapsulation: true, maximum_octets: u64::from(u32::MAX) };
    type Size = fn(u64) -> usize;
    for (name, octets, size, repeats) in [
        ("71, 1 MiB", 1 << 20, (|_| 71) as Size, 200),
        ("mixed, 1 MiB", 1 << 20, (|s| 64 + (s >> 20) as usize % 961) as Size, 200),
        ("71, 256 MiB", 1 << 28, (|_| 71) as Size, 7),
        ("mixed, 256 MiB", 1 << 28, (|s| 64 + (s >> 20) as usize % 961) as Size, 7),
    ] {
        let data = packets(octets, size);
        for kind in ["plain", "lanes", "plain, memory reused", "lanes, memory reused"] {
            let mut times = Vec::new();
            let mut n = 0;
            let mut spare = Spare::default();
            for _ in 0..repeats {
                let begin = Instant::now();
                let Table { offsets, columns, .. } = match kind {
                    "plain" => scan_plainly(&data, &rules, Spare::default()),
                    "plain, memory reused" => scan_plainly(&data, &rules, std::mem::take(&mut spare)),
                    _ => scan(&data, &rules, std::mem::take(&mut spare)),
                };
                times.push(begin.elapsed().as_secs_f64());
                n = offsets.len() - 1;
                if kind.ends_with("reused") {
                    spare = Spare { offsets, columns };
                }
            }
            times.sort_by(f64::total_cmp);
            println!("{name:16} {kind}: {:8.1} Mpackets/s ({n})", n as f64 / times[times.len() / 2] / 1e6);
        }
        assert!(scan(&data, &rules, Spare::default()) == scan_plainly(&data, &rules, Spare::default()));
    }
}
