//! What one thread has under way. Jobs stand in line, first come first served; who waits in place goes before them. The kernel
//! never has more than its completion queue has room for, so that none is lost.

use std::collections::VecDeque;
use std::io;

use slab::Slab;

use crate::files::Files;
use crate::job::{Durability, Failure, Job, Kind, Operation, Outcome, END_OF_FILE, NO_PROGRESS, OF_SYNC};
use crate::raw::memory::Memory;
use crate::raw::ring::{Ring, Setup, NO_OPERATION};
use crate::raw::system;

/// Interruptions in a row without a byte moved after which the file is taken to be broken.
const MOST_RETRIES: u32 = 1000;

/// The longest chain: a longer batch is not held up by going one after another.
pub const LONGEST_CHAIN: usize = 8;

/// What stands in line.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Operation(usize),
    /// All that a job has not done, one after another.
    Chain(usize),
}

pub struct Driver {
    pub ring: Ring,
    pub files: Files,
    jobs: Slab<Job>,
    operations: Slab<Operation>,
    line: VecDeque<Unit>,
    /// Of those who wait in place.
    urgent: VecDeque<Unit>,
    /// Operations that the kernel has, cancellations among them.
    in_kernel: usize,
    /// The most that the line may have in the kernel. The urgent may have as many again.
    depth: usize,
    has_truncate: bool,
    /// Syncs that have ended well.
    pub syncs: u64,
    finished: VecDeque<Outcome>,
    completions: Vec<(u64, i32)>,
    /// No transfer is begun any more.
    ending: bool,
}

impl Driver {
    pub fn new(setup: Setup, depth: usize) -> io::Result<Self> {
        let ring = Ring::new(setup)?;
        let has_truncate = ring.knows(io_uring::opcode::Ftruncate::CODE);
        let files = Files::new(&ring);
        Ok(Self {
            ring,
            files,
            jobs: Slab::new(),
            operations: Slab::new(),
            line: VecDeque::new(),
            urgent: VecDeque::new(),
            in_kernel: 0,
            depth,
            has_truncate,
            syncs: 0,
            finished: VecDeque::new(),
            completions: Vec::new(),
            ending: false,
        })
    }

    /// Jobs that are not over.
    pub fn pending(&self) -> usize {
        self.jobs.len()
    }

    pub fn in_kernel(&self) -> usize {
        self.in_kernel
    }

    /// A new job in line. Its operations are given as they are to be, without the key of the job.
    pub fn add(&mut self, token: u32, urgent: bool, durability: Durability, operations: Vec<Operation>) -> usize {
        let job = self.jobs.insert(Job {
            token,
            urgent,
            durability,
            operations: Vec::with_capacity(operations.len() + 1),
            unfinished: 0,
            queued: 0,
            in_kernel: 0,
            synced: false,
            failure: None,
        });
        for operation in operations {
            self.add_operation(job, operation);
        }
        if durability == Durability::Linked {
            self.add_sync(job);
        }
        self.queue(job);
        self.settle(job);
        job
    }

    /// Of a job that is over before it begins.
    pub fn note(&mut self, outcome: Outcome) {
        self.finished.push_back(outcome);
    }

    pub fn is_pending(&self, job: usize, token: u32) -> bool {
        self.jobs.get(job).is_some_and(|found| found.token == token)
    }

    /// The next outcome that nobody has been told.
    pub fn next_outcome(&mut self) -> Option<Outcome> {
        self.finished.pop_front()
    }

    /// Takes the outcome of this job from among those that nobody has been told.
    pub fn take_outcome(&mut self, token: u32) -> Option<Outcome> {
        let at = self.finished.iter().rposition(|outcome| outcome.token == token)?;
        self.finished.remove(at)
    }

    /// Outcomes that nobody has been told.
    pub fn outcomes(&self) -> usize {
        self.finished.len()
    }

    /// Gives the kernel what it has room for, and takes what has ended, until there is neither. Waits for nothing.
    pub fn turn(&mut self) {
        self.ring.hush();
        self.round(false);
        self.listen();
    }

    /// From here on completions wake the event loop. What came before has not, and is taken now.
    fn listen(&mut self) {
        self.ring.speak();
        system::fence();
        self.round(false);
    }

