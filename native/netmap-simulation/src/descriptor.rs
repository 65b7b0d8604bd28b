//! An open `/dev/netmap`.
//!
//! It is an open file of the shared file, with a lock on one octet far behind its end, and that octet as its position.
//! The kernel keeps both for us as long as the file is open or mapped anywhere: after `dup`, `fork`, `exec`, after it was
//! sent to another process, and after its opener was killed.  So the lock says which descriptors live, and the position
//! which one a file is.
#![allow(unsafe_code)]
use std::ffi::c_void;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use crate::errno::Errno;
use crate::poll::Polled;
use crate::shared::Shared;
use crate::simulation::{DescriptorId, Simulation};
use crate::tables::{DESCRIPTORS, DescriptorState};

/// Position of the first descriptor's file; no file is as long.
const POSITION: i64 = 0x6e6d_0000_0000_0000;

/// What a registered descriptor maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// To be added to the offset that the user gives to `mmap`.
    pub offset: u64,
    /// Octets from there on; more cannot be mapped.
    pub octets: u64,
}

/// An open `/dev/netmap` of this process.  Closed when dropped; what was mapped through its file keeps the registration.
pub struct Descriptor {
    simulation: Simulation,
    file: Option<OwnedFd>,
    id: DescriptorId,
}

impl Descriptor {
    pub(crate) fn open(simulation: &Simulation) -> Result<Self, Errno> {
        let (file, id) = simulation.shared().open_descriptor()?;
        Ok(Self { simulation: simulation.clone(), file: Some(file), id })
    }

    /// Its number in the simulation.
    pub fn id(&self) -> DescriptorId {
        self.id
    }

    /// As `ioctl(2)` on `/dev/netmap`, without the -1.
    ///
    /// # Safety
    /// As for `ioctl(2)`: `argument`, and the addresses in what it points to, must be those of memory that `request` may
    /// read and write.  Addresses where nothing is mapped are answered with EFAULT.
    pub unsafe fn ioctl(&self, request: u64, argument: *mut c_void) -> Result<i32, Errno> {
        // SAFETY: as the caller promises.
        unsafe { self.simulation.ioctl(self.id, request, argument) }
    }

    /// What `mmap` on `file` must be given.  EINVAL: not registered.
    pub fn mapping(&self) -> Result<Mapping, Errno> {
        self.simulation.mapping(self.id)
    }

    /// As `poll(2)` on this descriptor alone: the answer, 0 when `timeout` (None: never) is over.
    pub fn poll(&self, events: i16, timeout: Option<Duration>) -> Result<i16, Errno> {
        let mut entry = [Polled { descriptor: self.id, events, revents: 0 }];
        self.simulation.poll(&mut entry, timeout)?;
        Ok(entry[0].revents)
    }

    /// The file to map.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_ref().map_or_else(|| self.simulation.file(), AsFd::as_fd)
    }

    /// Close it now; what a drop does.
    pub fn close(self) {}
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        drop(self.file.take());
        self.simulation.shared().reap();
    }
}

impl Shared {
    pub(crate) fn state(&self, id: DescriptorId) -> Option<&DescriptorState> {
        self.control().descriptors.get(id.0 as usize).filter(|state| state.used.is_set())
    }

    pub(crate) fn open_descriptor(&self) -> Result<(OwnedFd, DescriptorId), Errno> {
        let control = self.control();
        let _lock = control.lock.lock();
        self.reap_locked();
        let index = control.descriptors.iter().position(|state| !state.used.is_set()).ok_or(Errno(libc::ENFILE))?;
        let path = format!("/proc/self/fd/{}", self.file().as_raw_fd());
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(path)?;
        let file = OwnedFd::from(file);
        let position = POSITION + index as i64;
        // SAFETY: system calls on our own descriptor.
        if unsafe { libc::lseek(file.as_raw_fd(), position, libc::SEEK_SET) } != position {
            return Err(Errno::last());
        }
        let mut lock = octet(position, libc::F_WRLCK);
        // SAFETY: as above; the structure lives until the call returns.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) } != 0 {
            return Err(Errno::last());
        }
        let state = &control.descriptors[index];
        state.port.refer(None);
        state.region.refer(None);
        state.used.set(1);
        Ok((file, DescriptorId(index as u32)))
    }

    /// Release what descriptors held that are open nowhere any more.
    pub(crate) fn reap(&self) {
        let _lock = self.control().lock.lock();
        self.reap_locked();
    }

    /// As `reap`, with the control lock held.
    pub(crate) fn reap_locked(&self) {
        for (index, state) in self.control().descriptors.iter().enumerate() {
            if state.used.is_set() && !self.is_open(index) {
                self.unregister(state);
                state.used.set(0);
            }
        }
    }

    fn is_open(&self, index: usize) -> bool {
        let mut lock = octet(POSITION + index as i64, libc::F_WRLCK);
        // SAFETY: a system call on our own descriptor; the structure lives until it returns.
        let status = unsafe { libc::fcntl(self.file().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        status != 0 || i32::from(lock.l_type) != libc::F_UNLCK
    }
}

/// Which descriptor an open file of this process is, if it is one of any simulation at all.
pub fn identify(file: RawFd) -> Option<DescriptorId> {
    // SAFETY: a system call that changes nothing, whatever the descriptor is.
    let position = unsafe { libc::lseek(file, 0, libc::SEEK_CUR) };
    let index = position.checked_sub(POSITION)?;
    (0..DESCRIPTORS as i64).contains(&index).then_some(DescriptorId(index as u32))
}

fn octet(position: i64, kind: i32) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: position, l_len: 1, l_pid: 0 }
}
