//! A lock in shared memory that outlives its holder: whoever dies holding it leaves it to the next.
#![allow(unsafe_code)]
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Zeroed memory until `initialise`.
#[repr(C)]
pub(crate) struct Lock(UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>);

// SAFETY: a process-shared mutex is made to be used by any thread of any process that maps it.
unsafe impl Sync for Lock {}

/// Held until dropped.
pub(crate) struct Guard<'a>(&'a Lock, PhantomData<*const ()>); // of this thread: not Send

impl Lock {
    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.0.get().cast()
    }

    /// Once, by whoever creates the shared file, before anybody else maps it.
    pub(crate) fn initialise(&self) {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised by the first call and live until the last; the mutex lies in mapped
        // memory, aligned as its type asks, and nobody uses it yet.
        unsafe {
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(self.mutex(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
        }
    }

    /// Wait for it.
    pub(crate) fn lock(&self) -> Guard<'_> {
        // SAFETY: initialised when the file was made.
        let status = unsafe { libc::pthread_mutex_lock(self.mutex()) };
        self.taken(status);
        Guard(self, PhantomData)
    }

    /// None: somebody holds it.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_>> {
        // SAFETY: as above.
        let status = unsafe { libc::pthread_mutex_trylock(self.mutex()) };
        if status == 0 || status == libc::EOWNERDEAD {
            self.taken(status);
            return Some(Guard(self, PhantomData));
        }
        None
    }

    fn taken(&self, status: i32) {
        if status == libc::EOWNERDEAD {
            // What it guards is moved word by word, the index that publishes last: it can be gone on with as it stands.
            // SAFETY: we hold the mutex, as its status says.
            unsafe { libc::pthread_mutex_consistent(self.mutex()) };
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: this guard was made by a successful lock of this thread (it is not Send).
        unsafe { libc::pthread_mutex_unlock(self.0.mutex()) };
    }
}
