//! Memory for columns.  Fresh memory costs a page fault per 4 KiB, which is dearer than finding the packets
//! whose columns fill it: large vectors ask for huge pages.

/// From here on huge pages are asked for.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// Make room for `more` values, in huge pages where that is worth it.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() >= more {
        return;
    }
    values.reserve_exact(more);
    #[cfg(target_os = "linux")]
    ask_for_huge_pages(values);
}

#[cfg(target_os = "linux")]
fn ask_for_huge_pages<T>(values: &mut Vec<T>) {
    const PAGE: usize = 4096;
    let spare = values.spare_capacity_mut();
    let octets = size_of_val(spare);
    if octets < LARGE {
        return;
    }
    let first = spare.as_mut_ptr() as usize;
    let (from, to) = (first.next_multiple_of(PAGE), (first + octets) / PAGE * PAGE);
    #[allow(unsafe_code)]
    // SAFETY: the pages lie inside one allocation of ours; the advice changes how they are backed, not what
    // they hold.  A refusal leaves ordinary pages, so the result does not matter.
    unsafe {
        libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE);
    }
}

/// Give back memory that a wrong estimate reserved; a little slack stays.
pub(crate) fn trim<T>(values: &mut Vec<T>) {
    if values.capacity() > 2 * values.len() + 1024 {
        values.shrink_to_fit();
    }
}
