//! Waiting for rings: a poll syncs, looks, and waits for somebody else's sync.
use std::time::{Duration, Instant};

use crate::abi::{register_flag, ring as at};
use crate::errno::Errno;
use crate::shared::Shared;
use crate::simulation::DescriptorId;
use crate::tables::{DescriptorState, Port};

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Tx,
    Rx,
}

const READ: i16 = libc::POLLIN | libc::POLLRDNORM;
const WRITE: i16 = libc::POLLOUT | libc::POLLWRNORM;

/// One entry of a poll: what is asked of which descriptor, and the answer.
#[derive(Clone, Copy, Debug)]
pub struct Polled {
    /// Which.
    pub descriptor: DescriptorId,
    /// As in `struct pollfd`.
    pub events: i16,
    /// As in `struct pollfd`.
    pub revents: i16,
}

impl Shared {
    /// Wait until at least one entry has an answer, or for `timeout` (None: for ever); how many have.
    pub(crate) fn poll(&self, entries: &mut [Polled], timeout: Option<Duration>) -> Result<usize, Errno> {
        let ready = self.poll_once(entries);
        if ready != 0 || timeout == Some(Duration::ZERO) {
            return Ok(ready);
        }
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let control = self.control();
        let single = match entries {
            [entry] => self.state(entry.descriptor).and_then(|state| control.ports.get(state.port.index()?)),
            _ => None,
        };
        let bell = single.map_or(&control.bell, |port| &port.bell);
        bell.enter();
        let answer = loop {
            let ticket = bell.ticket();
            let ready = self.poll_once(entries);
            if ready != 0 || until.is_some_and(|until| Instant::now() >= until) {
                break Ok(ready);
            }
            if let Err(error) = bell.wait(ticket, until) {
                break Err(error);
            }
        };
        bell.leave();
        answer
    }

    /// Sync and look, without waiting.
    pub(crate) fn poll_once(&self, entries: &mut [Polled]) -> usize {
        for entry in &mut *entries {
            entry.revents = match self.state(entry.descriptor) {
                Some(state) => self.poll_descriptor(state, entry.events),
                None => libc::POLLNVAL,
            };
        }
        entries.iter().filter(|entry| entry.revents != 0).count()
    }

    fn poll_descriptor(&self, state: &DescriptorState, events: i16) -> i16 {
        let Ok(port) = self.registered(state) else { return libc::POLLERR };
        let flags = state.flags.get();
        let mut answer = 0;
        if events & WRITE != 0 || flags & register_flag::NO_TX_POLL == 0 {
            answer |= self.poll_tx(state, port, events & WRITE);
        }
        if events & READ != 0 || flags & register_flag::DO_RX_POLL != 0 {
            answer |= self.poll_rx(state, port, events & READ);
        }
        answer
    }

    /// Send what there is; where room is asked for, sync even rings with nothing to send, to see it.
    fn poll_tx(&self, state: &DescriptorState, port: &Port, asked: i16) -> i16 {
        let mut answer = 0;
        for index in self.bound_rings(state, port, Want::Tx) {
            let Some(bound) = self.bound(index) else { continue };
            let (header, hwcur) = (bound.ring.header.get(), bound.ring.hwcur.get());
            let idle = self.load(header + at::HEAD) == hwcur && self.load(header + at::CUR) == hwcur;
            if self.has_unseen(bound.ring) {
                answer |= asked;
            }
            if idle && (asked == 0 || self.has_unseen(bound.ring)) {
                continue;
            }
            let Some(_busy) = bound.ring.busy.try_lock() else { continue };
            if bound.ring.used.is_set() {
                if self.sync_tx(bound).is_err() {
                    answer |= libc::POLLERR;
                }
                if bound.ring.rcur.get() != bound.ring.rtail.get() {
                    answer |= asked;
                }
            }
        }
        answer
    }

    fn poll_rx(&self, state: &DescriptorState, port: &Port, asked: i16) -> i16 {
        let mut answer = 0;
        for index in self.bound_rings(state, port, Want::Rx) {
            let Some(bound) = self.bound(index) else { continue };
            let Some(_busy) = bound.ring.busy.try_lock() else { continue };
            if bound.ring.used.is_set() {
                if self.sync_rx(bound).is_err() {
                    answer |= libc::POLLERR;
                }
                if bound.ring.rcur.get() != bound.ring.rtail.get() {
                    answer |= asked;
                }
            }
        }
        answer
    }
}
