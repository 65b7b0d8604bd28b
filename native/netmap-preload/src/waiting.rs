//! `poll` and `select`: netmap descriptors wait in the simulation, others in the system, both in turns.
use std::ffi::c_int;
use std::time::{Duration, Instant};

use libc::{fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};
use netmap_simulation::{Errno, Polled};

use crate::{answer, errno, netmap, real, simulation};

/// How long a wait for both kinds leaves the others unlooked at.
const TURN: Duration = Duration::from_micros(500);

/// Entries of one poll, apart by kind.
struct Mixed {
    ours: Vec<Polled>,
    /// Where the answers of ours go.
    places: Vec<usize>,
    /// As given, ours taken out.
    others: Vec<pollfd>,
}

impl Mixed {
    /// None: there is nothing of ours.
    fn of(entries: &[pollfd]) -> Option<Self> {
        let mut mixed = Self { ours: Vec::new(), places: Vec::new(), others: Vec::new() };
        for (place, entry) in entries.iter().enumerate() {
            if let Some(descriptor) = netmap(entry.fd) {
                mixed.ours.push(Polled { descriptor, events: entry.events, revents: 0 });
                mixed.places.push(place);
            }
        }
        if mixed.ours.is_empty() {
            return None;
        }
        mixed.others.extend_from_slice(entries);
        mixed.places.iter().for_each(|&place| mixed.others[place].fd = -1);
        Some(mixed)
    }

    fn has_others(&self) -> bool {
        self.others.iter().any(|entry| entry.fd >= 0)
    }

    fn look_at_others(&mut self) -> Result<usize, Errno> {
        // SAFETY: the entries are ours.
        let found = unsafe { real::poll(self.others.as_mut_ptr(), self.others.len() as nfds_t, 0) };
        usize::try_from(found).map_err(|_| Errno(errno()))
    }

    /// Wait; how many have an answer.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, Errno> {
        let simulation = simulation()?;
        if !self.has_others() {
            return simulation.poll(&mut self.ours, timeout);
        }
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let found = self.look_at_others()?;
            let left = until.map_or(TURN, |until| until.saturating_duration_since(Instant::now()).min(TURN));
            let turn = if found == 0 { left } else { Duration::ZERO };
            let found = found + simulation.poll(&mut self.ours, Some(turn))?;
            if found != 0 || left.is_zero() {
                return Ok(found);
            }
        }
    }

    fn write_back(&self, entries: &mut [pollfd]) {
        for (entry, other) in entries.iter_mut().zip(&self.others) {
            entry.revents = if other.fd >= 0 { other.revents } else { 0 };
        }
        for (&place, polled) in self.places.iter().zip(&self.ours) {
            entries[place].revents = polled.revents;
        }
    }
}

/// # Safety
/// `entries` are `count` entries, or null and none.
unsafe fn mixed<'a>(entries: *mut pollfd, count: nfds_t) -> Option<(Mixed, &'a mut [pollfd])> {
    if entries.is_null() || count == 0 {
        return None;
    }
    // SAFETY: as the caller says.
    let entries = unsafe { std::slice::from_raw_parts_mut(entries, usize::try_from(count).ok()?) };
    Some((Mixed::of(entries)?, entries))
}

fn finish(mut mixed: Mixed, entries: &mut [pollfd], timeout: Option<Duration>) -> c_int {
    let found = mixed.wait(timeout);
    if found.is_ok() {
        mixed.write_back(entries);
    }
    answer(found.map(|found| found as c_int))
}

/// `poll`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll(entries: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the arguments are the caller's.
    unsafe {
        match mixed(entries, count) {
            None => real::poll(entries, count, timeout),
            Some((mixed, entries)) => finish(mixed, entries, u64::try_from(timeout).ok().map(Duration::from_millis)),
        }
    }
}

/// `poll` as compilers that check arguments call it
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __poll_chk(entries: *mut pollfd, count: nfds_t, timeout: c_int, octets: usize) -> c_int {
    if octets / size_of::<pollfd>() < count as usize {
        std::process::abort();
    }
    // SAFETY: the arguments are the caller's.
    unsafe { poll(entries, count, timeout) }
}

