//! The shared file and its mapping: a control block of atomic words, then memory that users map too.
//!
//! No reference into users' memory is made.  Every access is bounded here: outside of it a read gives zeros and a write
//! does nothing, so that no wrong index, whoever wrote it, reaches other memory.
#![allow(unsafe_code)]
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::tables::Control;

/// Of the file; nearly all of it is never touched and takes no memory.
pub(crate) const FILE_OCTETS: u64 = 16 << 30;
/// Where users' memory begins.
pub(crate) const DATA_START: u64 = (size_of::<Control>() as u64).next_multiple_of(4096);

/// A mapping of the file, for the life of the process that uses it.
pub(crate) struct Shared {
    start: NonNull<u8>,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to the process; the control block is atomics and process-shared locks, the rest is reached
// through raw pointers whose races can tear octets and nothing else.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// A new file without a name, all zeros.
    pub(crate) fn create_file() -> io::Result<OwnedFd> {
        // SAFETY: the name is a terminated string.
        let descriptor =
            unsafe { libc::memfd_create(c"netmap-simulation".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Map `file`, which must have its full size already.
    pub(crate) fn map(file: OwnedFd) -> io::Result<Self> {
        let size = std::fs::File::from(file.try_clone()?).metadata()?.len();
        if size != FILE_OCTETS {
            let message = format!("this is no file of a simulated netmap: {size} octets, not {FILE_OCTETS}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE);
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing that we have.
        let start = unsafe { libc::mmap(null_mut(), FILE_OCTETS as usize, protection, flags, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was just mapped; a core dump without it is smaller.
        unsafe { libc::madvise(start, FILE_OCTETS as usize, libc::MADV_DONTDUMP) };
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, file })
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// The tables.
    #[inline(always)]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: the file is longer than the block, mapped while `self` lives, and begins at a page; the block is made
        // of atomics and of locks in cells, for which zeros and any other octets are valid.
        unsafe { self.start.cast::<Control>().as_ref() }
    }

    #[inline(always)]
    fn at(&self, offset: u64, octets: u64) -> Option<*mut u8> {
        let end = offset.checked_add(octets)?;
        if offset < DATA_START || end > FILE_OCTETS {
            return None;
        }
        // SAFETY: inside the mapping, as just checked.
        Some(unsafe { self.start.as_ptr().add(offset as usize) })
    }

    #[inline(always)]
    fn cell(&self, offset: u64) -> Option<&AtomicU32> {
        let place = self.at(offset, 4)?;
        // SAFETY: inside the mapping, aligned, and an atomic may be shared with other writers.
        offset.is_multiple_of(4).then(|| unsafe { AtomicU32::from_ptr(place.cast()) })
    }

    #[inline(always)]
    fn long_cell(&self, offset: u64) -> Option<&AtomicU64> {
        let place = self.at(offset, 8)?;
        // SAFETY: as above.
        offset.is_multiple_of(8).then(|| unsafe { AtomicU64::from_ptr(place.cast()) })
    }

    /// `count` slots of two words each from `offset` on, looked up once; None: not all inside, or not aligned.
    #[inline]
    pub(crate) fn slot_cells(&self, offset: u64, count: u32) -> Option<&[[AtomicU64; 2]]> {
        let place = self.at(offset, u64::from(count) * 16)?;
        // SAFETY: inside the mapping, aligned, and atomics may be shared with other writers.
        offset.is_multiple_of(8).then(|| unsafe { std::slice::from_raw_parts(place.cast(), count as usize) })
    }

    /// The number at `offset`, read once.
    #[inline(always)]
    pub(crate) fn load(&self, offset: u64) -> u32 {
        self.cell(offset).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(crate) fn store(&self, offset: u64, value: u32) {
        if let Some(cell) = self.cell(offset) {
            cell.store(value, Ordering::Release);
        }
    }

    /// The 64-bit number at `offset`, read once.
    #[inline(always)]
    pub(crate) fn load_long(&self, offset: u64) -> u64 {
        self.long_cell(offset).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(crate) fn store_long(&self, offset: u64, value: u64) {
        if let Some(cell) = self.long_cell(offset) {
            cell.store(value, Ordering::Release);
        }
    }

    /// Copy within users' memory; what overlaps is copied as if through a buffer of its own.
    #[inline(always)]
    pub(crate) fn copy(&self, from: u64, to: u64, octets: u64) {
        if let (Some(source), Some(target)) = (self.at(from, octets), self.at(to, octets)) {
            // SAFETY: both ranges are inside the mapping; they may overlap where a user lies about buffer indexes.
            unsafe { target.copy_from(source, octets as usize) };
        }
    }

    pub(crate) fn write(&self, to: u64, octets: &[u8]) {
        if let Some(target) = self.at(to, octets.len() as u64) {
            // SAFETY: the target is inside the mapping, of which no slice exists.
            unsafe { target.copy_from_nonoverlapping(octets.as_ptr(), octets.len()) };
        }
    }

    pub(crate) fn read(&self, from: u64, octets: &mut [u8]) {
        match self.at(from, octets.len() as u64) {
            // SAFETY: the source is inside the mapping, of which no slice exists.
            Some(source) => unsafe { source.copy_to_nonoverlapping(octets.as_mut_ptr(), octets.len()) },
            None => octets.fill(0),
        }
    }

    /// The N octets at `from`, copied once.
    #[inline(always)]
    pub(crate) fn octets<const N: usize>(&self, from: u64) -> [u8; N] {
        // SAFETY: inside the mapping; octets have no alignment and no invalid values.
        self.at(from, N as u64).map_or([0; N], |source| unsafe { source.cast::<[u8; N]>().read_volatile() })
    }

    /// Zero a range of whole pages and give its memory back.
    pub(crate) fn discard(&self, from: u64, octets: u64) -> io::Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: a system call on our own descriptor.
        let status = unsafe { libc::fallocate(self.file.as_fd().as_raw_fd(), mode, from as i64, octets as i64) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: `map` got this range and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), FILE_OCTETS as usize) };
    }
}
