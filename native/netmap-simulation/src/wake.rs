//! Waiting for a word of shared memory to change, across processes.
#![allow(unsafe_code)]
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::errno::Errno;

/// Counts what happened, and who waits for it.
#[repr(C)]
pub(crate) struct Bell {
    rung: AtomicU32,
    waiters: AtomicU32,
}

impl Bell {
    /// To be taken before looking at what the bell is for.
    pub(crate) fn ticket(&self) -> u32 {
        self.rung.load(Ordering::SeqCst)
    }

    /// Say that somebody is going to wait; from then on `ring` calls the system.
    pub(crate) fn enter(&self) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wake whoever waits.
    #[inline]
    pub(crate) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) != 0 {
            // SAFETY: the word is mapped; the call reads no memory of ours but it.
            unsafe { libc::syscall(libc::SYS_futex, self.rung.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
    }

    /// Wait until the bell was rung after `ticket` or the time is over (None: never).  Err(EINTR): a signal came.
    pub(crate) fn wait(&self, ticket: u32, until: Option<Instant>) -> Result<(), Errno> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let limit = left.map(timespec);
        let limit = limit.as_ref().map_or(null(), |limit| limit as *const libc::timespec);
        // SAFETY: the word is mapped and the limit lives until the call returns.
        let status = unsafe {
            libc::syscall(libc::SYS_futex, self.rung.as_ptr(), libc::FUTEX_WAIT, ticket, limit, null_mut::<u32>(), 0u32)
        };
        if status == 0 {
            return Ok(());
        }
        match Errno::last() {
            Errno(libc::EAGAIN | libc::ETIMEDOUT) => Ok(()),
            other => Err(other),
        }
    }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}
