//! Calls to the system that are no transfers.

use std::io;
use std::sync::atomic;

/// What was written before is seen by the kernel before what is read after.
pub fn fence() {
    atomic::fence(atomic::Ordering::SeqCst);
}

/// The kernel could not take what it was handed now (no memory, or it has more completions than it can note): others run first.
pub fn give_way(error: &io::Error) {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM | libc::ETIME) => std::thread::yield_now(),
        _ => panic!("io_uring_enter: {error}"),
    }
}

/// Sets the size of a file. The errno, or zero.
pub fn truncate(fd: i32, size: u64) -> i32 {
    let Ok(size) = libc::off_t::try_from(size) else { return libc::EFBIG };
    loop {
        // SAFETY: takes no memory.
        if unsafe { libc::ftruncate(fd, size) } == 0 {
            return 0;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            other => return other.unwrap_or(libc::EIO),
        }
    }
}

/// What a process may keep in memory, in bytes.
pub fn memlock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives until the call is over.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    limit.rlim_cur
}
