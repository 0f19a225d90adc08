//! What one call of JavaScript asked for: transfers, and perhaps a sync after them, with one outcome.

use crate::raw::memory::Memory;

/// What the kernel is asked to do to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Sync,
    Truncate,
    /// Blocks for a range, also beyond the end of the file, which stays where it is.
    Reserve,
    /// The same, and the file is as long as the range afterwards, if it was shorter.
    Extend,
    /// What was written in a range goes to the device. Nothing is durable by that.
    WriteBack,
    /// Nothing happens; it fails where that cannot be done, or not for such a file.
    TryWriteBack,
}

/// One request to the kernel, and what is left of it.
#[derive(Debug)]
pub struct Operation {
    pub job: usize,
    /// The last of its commands, of those of its job.
    pub index: u32,
    pub kind: Kind,
    /// Of the table of files.
    pub file: usize,
    /// What is left to transfer. Empty for what transfers nothing.
    pub memory: Memory,
    /// In bytes from the beginning of the file: where the rest goes. For a truncation: the new size.
    pub offset: u64,
    /// In bytes, of an allocation or a write-back.
    pub length: u64,
    /// Past the page cache, by the descriptor for direct transfers.
    pub direct: bool,
    /// Durable when it is over (`RWF_DSYNC`).
    pub durable: bool,
    pub done: bool,
    /// Interruptions in a row without a byte moved.
    pub retries: u32,
}

/// How the writes of a job become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nobody asked.
    None,
    /// By the only write itself.
    ByWrite,
    /// By a sync that the kernel begins when the writes before it in the chain are over. For a ring that keeps chains.
    Linked,
    /// By a sync that follows when all transfers are over.
    After,
}

/// Why a job failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Positive; above 4095 one of [`END_OF_FILE`] and [`NO_PROGRESS`], or from [`RING_FAILED`] on an errno of the ring itself.
    pub errno: i32,
    /// The last command of the operation that failed, of those of its job, or [`OF_SYNC`].
    pub index: u32,
    /// In bytes from the beginning of the file.
    pub offset: u64,
}

/// A read found the end of the file.
pub const END_OF_FILE: i32 = 10_000;
/// A write was accepted and moved nothing.
pub const NO_PROGRESS: i32 = 10_001;
/// Added to the errno for which the kernel takes nothing from the ring any more.
pub const RING_FAILED: i32 = 20_000;
/// Interruptions in a row without a byte moved after which the file is taken to be broken.
const MOST_RETRIES: u32 = 1000;

/// The index of the sync of a job.
pub const OF_SYNC: u32 = u32::MAX;

#[derive(Debug)]
pub struct Job {
    /// JavaScript's name for it.
    pub token: u32,
    /// Someone waits for it in place.
    pub urgent: bool,
    pub durability: Durability,
    /// Keys of its operations in the order of the call; a sync, once there is one, comes last.
    pub operations: Vec<usize>,
    /// Operations that are not done.
    pub unfinished: u32,
    /// Operations that wait for room in the kernel.
    pub queued: u32,
    /// Operations that the kernel has.
    pub in_kernel: u32,
    /// Nothing was written since its sync began.
    pub synced: bool,
    /// The kernel took a part of its chain: that was one, and the rest another, whose sync may have begun before the writes of the first were over.
    pub is_split: bool,
    pub failure: Option<Failure>,
}

impl Job {
    /// Its operations go to the kernel as one chain.
    pub fn is_chain(&self) -> bool {
        self.durability == Durability::Linked
    }

    /// Keeps the first failure: others are its consequences as often as not.
    pub fn fail(&mut self, failure: Failure) {
        if self.failure.is_none() {
            self.failure = Some(failure);
        }
    }
}

/// What is told to JavaScript of a job that is over.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub token: u32,
    pub failure: Option<Failure>,
}

/// What follows from a completion.
pub enum Step {
    Done,
    Again,
    NotDurable,
    Failed(Failure),
}

impl Operation {
    pub fn sync(file: usize) -> Self {
        Self {
            job: 0,
            index: OF_SYNC,
            kind: Kind::Sync,
            file,
            memory: Memory::None,
            offset: 0,
            length: 0,
            direct: false,
            durable: false,
            done: false,
            retries: 0,
        }
    }

    /// What the kernel says of it: bytes moved, or a negative errno.
    pub fn outcome(&mut self, result: i32) -> Step {
        match -result {
            // Cancelled is what stood behind a transfer of its chain that was short, or failed.
            errno @ (libc::EINTR | libc::EAGAIN | libc::ECANCELED) => {
                self.retries += 1;
                if self.retries > MOST_RETRIES {
                    return self.failed(errno);
                }
                Step::Again
            }
            // Of each that was under way when the first one was told so.
            libc::EOPNOTSUPP if self.durable => Step::NotDurable,
            // Not aligned as this file wants it: through the page cache, then.
            libc::EINVAL if self.direct => {
                self.direct = false;
                Step::Again
            }
            errno if errno > 0 => self.failed(errno),
            _ => self.moved(result as usize),
        }
    }

    fn moved(&mut self, bytes: usize) -> Step {
        if self.memory.is_empty() {
            return Step::Done;
        }
        if bytes == 0 {
            return self.failed(if self.kind == Kind::Read { END_OF_FILE } else { NO_PROGRESS });
        }
        self.retries = 0;
        self.memory.advance(bytes);
        self.offset += bytes as u64;
        if self.memory.is_empty() {
            return Step::Done;
        }
        Step::Again
    }

    fn failed(&self, errno: i32) -> Step {
        Step::Failed(self.failure(errno))
    }

    pub fn failure(&self, errno: i32) -> Failure {
        Failure { errno, index: self.index, offset: self.offset }
    }
}
