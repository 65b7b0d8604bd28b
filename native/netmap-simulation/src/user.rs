//! Memory of the caller, at addresses that it gave us: read and written as a kernel does, with EFAULT where it is not.
#![allow(unsafe_code)]
use std::ffi::c_void;

use crate::errno::Errno;

/// An address in the calling process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) u64);

impl Address {
    /// Copy `octets.len()` octets from here.
    pub(crate) fn read(self, octets: &mut [u8]) -> Result<(), Errno> {
        let local = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
        let remote = libc::iovec { iov_base: self.0 as *mut c_void, iov_len: octets.len() };
        // SAFETY: the local vector is a borrowed slice; the remote one is checked by the kernel.
        let moved = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
        whole(moved, octets.len())
    }

    /// Copy `octets` to here.
    pub(crate) fn write(self, octets: &[u8]) -> Result<(), Errno> {
        let local = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        let remote = libc::iovec { iov_base: self.0 as *mut c_void, iov_len: octets.len() };
        // SAFETY: the local vector is a borrowed slice and only read; the remote one is checked by the kernel, and the
        // caller of the ioctl has given us leave to write there.
        let moved = unsafe { libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
        whole(moved, octets.len())
    }

    /// The address `octets` further on.
    pub(crate) fn after(self, octets: usize) -> Self {
        Self(self.0.wrapping_add(octets as u64))
    }
}

fn whole(moved: isize, wanted: usize) -> Result<(), Errno> {
    match usize::try_from(moved) {
        Ok(moved) if moved == wanted => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(_) => Err(Errno::last()),
    }
}

/// Numbers at fixed places of a copied structure.
pub(crate) trait Fields {
    fn u16_at(&self, at: usize) -> u16;
    fn u32_at(&self, at: usize) -> u32;
    fn u64_at(&self, at: usize) -> u64;
    fn put_u16(&mut self, at: usize, value: u16);
    fn put_u32(&mut self, at: usize, value: u32);
    fn put_u64(&mut self, at: usize, value: u64);
}

fn cut<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets.get(at..at + N).and_then(|piece| piece.try_into().ok()).unwrap_or([0; N])
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

impl Fields for [u8] {
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes(cut(self, at))
    }
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(cut(self, at))
    }
    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(cut(self, at))
    }
    fn put_u16(&mut self, at: usize, value: u16) {
        put(self, at, &value.to_le_bytes());
    }
    fn put_u32(&mut self, at: usize, value: u32) {
        put(self, at, &value.to_le_bytes());
    }
    fn put_u64(&mut self, at: usize, value: u64) {
        put(self, at, &value.to_le_bytes());
    }
}
