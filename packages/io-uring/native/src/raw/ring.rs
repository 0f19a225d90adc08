//! One io_uring: entries in, completions out. Entries point to memory for which R1 and R4 hold.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::{cqueue, opcode, squeue, types, IoUring, Probe, Submitter};

use super::memory::{Memory, Span, LARGEST_REQUEST};
use super::system;
use crate::job::{Kind, Operation};

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Entries of the submission queue.
    pub entries: u32,
    /// Entries of the completion queue.
    pub completions: u32,
    /// A thread of the kernel looks for entries, for this many milliseconds after the last one.
    pub kernel_thread_idle: Option<u32>,
    /// Completions are looked for, not waited for.
    pub poll: bool,
}

/// A descriptor, or its place in the table of registered ones.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    Fd(i32),
    Fixed(u32),
}

/// Why there is no ring: the call that was refused.
#[derive(Debug)]
pub struct Refusal {
    pub call: &'static str,
    pub error: io::Error,
}

pub struct Ring {
    /// None when it was closed.
    uring: Option<IoUring>,
    /// A thread of the kernel takes entries from it.
    is_polled: bool,
    /// Counts completions, for the event loop.
    eventfd: Option<OwnedFd>,
    /// Keys of entries that were pushed, and that the kernel has not taken.
    pushed: VecDeque<u64>,
    /// Times that the kernel was entered.
    pub enters: u64,
}

/// The entry of an operation, for a descriptor of either kind: the trait that they share is private to the crate that has it.
macro_rules! entry_of {
    ($operation:expr, $fd:expr) => {{
        let operation: &Operation = $operation;
        let flags = if operation.durable { libc::RWF_DSYNC } else { 0 };
        let offset = operation.offset;
        match (operation.kind, &operation.memory) {
            (Kind::Sync, _) => opcode::Fsync::new($fd).flags(types::FsyncFlags::DATASYNC).build(),
            (Kind::Truncate, _) => opcode::Ftruncate::new($fd, offset).build(),
            (Kind::Reserve, _) => {
                opcode::Fallocate::new($fd, operation.length).offset(offset).mode(libc::FALLOC_FL_KEEP_SIZE).build()
            }
            (Kind::Extend, _) => opcode::Fallocate::new($fd, operation.length).offset(offset).mode(0).build(),
            (Kind::WriteBack, _) => {
                opcode::SyncFileRange::new($fd, operation.length as u32).offset(offset).flags(WHOLE_WRITE_BACK).build()
            }
            (Kind::TryWriteBack, _) => opcode::SyncFileRange::new($fd, 1).offset(offset).flags(0).build(),
            (Kind::Read, Memory::One(span, Some(index))) => {
                opcode::ReadFixed::new($fd, span.address(), request(span), *index).offset(offset).build()
            }
            (Kind::Write, Memory::One(span, Some(index))) => {
                opcode::WriteFixed::new($fd, span.address(), request(span), *index)
                    .offset(offset)
                    .rw_flags(flags)
                    .build()
            }
            (Kind::Read, Memory::One(span, None)) => {
                opcode::Read::new($fd, span.address(), request(span)).offset(offset).build()
            }
            (Kind::Write, Memory::One(span, None)) => {
                opcode::Write::new($fd, span.address(), request(span)).offset(offset).rw_flags(flags).build()
            }
            (Kind::Read, Memory::Many(list)) => {
                opcode::Readv::new($fd, list.as_ptr(), parts(list)).offset(offset).build()
            }
            (Kind::Write, Memory::Many(list)) => {
                opcode::Writev::new($fd, list.as_ptr(), parts(list)).offset(offset).rw_flags(flags).build()
            }
            (Kind::Read | Kind::Write, Memory::None) => unreachable!("a transfer of nothing"),
        }
    }};
}
/// What is being written is waited for, the rest written, and waited for as well.
const WHOLE_WRITE_BACK: u32 =
    libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;

/// `IORING_ENTER_GETEVENTS`.
const ENTER_GETEVENTS: u32 = 1;

/// The system's IOV_MAX.
const MOST_PARTS: usize = 1024;

fn request(span: &Span) -> u32 {
    span.len().min(LARGEST_REQUEST) as u32
}

fn parts(list: &[libc::iovec]) -> u32 {
    list.len().min(MOST_PARTS) as u32
}

/// The user data of what is no operation: a cancellation, or nothing at all.
pub const NO_OPERATION: u64 = u64::MAX;

