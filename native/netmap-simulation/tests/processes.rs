//! Several processes: a registration is held by whoever has the file open or mapped, and by nobody once they are dead.
#![allow(unsafe_code)]
mod user;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netmap_simulation::{Errno, Simulation, identify};
use user::{User, Wish, frame};

const EXCLUSIVE: u64 = 0x800;
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A child inherits the descriptors of all threads: no other test may have any while one forks.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register(simulation: &Simulation) -> Result<User, Errno> {
    User::open(simulation, Wish { name: "vale0:a", flags: EXCLUSIVE, ..Wish::default() })
}

/// Run `child` in a child process that is killed in the middle of it.
fn in_a_child_that_is_killed(child: impl FnOnce()) {
    // SAFETY: the child calls only what works after a fork of a threaded process here: system calls and the
    // simulation, whose locks no other thread of this test holds; then it waits to be killed.
    unsafe {
        let mut ends = [0; 2];
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let process = libc::fork();
        if process == 0 {
            child();
            libc::write(ends[1], c"x".as_ptr().cast(), 1);
            loop {
                libc::pause();
            }
        }
        let mut octet = 0u8;
        assert_eq!(libc::read(ends[0], (&raw mut octet).cast(), 1), 1);
        libc::kill(process, libc::SIGKILL);
        libc::waitpid(process, std::ptr::null_mut(), 0);
        for end in ends {
            libc::close(end);
        }
    }
}

#[test]
fn who_is_killed_holds_nothing_any_more() {
    let _alone = alone();
    let simulation = Simulation::create().expect("shared memory");
    in_a_child_that_is_killed(|| std::mem::forget(register(&simulation)));
    assert!(register(&simulation).is_ok());
}

#[test]
fn a_child_that_inherits_a_descriptor_keeps_the_port() {
    let _alone = alone();
    let simulation = Simulation::create().expect("shared memory");
    let user = register(&simulation).expect("vale0:a");
    in_a_child_that_is_killed(|| {});
    assert_eq!(register(&simulation).err(), Some(Errno(libc::EBUSY)));
    drop(user);
    assert!(register(&simulation).is_ok());
}

#[test]
fn a_copy_of_a_descriptor_is_the_same_one() {
    let _alone = alone();
    let simulation = Simulation::create().expect("shared memory");
    let user = register(&simulation).expect("vale0:a");
    let copy = user.descriptor.file().try_clone_to_owned().expect("dup");
    assert_eq!(identify(copy.as_raw_fd()), Some(user.descriptor.id()));
    assert_eq!(identify(0), None);
    drop(user);
    assert_eq!(register(&simulation).err(), Some(Errno(libc::EBUSY)));
    drop(copy);
    assert!(register(&simulation).is_ok());
}

#[test]
fn another_mapping_of_the_file_is_the_same_kernel() {
    let _alone = alone();
    let simulation = Simulation::create().expect("shared memory");
    let other = Simulation::attach(simulation.file().try_clone_to_owned().expect("dup")).expect("the same file");
    let (a, b) = (User::named(&simulation, "vale0:a"), User::named(&other, "vale0:b"));
    assert!(a.send(&frame(2, 1, 60, 3)));
    assert_eq!(b.receive(), [(frame(2, 1, 60, 3), 0x0100)]);
}