/// `ppoll`; the mask is set and put back around the wait, not in one step with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    entries: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the arguments are the caller's.
    unsafe {
        match mixed(entries, count) {
            None => real::ppoll(entries, count, timeout, mask),
            Some((mixed, entries)) => {
                let timeout = duration(timeout);
                masked(mask, || finish(mixed, entries, timeout))
            }
        }
    }
}

unsafe fn duration(time: *const timespec) -> Option<Duration> {
    // SAFETY: null or the caller's.
    let time = unsafe { time.as_ref() }?;
    let (seconds, nanoseconds) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
    Some(Duration::new(seconds, nanoseconds))
}

unsafe fn masked(mask: *const sigset_t, wait: impl FnOnce() -> c_int) -> c_int {
    if mask.is_null() {
        return wait();
    }
    // SAFETY: the mask is the caller's; the old one is written before it is read.
    unsafe {
        let mut old: sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, &raw mut old);
        let found = wait();
        let code = errno();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut());
        crate::set_errno(code);
        found
    }
}

/// The three sets of a select.
struct Sets([*mut fd_set; 3]);

const ASKED: [i16; 3] = [libc::POLLIN, libc::POLLOUT, libc::POLLPRI];
const ANSWERED: [i16; 3] = [libc::POLLIN | libc::POLLHUP | libc::POLLERR, libc::POLLOUT | libc::POLLERR, libc::POLLPRI];

impl Sets {
    /// As entries of a poll.
    unsafe fn entries(&self, count: c_int) -> Vec<pollfd> {
        let mut entries = Vec::new();
        for fd in 0..count.clamp(0, libc::FD_SETSIZE as c_int) {
            let mut events = 0;
            for (&set, asked) in self.0.iter().zip(ASKED) {
                // SAFETY: a set of the caller's, or null; the number is below the size of a set.
                if !set.is_null() && unsafe { libc::FD_ISSET(fd, set) } {
                    events |= asked;
                }
            }
            if events != 0 {
                entries.push(pollfd { fd, events, revents: 0 });
            }
        }
        entries
    }

    /// The answers into the sets; how many there are.
    unsafe fn fill(&self, entries: &[pollfd]) -> c_int {
        let mut found = 0;
        for ((&set, asked), answered) in self.0.iter().zip(ASKED).zip(ANSWERED) {
            for entry in entries.iter().filter(|entry| !set.is_null() && entry.events & asked != 0) {
                // SAFETY: as above.
                unsafe {
                    if entry.revents & answered == 0 {
                        libc::FD_CLR(entry.fd, set);
                    } else {
                        found += 1;
                    }
                }
            }
        }
        found
    }

    /// None: there is nothing of ours.
    unsafe fn wait(&self, count: c_int, timeout: Option<Duration>) -> Option<c_int> {
        // SAFETY: as above.
        unsafe {
            let mut entries = self.entries(count);
            let mut mixed = Mixed::of(&entries)?;
            let found = mixed.wait(timeout);
            mixed.write_back(&mut entries);
            Some(answer(found.map(|_| self.fill(&entries))))
        }
    }
}

/// `select`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    // SAFETY: the arguments are the caller's; the time left is written back as the system does.
    unsafe {
        let limit = timeout.as_ref().map(|time| {
            Duration::new(time.tv_sec.try_into().unwrap_or(0), 0)
                + Duration::from_micros(time.tv_usec.try_into().unwrap_or(0))
        });
        let begin = Instant::now();
        match Sets([read, write, except]).wait(count, limit) {
            None => real::select(count, read, write, except, timeout),
            Some(found) => {
                if let (Some(time), Some(limit)) = (timeout.as_mut(), limit) {
                    let left = limit.saturating_sub(begin.elapsed());
                    time.tv_sec = left.as_secs().try_into().unwrap_or(0);
                    time.tv_usec = left.subsec_micros().into();
                }
                found
            }
        }
    }
}

/// `pselect`; the mask as in `ppoll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the arguments are the caller's.
    unsafe {
        let sets = Sets([read, write, except]);
        if Mixed::of(&sets.entries(count)).is_none() {
            return real::pselect(count, read, write, except, timeout, mask);
        }
        let limit = duration(timeout);
        masked(mask, || sets.wait(count, limit).unwrap_or(0))
    }
}
