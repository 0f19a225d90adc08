//! Calls to the system that are no transfers.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic;

/// What was written before is seen by the kernel before what is read after.
pub fn fence() {
    atomic::fence(atomic::Ordering::SeqCst);
}

/// Whether the kernel could only not take now what it was handed (no memory, or it has more completions than it can note): then others run first.
pub fn passes(error: &io::Error) -> bool {
    let passes = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM | libc::ETIME));
    if passes {
        std::thread::yield_now();
    }
    passes
}

/// The end of a pipe to read from, and the one to write to.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors, which are owned by nobody else.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Waits until nobody has the other end of a pipe any more.
pub fn wait_for_end(reader: &OwnedFd) -> io::Result<()> {
    let mut byte = 0u8;
    loop {
        // SAFETY: a byte that lives until the call is over.
        if unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
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
