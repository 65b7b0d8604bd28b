//! Faults on demand: a word of a ring overwritten at a given sync.  Faults of interfaces and allocators are words of theirs.
use crate::abi::ring as at;
use crate::errno::Errno;
use crate::shared::Shared;
use crate::tables::Ring;

/// A ring by its port's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingName<'a> {
    /// As registered.
    pub port: &'a str,
    /// Transmit or receive.
    pub transmit: bool,
    /// Hardware rings first, then the host's.
    pub number: usize,
}

/// A word to be overwritten, as a hostile user or broken memory would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorruptWord {
    /// How many syncs of the ring from now: 1 is the next one.
    pub after_syncs: u32,
    /// Octets from the ring's header; a multiple of 4.
    pub offset: u32,
    /// What is written there.
    pub value: u32,
}

/// Arrange for `word` to be overwritten.  The ring must exist.
pub(crate) fn arm(shared: &Shared, ring: usize, word: CorruptWord) -> Result<(), Errno> {
    let control = shared.control();
    let state = control.faults.iter().find(|fault| !fault.used.is_set()).ok_or(Errno(libc::ENOMEM))?;
    let target = control.rings.get(ring).ok_or(Errno(libc::ENXIO))?;
    if !word.offset.is_multiple_of(4)
        || u64::from(word.offset) >= at::SLOTS + u64::from(target.slots.get()) * at::SLOT_OCTETS
    {
        return Err(Errno(libc::EINVAL));
    }
    let syncs = target.syncs.get();
    state.ring.refer(Some(ring));
    state.at_sync.set(syncs.wrapping_add(word.after_syncs.max(1)));
    state.offset.set(word.offset);
    state.value.set(word.value);
    state.used.set(1);
    control.faults_armed.add(1);
    Ok(())
}

/// At each sync, before anything is looked at.
#[inline(always)]
pub(crate) fn strike(shared: &Shared, ring: &Ring) {
    let syncs = ring.syncs.add(1);
    if shared.control().faults_armed.get() != 0 {
        apply(shared, ring, syncs);
    }
}

#[cold]
fn apply(shared: &Shared, ring: &Ring, syncs: u32) {
    let control = shared.control();
    let is_due = |index: Option<usize>, at: u32| {
        at == syncs && index.and_then(|index| control.rings.get(index)).is_some_and(|found| std::ptr::eq(found, ring))
    };
    for fault in &control.faults {
        if fault.used.is_set() && is_due(fault.ring.index(), fault.at_sync.get()) {
            shared.store(ring.header.get() + u64::from(fault.offset.get()), fault.value.get());
            fault.used.set(0);
            control.faults_armed.add(u32::MAX); // one less
        }
    }
}
