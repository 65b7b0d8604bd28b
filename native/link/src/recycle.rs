//! Memory of batches that were dropped, kept for the next ones.
//!
//! A batch of a large piece takes megabytes.  Given back to the system and asked for again with every piece, they
//! cost a page fault for every four kilobytes, which is as much time as all decoding.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller pieces are left to the allocator, which keeps them anyway; larger ones are not worth holding.
const KEPT_OCTETS: std::ops::RangeInclusive<usize> = (1 << 16)..=(1 << 22);
/// Pieces kept at most, of all chains together.
const KEPT_PIECES: usize = 6;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Vec<u8>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner) // a list of free memory is whole at any time
}

/// An empty vector with room for `octets`, of memory that was used before where there is some that fits.
pub fn take(octets: usize) -> Vec<u8> {
    if KEPT_OCTETS.contains(&octets) {
        let mut kept = kept();
        let fits = |piece: &Vec<u8>| (octets..=2 * octets).contains(&piece.capacity());
        if let Some(found) = kept.iter().position(fits) {
            return kept.swap_remove(found);
        }
    }
    Vec::with_capacity(octets)
}

/// Memory that is no longer needed; the oldest kept is let go where there is too much.
pub fn give(mut octets: Vec<u8>) {
    if !KEPT_OCTETS.contains(&octets.capacity()) {
        return;
    }
    octets.clear();
    let mut kept = kept();
    let oldest = (kept.len() == KEPT_PIECES).then(|| kept.remove(0));
    kept.push(octets);
    drop(kept);
    drop(oldest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_again_and_empty() {
        let mut octets = vec![7; 3 << 20];
        octets.shrink_to_fit();
        let place = octets.as_ptr();
        give(octets);
        assert!(take(1 << 20).capacity() < 3 << 20, "more than twice what is wanted");
        let again = take(2 << 20);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn neither_small_nor_large_memory_is_kept() {
        for size in [1 << 10, 1 << 23] {
            give(Vec::with_capacity(size));
            assert!(kept().iter().all(|piece| KEPT_OCTETS.contains(&piece.capacity())));
            assert!(take(size).capacity() >= size);
        }
    }
}