    /// With `wait`, at least one operation ends, if the kernel has any.
    fn round(&mut self, wait: bool) {
        let mut wait = wait;
        loop {
            self.fill();
            let want = usize::from(wait && self.in_kernel > 0);
            if let Err(error) = self.ring.enter(want) {
                system::give_way(&error);
            }
            let mut completions = std::mem::take(&mut self.completions);
            self.ring.reap(&mut completions);
            let ended = !completions.is_empty();
            for (key, result) in completions.drain(..) {
                self.complete(key, result);
            }
            self.completions = completions;
            if ended {
                wait = false;
            } else if !self.ring.has_unsubmitted() && (!wait || self.in_kernel == 0) {
                return;
            }
        }
    }

    /// Runs until this job is over, and takes its outcome. What others have ended meanwhile is kept.
    pub fn wait_for(&mut self, job: usize, token: u32) -> Option<Outcome> {
        self.ring.hush();
        while self.is_pending(job, token) {
            self.round(true);
        }
        self.listen();
        self.take_outcome(token)
    }

    /// Cancels everything, and waits until the kernel has nothing any more (R2).
    pub fn end(&mut self) {
        self.ending = true;
        self.line.clear();
        self.urgent.clear();
        if self.in_kernel > 0 {
            if self.ring.room() == 0 {
                let _ = self.ring.enter(0);
            }
            if self.ring.room() > 0 {
                self.ring.push_cancellation();
                self.in_kernel += 1;
            }
        }
        while self.in_kernel > 0 {
            if let Err(error) = self.ring.enter(1) {
                system::give_way(&error);
            }
            let mut completions = Vec::new();
            self.ring.reap(&mut completions);
            self.in_kernel -= completions.len();
        }
        self.operations.clear();
        self.jobs.clear();
    }

    fn add_operation(&mut self, job: usize, operation: Operation) {
        let key = self.operations.insert(Operation { job, ..operation });
        let job = &mut self.jobs[job];
        job.operations.push(key);
        job.unfinished += 1;
    }

    fn add_sync(&mut self, job: usize) {
        let file = self.jobs[job].operations.first().map(|key| self.operations[*key].file);
        let Some(file) = file else { return };
        self.add_operation(job, Operation::sync(file));
    }

    /// Puts what a job has not done into the line.
    fn queue(&mut self, key: usize) {
        let job = &mut self.jobs[key];
        let line = if job.urgent { &mut self.urgent } else { &mut self.line };
        if job.is_chain() {
            line.push_back(Unit::Chain(key));
            job.queued = job.unfinished;
            return;
        }
        for operation in &job.operations {
            if !self.operations[*operation].done {
                line.push_back(Unit::Operation(*operation));
                job.queued += 1;
            }
        }
    }

    /// Moves from the line to the kernel.
    fn fill(&mut self) {
        while let Some(unit) = self.urgent.front().copied() {
            if !self.give(unit, 2 * self.depth) {
                return;
            }
            self.urgent.pop_front();
        }
        while let Some(unit) = self.line.front().copied() {
            if !self.give(unit, self.depth) {
                return;
            }
            self.line.pop_front();
        }
    }

    /// Whether there was room for it.
    fn give(&mut self, unit: Unit, limit: usize) -> bool {
        let wanted = match unit {
            Unit::Operation(_) => 1,
            Unit::Chain(job) => self.jobs[job].unfinished as usize,
        };
        if self.in_kernel + wanted > limit || !self.make_room(wanted) {
            return false;
        }
        match unit {
            Unit::Operation(key) => self.push(key, false),
            Unit::Chain(job) => {
                let left: Vec<usize> =
                    self.jobs[job].operations.iter().copied().filter(|key| !self.operations[*key].done).collect();
                for (at, key) in left.iter().enumerate() {
                    self.push(*key, at + 1 < left.len());
                }
            }
        }
        true
    }

    /// A chain must be pushed whole before the kernel is entered.
    fn make_room(&mut self, wanted: usize) -> bool {
        if self.ring.room() >= wanted {
            return true;
        }
        if self.ring.enter(0).is_err() {
            return false;
        }
        self.ring.room() >= wanted || (self.ring.wait_for_room().is_ok() && self.ring.room() >= wanted)
    }

