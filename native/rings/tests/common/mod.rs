//! The kernel's side of a ring, played through a file on the same memory.  It shares no code with the crate.
#![allow(dead_code)] // each test uses its part
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Memory as the kernel sees it.
pub(crate) struct Kernel(pub(crate) File);

impl Kernel {
    /// The 32-bit number at octet `at`.
    pub(crate) fn get(&self, at: u64) -> u32 {
        let mut octets = [0; 4];
        self.0.read_exact_at(&mut octets, at).unwrap();
        u32::from_ne_bytes(octets)
    }

    /// Write a 32-bit number.
    pub(crate) fn set(&self, at: u64, value: u32) {
        self.0.write_all_at(&value.to_ne_bytes(), at).unwrap();
    }

    /// Write octets.
    pub(crate) fn put(&self, at: u64, octets: &[u8]) {
        self.0.write_all_at(octets, at).unwrap();
    }

    /// Read octets.
    pub(crate) fn octets(&self, at: u64, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        self.0.read_exact_at(&mut octets, at).unwrap();
        octets
    }
}

/// A small generator: xorshift.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
