//! Loaded before a program (`LD_PRELOAD`): its `/dev/netmap` is answered from the simulated kernel side.
//!
//! A netmap descriptor is an open file of the simulation, which says by itself which one it is; so there is nothing to
//! keep here, and `dup`, `fork`, `exec` and sending it to another process need no help of ours.  What is interposed is
//! what the system would answer otherwise: opening, `ioctl`, `mmap`, waiting; and `close`, to release at once.
//!
//! Variadic functions are defined with the arguments that they can have: on Linux those are passed alike.
#![allow(unsafe_code, unreachable_pub, clippy::missing_safety_doc)] // each function is called as the C library's of the same name

mod device;
mod real;
mod waiting;

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::fs::OpenOptions;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use libc::{off_t, size_t};
use netmap_simulation::{DescriptorId, Errno, Simulation, identify};

/// Names the file of the simulation.
const REGION: &str = "NETMAP_IO_REGION";
const DEVICE: &CStr = c"/dev/netmap";

/// The simulation of this process, attached to when first needed.
pub(crate) fn simulation() -> Result<&'static Simulation, Errno> {
    static SIMULATION: OnceLock<Option<Simulation>> = OnceLock::new();
    SIMULATION.get_or_init(attach).as_ref().ok_or(Errno(libc::ENOENT))
}

fn attach() -> Option<Simulation> {
    let path = std::env::var_os(REGION)?;
    let open = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(&path);
    let simulation = open.and_then(|file| Simulation::attach(OwnedFd::from(file)));
    if let Err(error) = &simulation {
        eprintln!("netmap-io: the simulated netmap of {} cannot be used: {error}", path.to_string_lossy());
    }
    simulation.ok()
}

/// Which netmap descriptor a file is.
pub(crate) fn netmap(file: c_int) -> Option<DescriptorId> {
    if file < 0 {
        return None;
    }
    let before = errno();
    let found = identify(file);
    set_errno(before); // a look that found nothing leaves no trace
    found
}

pub(crate) fn errno() -> i32 {
    // SAFETY: the address is that of this thread's errno.
    unsafe { *libc::__errno_location() }
}

pub(crate) fn set_errno(code: i32) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = code };
}

/// The value, or -1 and errno.
pub(crate) fn answer(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(|Errno(code)| {
        set_errno(code);
        -1
    })
}

/// Whether a path given to an opening function is the device.
unsafe fn is_device(path: *const c_char) -> bool {
    // SAFETY: the caller passes a terminated string or null.
    !path.is_null() && unsafe { CStr::from_ptr(path) } == DEVICE
}

fn open_device(flags: c_int) -> c_int {
    let opened = simulation().and_then(Simulation::open_file).map(IntoRawFd::into_raw_fd);
    if let (Ok(file), 0) = (opened, flags & libc::O_CLOEXEC) {
        // SAFETY: a system call on the descriptor just opened.
        unsafe { libc::fcntl(file, libc::F_SETFD, 0) };
    }
    answer(opened)
}

macro_rules! openers {
    ($($name:ident($($first:ident: $kind:ty),*);)*) => {$(
        #[doc = concat!("`", stringify!($name), "`")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($first: $kind,)* path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
            // SAFETY: the arguments are the caller's.
            unsafe {
                if is_device(path) { open_device(flags) } else { real::$name($($first,)* path, flags, mode) }
            }
        }
    )*};
}

openers! {
    open();
    open64();
    openat(directory: c_int);
    openat64(directory: c_int);
}

macro_rules! fortified_openers {
    ($($name:ident)*) => {$(
        #[doc = concat!("`", stringify!($name), "`: `open` as compilers that check arguments call it")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, flags: c_int) -> c_int {
            // SAFETY: the arguments are the caller's.
            unsafe { if is_device(path) { open_device(flags) } else { real::$name(path, flags) } }
        }
    )*};
}

fortified_openers!(__open_2 __open64_2);

/// `close`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(file: c_int) -> c_int {
    let ours = netmap(file);
    // SAFETY: the argument is the caller's.
    let status = unsafe { real::close(file) };
    // Attaching closes files too: only when it was one of ours is there a simulation to speak of.
    if ours.is_some()
        && let Ok(simulation) = simulation()
    {
        simulation.reap();
    }
    status
}

/// `ioctl`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioctl(file: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    const OF_ANY_FILE: [c_ulong; 4] = [libc::FIONBIO, libc::FIOCLEX, libc::FIONCLEX, libc::FIOASYNC];
    match netmap(file) {
        Some(id) if !OF_ANY_FILE.contains(&request) => {
            // SAFETY: the argument is the caller's.
            answer(simulation().and_then(|simulation| unsafe { simulation.ioctl(id, request, argument) }))
        }
        // SAFETY: as above.
        _ => unsafe { device::answer(request, argument).unwrap_or_else(|| real::ioctl(file, request, argument)) },
    }
}

fn mapped_offset(id: DescriptorId, octets: size_t, offset: off_t) -> Result<off_t, Errno> {
    let mapping = simulation()?.mapping(id)?;
    let end = u64::try_from(offset).ok().and_then(|offset| offset.checked_add(octets as u64));
    if end.is_none_or(|end| end > mapping.octets.next_multiple_of(4096)) {
        return Err(Errno(libc::EINVAL));
    }
    Ok(offset + mapping.offset as off_t)
}

macro_rules! mappers {
    ($($name:ident)*) => {$(
        #[doc = concat!("`", stringify!($name), "`")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            start: *mut c_void, octets: size_t, protection: c_int, flags: c_int, file: c_int, offset: off_t,
        ) -> *mut c_void {
            let ours = if flags & libc::MAP_ANONYMOUS == 0 { netmap(file) } else { None };
            match ours.map_or(Ok(offset), |id| mapped_offset(id, octets, offset)) {
                // SAFETY: the arguments are the caller's.
                Ok(offset) => unsafe { real::$name(start, octets, protection, flags, file, offset) },
                Err(Errno(code)) => {
                    set_errno(code);
                    libc::MAP_FAILED
                }
            }
        }
    )*};
}

mappers!(mmap mmap64);