    fn push(&mut self, key: usize, linked: bool) {
        let operation = &self.operations[key];
        let job = &mut self.jobs[operation.job];
        self.ring.push(key, operation, self.files.target(operation), linked);
        job.queued -= 1;
        job.in_kernel += 1;
        self.in_kernel += 1;
    }

    /// What the kernel says of an operation: bytes moved, or a negative errno.
    fn complete(&mut self, key: u64, result: i32) {
        self.in_kernel -= 1;
        if key == NO_OPERATION {
            return;
        }
        let key = key as usize;
        let operation = &mut self.operations[key];
        let job_key = operation.job;
        let job = &mut self.jobs[job_key];
        job.in_kernel -= 1;
        if operation.kind == Kind::Sync {
            job.synced = result >= 0;
            self.syncs += u64::from(job.synced);
        } else if operation.kind == Kind::Write && result > 0 {
            job.synced = false;
        }
        match operation.outcome(result, self.files.can_be_durable(operation.file)) {
            Step::Done => {
                operation.done = true;
                job.unfinished -= 1;
            }
            Step::Again => {
                if !job.is_chain() && job.failure.is_none() {
                    job.queued += 1;
                    let line = if job.urgent { &mut self.urgent } else { &mut self.line };
                    line.push_front(Unit::Operation(key));
                }
            }
            Step::NotDurable => {
                // This file system has no such write: the sync comes after it from now on.
                self.files.cannot_be_durable(operation.file);
                operation.durable = false;
                job.durability = Durability::After;
                job.queued += 1;
                let line = if job.urgent { &mut self.urgent } else { &mut self.line };
                line.push_front(Unit::Operation(key));
            }
            Step::Failed(failure) => {
                job.fail(failure);
                if job.queued > 0 {
                    self.withdraw(job_key);
                }
            }
        }
        self.settle(job_key);
    }

    /// Takes back what a job that failed still has in line.
    fn withdraw(&mut self, job: usize) {
        let operations = &self.operations;
        let stays = |unit: &Unit| match unit {
            Unit::Operation(key) => operations[*key].job != job,
            Unit::Chain(key) => *key != job,
        };
        self.line.retain(stays);
        self.urgent.retain(stays);
        self.jobs[job].queued = 0;
    }

    /// Goes on with a job of which nothing is under way, or ends it.
    fn settle(&mut self, key: usize) {
        let job = &self.jobs[key];
        if job.in_kernel > 0 || job.queued > 0 {
            return;
        }
        if job.failure.is_none() && job.unfinished > 0 {
            self.queue(key);
            return;
        }
        // Also if a chain had a sync, and more was written after it: the kernel takes a part of a very long transfer for all of it.
        let needs_sync = matches!(job.durability, Durability::Linked | Durability::After) && !job.synced;
        if job.failure.is_none() && needs_sync {
            self.jobs[key].durability = Durability::After;
            self.add_sync(key);
            self.queue(key);
            return;
        }
        let job = self.jobs.remove(key);
        for operation in &job.operations {
            self.operations.remove(*operation);
        }
        // A write that was to be durable and failed: what it should have made durable may be lost, as after a sync that failed.
        let failure = match job.durability {
            Durability::ByWrite => job.failure.map(|failure| Failure { index: OF_SYNC, ..failure }),
            _ => job.failure,
        };
        self.finished.push_back(Outcome { token: job.token, failure });
    }

    /// The ring can truncate (since Linux 6.9).
    pub fn has_truncate(&self) -> bool {
        self.has_truncate
    }
}

/// What follows from a completion.
enum Step {
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

    fn outcome(&mut self, result: i32, can_be_durable: bool) -> Step {
        match -result {
            // Cancelled is what stood behind a transfer of its chain that was short, or failed.
            errno @ (libc::EINTR | libc::EAGAIN | libc::ECANCELED) => {
                self.retries += 1;
                if self.retries > MOST_RETRIES {
                    return self.failed(errno);
                }
                Step::Again
            }
            libc::EOPNOTSUPP if self.durable && can_be_durable => Step::NotDurable,
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
        Step::Failed(Failure { errno, index: self.index, offset: self.offset })
    }
}
