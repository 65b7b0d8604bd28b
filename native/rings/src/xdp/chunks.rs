//! The pieces (chunks) of one queue's shared memory, half for receiving and half for sending, and who owns each.
//!
//! The kernel names chunks to us; a name that is not of a chunk which it owns is not believed, so that no frame is read
//! twice and no chunk handed out twice, whatever the rings say.

/// Who owns the chunks of one direction.
pub struct Chunks {
    first: u64,
    chunk_octets: u64,
    kernel_owns: Vec<bool>,
}

impl Chunks {
    /// `count` chunks of `chunk_octets` (a power of two) from octet `first` on, all ours.
    pub fn new(first: u64, chunk_octets: u32, count: u32) -> Self {
        Self { first, chunk_octets: u64::from(chunk_octets), kernel_owns: vec![false; count as usize] }
    }

    /// Chunks in all.
    pub fn count(&self) -> usize {
        self.kernel_owns.len()
    }

    /// Where chunk `index` begins.
    #[inline]
    pub fn start(&self, index: u32) -> u64 {
        self.first + u64::from(index) * self.chunk_octets
    }

    /// Chunk `index` is the kernel's from now on.
    #[inline]
    pub fn give(&mut self, index: u32) {
        if let Some(owned) = self.kernel_owns.get_mut(index as usize) {
            *owned = true;
        }
    }

    /// The kernel returns the chunk which `length` octets at `address` are in; None: it had no such chunk.
    #[inline]
    pub fn take(&mut self, address: u64, length: u32) -> Option<u32> {
        let from = address.checked_sub(self.first)?;
        let index = usize::try_from(from / self.chunk_octets).ok()?;
        let inside = from % self.chunk_octets + u64::from(length) <= self.chunk_octets;
        let owned = self.kernel_owns.get_mut(index)?;
        if !*owned || !inside {
            return None;
        }
        *owned = false;
        Some(index as u32)
    }
}
