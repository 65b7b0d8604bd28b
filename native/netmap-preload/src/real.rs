//! The C library's own functions, found behind ours.
use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{fd_set, mode_t, nfds_t, off_t, pollfd, sigset_t, size_t, timespec, timeval};

/// Looked up once; a C library without it is not one that we were built for.
fn find(cache: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut found = cache.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name is a terminated string.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if found.is_null() {
            std::process::abort();
        }
        cache.store(found, Ordering::Relaxed);
    }
    found
}

macro_rules! functions {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        pub(crate) unsafe fn $name($($argument: $kind),*) -> $answer {
            static FOUND: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name holds no zero"),
            };
            let function = find(&FOUND, NAME);
            // SAFETY: the C library's function of this name has this type; the arguments are the caller's.
            unsafe {
                let function: unsafe extern "C" fn($($kind),*) -> $answer = std::mem::transmute(function);
                function($($argument),*)
            }
        }
    )*};
}

functions! {
    open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    openat64(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    __open_2(path: *const c_char, flags: c_int) -> c_int;
    __open64_2(path: *const c_char, flags: c_int) -> c_int;
    close(file: c_int) -> c_int;
    ioctl(file: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
    mmap(start: *mut c_void, octets: size_t, protection: c_int, flags: c_int, file: c_int, offset: off_t) -> *mut c_void;
    mmap64(start: *mut c_void, octets: size_t, protection: c_int, flags: c_int, file: c_int, offset: off_t) -> *mut c_void;
    poll(entries: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    ppoll(entries: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int;
    select(count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *mut timeval) -> c_int;
    pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
}
