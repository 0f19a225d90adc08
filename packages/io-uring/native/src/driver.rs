//! What one thread has under way. Jobs stand in line, first come first served; who waits in place goes before them. The kernel
//! never has more than its completion queue has room for, so that none is lost.

use std::collections::VecDeque;

use slab::Slab;

use crate::files::Files;
use crate::job::{Durability, Failure, Job, Kind, Operation, Outcome, Step, OF_SYNC, RING_FAILED};
use crate::raw::ring::{Refusal, Ring, Setup, NO_OPERATION};
use crate::raw::system;

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
    /// The errno for which the kernel takes nothing from this ring any more. What it has taken may still end.
    broken: Option<i32>,
}

impl Driver {
    pub fn new(setup: Setup, depth: usize) -> Result<Self, Refusal> {
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
            broken: None,
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
            is_split: false,
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
            self.enter(usize::from(wait && self.in_kernel > 0));
            let mut completions = std::mem::take(&mut self.completions);
            self.ring.reap(&mut completions);
            let ended = !completions.is_empty();
            for (key, result) in completions.drain(..) {
                self.complete(key, result);
            }
            self.completions = completions;
            if self.broken.is_some() {
                self.fail_line();
                return;
            }
            if ended {
                wait = false;
            } else if !self.ring.has_unsubmitted() && (!wait || self.in_kernel == 0) {
                return;
            }
        }
    }

    fn enter(&mut self, want: usize) {
        if self.broken.is_some() {
            self.fail_line();
            // What could not be got back may have ended: it says so when it can be asked.
            if self.in_kernel > 0 && self.ring.ask().is_err() {
                std::thread::yield_now();
            }
            return;
        }
        match self.ring.enter(want) {
            Ok(()) if self.ring.has_unsubmitted() => self.note_split(),
            Ok(()) => {}
            Err(error) if system::passes(&error) => {}
            Err(error) => self.give_up(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }

    /// The kernel has taken some entries and left others: no chain of which it left any is one.
    fn note_split(&mut self) {
        for key in self.ring.unsubmitted() {
            if let Some(operation) = self.operations.get(key as usize) {
                self.jobs[operation.job].is_split = true;
            }
        }
    }

    /// The ring cannot be entered any more: what has not ended fails, when the kernel has nothing of it. Where that cannot be found out, what the kernel has taken
    /// is not over, for it may still read and write there (R1).
    fn give_up(&mut self, errno: i32) {
        self.broken = Some(errno);
        for key in self.ring.take_back() {
            self.fail_in_kernel(key as usize, errno);
        }
        let mut completions = Vec::new();
        self.ring.reap(&mut completions);
        for (key, result) in completions {
            self.complete(key, result);
        }
        if self.in_kernel > 0 && self.ring.close().is_ok() {
            // Of a job with operations in the kernel some may be done, or in line.
            let jobs: Vec<usize> = self.jobs.iter().filter(|(_, job)| job.in_kernel > 0).map(|(key, _)| key).collect();
            for job in jobs {
                self.in_kernel -= self.jobs[job].in_kernel as usize;
                self.jobs[job].in_kernel = 0;
                self.fail_job(job, errno);
            }
        }
        self.fail_line();
    }

    fn fail_in_kernel(&mut self, key: usize, errno: i32) {
        self.in_kernel -= 1;
        let Some(operation) = self.operations.get(key) else { return };
        let job = operation.job;
        self.jobs[job].in_kernel -= 1;
        self.fail_job(job, errno);
    }

    /// For the first of its operations that is not done.
    fn fail_job(&mut self, key: usize, errno: i32) {
        let job = &mut self.jobs[key];
        let first = job.operations.iter().map(|key| &self.operations[*key]).find(|operation| !operation.done);
        if let Some(operation) = first {
            job.fail(operation.failure(RING_FAILED + errno));
        }
        self.settle(key);
    }

    fn fail_line(&mut self) {
        let Some(errno) = self.broken else { return };
        while let Some(unit) = self.urgent.pop_front().or_else(|| self.line.pop_front()) {
            let job_key = match unit {
                Unit::Operation(key) => self.operations[key].job,
                Unit::Chain(job) => job,
            };
            let job = &mut self.jobs[job_key];
            job.queued -= if matches!(unit, Unit::Chain(_)) { job.queued } else { 1 };
            self.fail_job(job_key, errno);
        }
    }

    /// Zero, or the errno for which the ring takes nothing any more.
    pub fn failure(&self) -> i32 {
        self.broken.unwrap_or(0)
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
        self.line.clear();
        self.urgent.clear();
        if self.in_kernel > 0 && self.broken.is_none() {
            if self.ring.room() == 0 {
                let _ = self.ring.enter(0);
            }
            if self.ring.room() > 0 {
                self.ring.push_cancellation();
                self.in_kernel += 1;
            }
        }
        while self.in_kernel > 0 && self.broken.is_none() {
            match self.ring.enter(1) {
                Err(error) if !system::passes(&error) => {
                    self.broken = error.raw_os_error();
                    self.in_kernel -= self.ring.take_back().len();
                }
                _ => {}
            }
            let mut completions = Vec::new();
            self.ring.reap(&mut completions);
            self.in_kernel -= completions.len();
        }
        if self.in_kernel > 0 {
            // The memory goes with the thread: to go on while the kernel may write there is worse than to stop.
            self.ring.close().expect("a ring that cannot be entered is closed before its memory goes");
            self.in_kernel = 0;
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

    /// A chain must be pushed whole before the kernel is entered, which is when it takes entries: a ring of which a thread of the kernel takes them has no chains.
    fn make_room(&mut self, wanted: usize) -> bool {
        if self.ring.room() >= wanted {
            return true;
        }
        self.enter(0);
        if self.broken.is_some() {
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
            job.synced = result >= 0 && !job.is_split;
            self.syncs += u64::from(result >= 0);
        } else if operation.kind == Kind::Write && result > 0 {
            job.synced = false;
        }
        match operation.outcome(result) {
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
        let job = &mut self.jobs[key];
        if job.in_kernel > 0 || job.queued > 0 {
            return;
        }
        job.is_split = false; // all that was begun is over, before the next thing
        if job.failure.is_none() && job.unfinished > 0 {
            self.queue(key);
            return;
        }
        // Also if a chain had a sync, and more was written after it (the kernel takes a part of a very long transfer for all of it), or the kernel took the chain in parts.
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