impl Ring {
    /// Makes it, and enters it once: a filter of system calls may forbid that alone.
    pub fn new(setup: Setup) -> Result<Self, Refusal> {
        let uring = Self::build(setup).map_err(|error| Refusal { call: "io_uring_setup", error })?;
        let is_polled = uring.params().is_setup_sqpoll();
        let mut ring = Self { uring: Some(uring), is_polled, eventfd: None, pushed: VecDeque::new(), enters: 0 };
        ring.try_out().map_err(|error| Refusal { call: "io_uring_enter", error })?;
        ring.enters = 0;
        Ok(ring)
    }

    fn build(setup: Setup) -> io::Result<IoUring> {
        let build = |deferred: bool| {
            let mut builder = IoUring::<squeue::Entry, cqueue::Entry>::builder();
            builder.dontfork().setup_clamp().setup_cqsize(setup.completions);
            if let Some(idle) = setup.kernel_thread_idle {
                builder.setup_sqpoll(idle);
            } else if deferred {
                builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
            }
            if setup.poll {
                builder.setup_iopoll();
            }
            builder.build(setup.entries)
        };
        // Completions are worked off when this thread asks for them, and interrupt nothing (Linux 6.1); older kernels take it as an error.
        match build(true) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(false),
            other => other,
        }
    }

    /// An operation that does nothing goes in, and comes out.
    fn try_out(&mut self) -> io::Result<()> {
        self.push_entry(NO_OPERATION, opcode::Nop::new().build());
        let mut completions = Vec::new();
        while completions.is_empty() {
            match self.enter(1) {
                Err(error) if !system::passes(&error) => return Err(error),
                _ => self.reap(&mut completions),
            }
        }
        Ok(())
    }

    /// Whether what is pushed as a chain is one: it ends where the kernel stops taking entries. A thread of the kernel stops where it likes.
    pub fn keeps_chains(&self) -> bool {
        !self.is_polled
    }

    fn submitter(&self) -> io::Result<Submitter<'_>> {
        self.uring.as_ref().map(IoUring::submitter).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// Makes a descriptor that becomes readable when an operation has ended while the thread was elsewhere.
    pub fn watch(&mut self) -> io::Result<i32> {
        // SAFETY: takes no memory; the descriptor is owned by nobody else.
        let eventfd = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        self.submitter()?.register_eventfd(eventfd.as_raw_fd())?;
        let fd = eventfd.as_raw_fd();
        self.eventfd = Some(eventfd);
        Ok(fd)
    }

    /// Makes the watched descriptor readable, for outcomes that nobody has fetched.
    pub fn wake(&self) {
        let Some(eventfd) = &self.eventfd else { return };
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes that live until the call is over. It fails only if the counter is full, and then it is readable.
        unsafe { libc::write(eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes the watched descriptor wait for the next completion.
    pub fn woken(&self) {
        let Some(eventfd) = &self.eventfd else { return };
        let mut count = [0u8; 8];
        // SAFETY: eight bytes that live until the call is over. It fails only if there is nothing to read.
        unsafe { libc::read(eventfd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub fn knows(&self, code: u8) -> bool {
        let mut probe = Probe::new();
        let probed = self.submitter().and_then(|submitter| submitter.register_probe(&mut probe));
        probed.is_ok() && probe.is_supported(code)
    }

    /// Room for entries before the kernel must be entered.
    pub fn room(&mut self) -> usize {
        self.uring.as_mut().map_or(0, |uring| {
            let queue = uring.submission();
            queue.capacity() - queue.len()
        })
    }

    /// Puts an entry into the queue, which must have room. It refers to `operation`, which the caller keeps where it is (R4).
    pub fn push(&mut self, key: usize, operation: &Operation, target: Target, linked: bool) {
        let flags = if linked { squeue::Flags::IO_LINK } else { squeue::Flags::empty() };
        let entry = match target {
            Target::Fd(fd) => entry_of!(operation, types::Fd(fd)),
            Target::Fixed(index) => entry_of!(operation, types::Fixed(index)),
        };
        self.push_entry(key as u64, entry.flags(flags));
    }

    /// Asks the kernel to give up all that it has.
    pub fn push_cancellation(&mut self) {
        let all = types::CancelBuilder::any();
        self.push_entry(NO_OPERATION, opcode::AsyncCancel2::new(all).build());
    }

    fn push_entry(&mut self, key: u64, entry: squeue::Entry) {
        // SAFETY: the memory is that of a span (R1) or of an operation that stays where it is (R4).
        let pushed = self.uring.as_mut().map(|uring| unsafe { uring.submission().push(&entry.user_data(key)) });
        assert!(matches!(pushed, Some(Ok(()))), "an entry was pushed into a full queue");
        self.pushed.push_back(key);
    }

    /// Hands over what was pushed, and waits for this many completions. Repeats what was only interrupted.
    pub fn enter(&mut self, want: usize) -> io::Result<()> {
        loop {
            if self.pushed.is_empty() && want == 0 && !self.has_deferred() {
                return Ok(());
            }
            self.enters += 1;
            match self.submitter()?.submit_and_wait(want) {
                Ok(_) => break,
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => continue,
                Err(error) => return Err(error),
            }
        }
        self.forget_taken();
        Ok(())
    }

    /// A thread of the kernel takes entries when it comes to them: they are its as soon as they are in the queue.
    fn forget_taken(&mut self) {
        let queue = self.uring.as_mut().filter(|_| !self.is_polled);
        let left = queue.map_or(0, |uring| uring.submission().len());
        self.pushed.drain(..self.pushed.len() - left);
    }

    /// Works off what has ended, and hands nothing over.
    pub fn ask(&mut self) -> io::Result<()> {
        // SAFETY: takes no memory.
        unsafe { self.submitter()?.enter::<libc::sigset_t>(0, 0, ENTER_GETEVENTS, None) }.map(|_| ())
    }

    /// Entries that the kernel has not taken, by their keys. It never takes them if it is entered by [`Ring::ask`] alone from now on.
    pub fn take_back(&mut self) -> Vec<u64> {
        self.forget_taken();
        self.pushed.drain(..).collect()
    }

    /// Entries that were pushed, and that the kernel would not take yet.
    pub fn unsubmitted(&self) -> impl Iterator<Item = u64> + '_ {
        self.pushed.iter().copied()
    }

    /// For a ring that cannot be entered any more: gives it up, and waits until the kernel has nothing of it, cancelled or not. The kernel lets go of registered
    /// files when all operations are over: the end of a pipe among them tells when.
    pub fn close(&mut self) -> io::Result<()> {
        let (reader, writer) = system::pipe()?;
        self.set_file(0, writer.as_raw_fd())?;
        drop(writer);
        self.uring = None;
        system::wait_for_end(&reader)
    }

    /// Entries were pushed that the kernel would not take yet.
    pub fn has_unsubmitted(&self) -> bool {
        !self.pushed.is_empty()
    }

    /// Waits until a thread of the kernel has made room, where there is one.
    pub fn wait_for_room(&mut self) -> io::Result<()> {
        if self.is_polled {
            self.submitter()?.squeue_wait()?;
        }
        Ok(())
    }

    /// The kernel has completions that it tells of when it is entered.
    fn has_deferred(&mut self) -> bool {
        self.uring.as_mut().is_some_and(|uring| {
            let queue = uring.submission();
            queue.taskrun() || queue.cq_overflow()
        })
    }

    /// Takes what has ended: its key and its result.
    pub fn reap(&mut self, into: &mut Vec<(u64, i32)>) {
        let Some(uring) = &mut self.uring else { return };
        into.extend(uring.completion().map(|entry| (entry.user_data(), entry.result())));
    }

    /// Completions do not make the watched descriptor readable until [`Ring::speak`].
    pub fn hush(&mut self) {
        if let Some(uring) = &mut self.uring {
            uring.completion().disable_eventfd();
        }
    }

    pub fn speak(&mut self) {
        if let Some(uring) = &mut self.uring {
            uring.completion().enable_eventfd();
        }
    }

    /// An empty table of files. @errors what the kernel says
    pub fn make_file_table(&self, places: u32) -> io::Result<()> {
        self.submitter()?.register_files_sparse(places)
    }

    /// Puts a descriptor into a place of the table, or nothing (-1).
    pub fn set_file(&self, place: u32, fd: i32) -> io::Result<()> {
        self.submitter()?.register_files_update(place, &[fd]).map(|_| ())
    }

    pub fn make_buffer_table(&self, places: u32) -> io::Result<()> {
        self.submitter()?.register_buffers_sparse(places)
    }

    /// Keeps the pages of a buffer in memory and known to the kernel; or lets them go (`None`).
    pub fn set_buffer(&self, place: u32, span: Option<Span>) -> io::Result<()> {
        let (base, length) = span.map_or((std::ptr::null_mut(), 0), |span| (span.address(), span.len()));
        let list = [libc::iovec { iov_base: base.cast(), iov_len: length }];
        // SAFETY: the kernel holds the pages itself from now on; the list lives until the call is over.
        unsafe { self.submitter()?.register_buffers_update(place, &list, None) }
    }
}
