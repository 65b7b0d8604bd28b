//! A simulated kernel: the shared file, and what a process does with it.
#![allow(unsafe_code)]
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::abi::{call, limit};
use crate::control_request;
use crate::descriptor::{Descriptor, Mapping};
use crate::errno::Errno;
use crate::legacy;
use crate::memory::SYSTEM_GEOMETRY;
use crate::poll::{Polled, Want};
use crate::shared::{FILE_OCTETS, Shared};
use crate::user::Address;

/// An open `/dev/netmap`, in whichever process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DescriptorId(pub(crate) u32);

/// A simulated kernel, mapped into this process.  Cheap to clone.
#[derive(Clone)]
pub struct Simulation(Arc<Shared>);

impl Simulation {
    /// A new one, in memory without a name; other processes `attach` to its `file`.
    pub fn create() -> io::Result<Self> {
        let file = Shared::create_file()?;
        Self::initialise(&file)?;
        Self::attach(file)
    }

    /// Make an empty file (on tmpfs) one that can be attached to.
    pub fn initialise(file: &OwnedFd) -> io::Result<()> {
        File::from(file.try_clone()?).set_len(FILE_OCTETS)?;
        let shared = Shared::map(file.try_clone()?)?;
        shared.control().initialise();
        shared
            .create_region(limit::SYSTEM_MEMORY_ID, &SYSTEM_GEOMETRY)
            .map_err(|Errno(code)| io::Error::from_raw_os_error(code))?;
        shared.control().last_region_id.set(u32::from(limit::SYSTEM_MEMORY_ID));
        Ok(())
    }

    /// One that another process, or this one, has made.
    pub fn attach(file: OwnedFd) -> io::Result<Self> {
        let shared = Shared::map(file)?;
        if !shared.control().is_ours() {
            let message = "this file was made by another version, or is no file of a simulated netmap";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Self(Arc::new(shared)))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The shared file, to be handed to other processes.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.file().as_fd()
    }

    /// As `open("/dev/netmap", O_RDWR | O_CLOEXEC)`.
    pub fn open(&self) -> Result<Descriptor, Errno> {
        Descriptor::open(self)
    }

    /// As `open`, but the file alone: for whoever has to give it to a program.  `reap` is to be called when it closed it.
    pub fn open_file(&self) -> Result<OwnedFd, Errno> {
        Ok(self.0.open_descriptor()?.0)
    }

    /// As `ioctl(2)` on `/dev/netmap`, without the -1.
    ///
    /// # Safety
    /// As for `Descriptor::ioctl`.
    pub unsafe fn ioctl(&self, id: DescriptorId, request: u64, argument: *mut c_void) -> Result<i32, Errno> {
        let argument = Address(argument.addr() as u64);
        let state = self.0.state(id).ok_or(Errno(libc::EBADF))?;
        match request & 0xffff_ffff {
            call::TX_SYNC => self.0.sync_all(state, Want::Tx),
            call::RX_SYNC => self.0.sync_all(state, Want::Rx),
            call::CONTROL => control_request::answer(&self.0, state, argument),
            call::LEGACY_REGISTER => legacy::register(&self.0, state, argument),
            call::LEGACY_INFO => legacy::info(&self.0, argument),
            _ => Err(Errno(libc::EOPNOTSUPP)),
        }
        .map(|()| 0)
    }

    /// What a descriptor maps.  EINVAL: not registered.
    pub fn mapping(&self, id: DescriptorId) -> Result<Mapping, Errno> {
        let state = self.0.state(id).ok_or(Errno(libc::EBADF))?;
        let region = state.region.index().and_then(|index| self.0.control().regions.get(index));
        let region = region.ok_or(Errno(libc::EINVAL))?;
        Ok(Mapping { offset: region.base.get(), octets: region.memory_octets.get() })
    }

    /// As `poll(2)` on descriptors of ours: how many have an answer; 0 when `timeout` (None: never) is over.
    pub fn poll(&self, entries: &mut [Polled], timeout: Option<Duration>) -> Result<usize, Errno> {
        self.0.poll(entries, timeout)
    }

    /// Release what closed files held.  `open` and registering do so as well.
    pub fn reap(&self) {
        self.0.reap();
    }
}
