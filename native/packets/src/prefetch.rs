//! A hint that memory will be read soon.

/// Ask for the cache line that holds octet `at`; anything outside `octets` is ignored.
#[inline(always)]
pub(crate) fn prefetch(octets: &[u8], at: u64) {
    #[cfg(target_arch = "x86_64")]
    if at < octets.len() as u64 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[allow(unsafe_code)]
        // SAFETY: `at` is inside the slice, so the pointer stays in its allocation; a prefetch reads nothing.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(octets.as_ptr().add(at as usize).cast::<i8>());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (octets, at);
}
