//! Memory shared with the kernel: no reference into it is ever made, each access is checked and made once.
#![allow(unsafe_code)]
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

/// Short frames are copied in this many octets, which needs no call to a copying routine.
const SHORT_OCTETS: usize = 64;

/// A mapped region.  Unmapped when dropped.
pub struct Mapping {
    start: NonNull<u8>,
    octets: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; all accesses are through raw pointers or atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; who may touch which part at a time is the ring protocol's business, and a race on plain octets
// can tear a frame but, as no reference or type with invalid values is made of them, nothing else.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `octets` of `file`'s memory from `offset` on, shared with whoever else maps it.
    pub fn of_file(file: BorrowedFd<'_>, octets: usize, offset: i64) -> io::Result<Self> {
        Self::map(octets, libc::MAP_SHARED | libc::MAP_POPULATE, file.as_raw_fd(), offset)
    }

    /// As `of_file`, but pages come as they are first used, since a device may offer far more than a port needs.
    pub fn of_device(file: BorrowedFd<'_>, octets: usize, offset: i64) -> io::Result<Self> {
        Self::map(octets, libc::MAP_SHARED, file.as_raw_fd(), offset)
    }

    /// `octets` of zeroed memory of our own.
    pub fn anonymous(octets: usize) -> io::Result<Self> {
        Self::map(octets, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE, -1, 0)
    }

    /// As `anonymous`, and a file through which somebody else sees the same memory: for tests.
    pub fn shared(octets: usize) -> io::Result<(Self, File)> {
        // SAFETY: the name is a terminated string; the call touches nothing else of ours.
        let descriptor = unsafe { libc::memfd_create(c"ring".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(octets as u64)?;
        let mapping = Self::map(octets, libc::MAP_SHARED, file.as_raw_fd(), 0)?;
        Ok((mapping, file))
    }

    fn map(octets: usize, flags: i32, descriptor: i32, offset: i64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing that we have.
        let start = unsafe { libc::mmap(null_mut(), octets, protection, flags, descriptor, offset) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, octets }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Octets in the region.
    pub fn len(&self) -> usize {
        self.octets
    }

    /// Never: the kernel maps no empty region.
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// The first octet, for whoever hands the region on (the kernel, Python's buffer protocol).
    pub fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The address of `octets` octets at `offset`, if they are inside.
    #[inline(always)]
    fn at(&self, offset: usize, octets: usize) -> Option<*mut u8> {
        if offset.checked_add(octets)? > self.octets {
            return None;
        }
        // SAFETY: offset is not more than the region's length, so the result is in it or one past its end.
        Some(unsafe { self.start.as_ptr().add(offset) })
    }

    #[inline(always)]
    fn cell(&self, offset: usize) -> Option<&AtomicU32> {
        let place = self.at(offset, 4)?;
        if !place.addr().is_multiple_of(4) {
            return None;
        }
        // SAFETY: inside the region, which is mapped while `self` lives, and aligned; an atomic may be shared with
        // another writer, here the kernel.
        Some(unsafe { AtomicU32::from_ptr(place.cast()) })
    }

    /// The number at `offset`, read once; what the other side wrote before it wrote this can be read afterwards.
    #[inline(always)]
    pub fn load_acquire(&self, offset: usize) -> Option<u32> {
        Some(self.cell(offset)?.load(Ordering::Acquire))
    }

    /// Write the number at `offset` once, after all that we wrote before.  False: not inside.
    #[inline(always)]
    pub fn store_release(&self, offset: usize, value: u32) -> bool {
        self.cell(offset).map(|cell| cell.store(value, Ordering::Release)).is_some()
    }

    /// A copy of the N octets at `offset`, taken once.
    #[inline(always)]
    pub fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let place = self.at(offset, N)?;
        // SAFETY: inside the region; octets have no alignment and no invalid values; volatile, so that it is one copy.
        Some(unsafe { place.cast::<[u8; N]>().read_volatile() })
    }

    /// Put `octets` at `offset`.  False: not inside.
    #[inline(always)]
    pub fn write(&self, offset: usize, octets: &[u8]) -> bool {
        let Some(place) = self.at(offset, octets.len()) else { return false };
        // SAFETY: the target is inside the region; `octets` is a borrowed slice and no slice of the region exists.
        unsafe { place.copy_from_nonoverlapping(octets.as_ptr(), octets.len()) };
        true
    }

    /// Append `length` octets from `offset` on to `out`.  False, and nothing done: not inside.
    #[inline(always)]
    pub fn append_to(&self, offset: usize, length: usize, out: &mut Vec<u8>) -> bool {
        let Some(place) = self.at(offset, length) else { return false };
        out.reserve(length.max(SHORT_OCTETS));
        let end = out.len() + length;
        let short = length <= SHORT_OCTETS && offset + SHORT_OCTETS <= self.octets;
        // SAFETY: the source is inside the region; room was reserved for what is copied, and the vector's memory is
        // not in the region; `length` octets of it are then initialised.
        unsafe {
            let target = out.as_mut_ptr().add(out.len());
            if short {
                target.copy_from_nonoverlapping(place, SHORT_OCTETS);
            } else {
                target.copy_from_nonoverlapping(place, length);
            }
            out.set_len(end);
        }
        true
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` got this region and nobody else unmaps it; what refers to it holds the mapping alive.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.octets) };
    }
}
