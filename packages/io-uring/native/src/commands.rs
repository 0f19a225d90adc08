//! The commands that JavaScript writes, as jobs. A command is eight numbers; what is wrong with one makes its job fail, and nothing else.

use crate::driver::{Driver, LONGEST_CHAIN};
use crate::job::{Durability, Failure, Kind, Operation, Outcome, OF_SYNC};
use crate::memories::Memories;
use crate::raw::memory::{Memory, Span};
use crate::raw::system;

/// Numbers of a command.
pub const COMMAND_WIDTH: usize = 8;
/// Numbers of a result: the token of the job; zero or an errno; the command that failed, of those of the job, -1 for its sync; and where in the file.
pub const RESULT_WIDTH: usize = 4;

/// Another stretch of memory of the same transfer follows.
const MORE: u32 = 1;
/// The last command of a job.
const LAST: u32 = 2;
/// The job is durable when it is over.
const DURABLE: u32 = 4;

/// A command as it stands in the array.
struct Command {
    kind: u32,
    file: usize,
    /// A known memory, or, below zero, one that was lent for this call: -1 is the first.
    memory: i64,
    /// In bytes from the beginning of the memory.
    from: usize,
    /// In bytes.
    length: u64,
    /// In bytes from the beginning of the file; the new size of a truncation.
    offset: u64,
    token: u32,
    flags: u32,
}

impl Command {
    /// Conversions saturate: a number that is none becomes one that the checks refuse, or zero.
    fn at(numbers: &[f64]) -> Self {
        Self {
            kind: numbers[0] as u32,
            file: numbers[1] as usize,
            memory: numbers[2] as i64,
            from: numbers[3] as usize,
            length: numbers[4] as u64,
            offset: numbers[5] as u64,
            token: numbers[6] as u32,
            flags: numbers[7] as u32,
        }
    }

    fn kind(&self) -> Option<Kind> {
        Some(match self.kind {
            0 => Kind::Read,
            1 => Kind::Write,
            2 => Kind::Sync,
            3 => Kind::Truncate,
            4 => Kind::Reserve,
            5 => Kind::Extend,
            6 => Kind::WriteBack,
            7 => Kind::TryWriteBack,
            _ => return None,
        })
    }
}

/// Makes jobs of the commands. With `urgent` the last one is waited for in place: its key and token are returned.
pub fn take(
    driver: &mut Driver,
    memories: &Memories,
    numbers: &[f64],
    lent: &[Span],
    urgent: bool,
) -> Option<(usize, u32)> {
    let commands: Vec<Command> = numbers.chunks_exact(COMMAND_WIDTH).map(Command::at).collect();
    let mut jobs = commands.split_inclusive(|command| command.flags & LAST != 0).peekable();
    let mut last = None;
    while let Some(job) = jobs.next() {
        last = Some(take_job(driver, memories, job, lent, urgent && jobs.peek().is_none()));
    }
    last
}

fn take_job(
    driver: &mut Driver,
    memories: &Memories,
    commands: &[Command],
    lent: &[Span],
    urgent: bool,
) -> (usize, u32) {
    let last = commands.last().expect("a job has commands");
    let (token, wants_durable) = (last.token, last.flags & DURABLE != 0);
    let mut operations = Vec::with_capacity(commands.len());
    let mut parts = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let index = index as u32;
        let refused = |errno| Failure { errno, index, offset: command.offset };
        let Some(kind) = command.kind() else { return refuse(driver, token, refused(libc::EINVAL)) };
        if !driver.files.has(command.file) {
            return refuse(driver, token, refused(libc::EBADF));
        }
        if matches!(kind, Kind::Read | Kind::Write) {
            let Some(part) = memories.part(command.memory, command.from, command.length, lent) else {
                return refuse(driver, token, refused(libc::EFAULT));
            };
            parts.push(part);
            if command.flags & MORE != 0 {
                continue;
            }
        }
        let memory = Memory::of(&parts);
        parts.clear();
        if matches!(kind, Kind::Truncate) && !driver.has_truncate() {
            let errno = system::truncate(driver.files.fd(command.file), command.offset);
            return over(driver, token, (errno != 0).then(|| refused(errno)));
        }
        let transfers = matches!(kind, Kind::Read | Kind::Write);
        if !(transfers && memory.is_empty()) {
            operations.push(operation_of(driver, command, kind, memory, index));
        }
    }
    let durability = if wants_durable { durability_of(driver, &mut operations) } else { Durability::None };
    if operations.is_empty() && wants_durable {
        operations.push(Operation::sync(last.file));
    }
    (driver.add(token, urgent, durability, operations), token)
}

fn operation_of(driver: &Driver, command: &Command, kind: Kind, memory: Memory, index: u32) -> Operation {
    // Each stretch of a transfer comes with its own place in the file; this is the last of them.
    let offset = (command.offset + command.length).saturating_sub(memory.length() as u64);
    let offset = if memory.is_empty() { command.offset } else { offset };
    let direct = !memory.is_empty() && driver.files.takes_direct(command.file, kind, &memory, offset);
    Operation {
        index: if kind == Kind::Sync { OF_SYNC } else { index },
        kind,
        memory,
        offset,
        length: command.length,
        direct,
        ..Operation::sync(command.file)
    }
}

/// One write is durable by itself, a few go before a sync in a chain, if the ring keeps chains; more go side by side, and the sync follows them.
fn durability_of(driver: &Driver, operations: &mut [Operation]) -> Durability {
    let writes = operations.iter().filter(|operation| operation.kind == Kind::Write).count();
    if let [only] = operations {
        if writes == 1 && driver.files.can_be_durable(only.file) {
            only.durable = true;
            return Durability::ByWrite;
        }
    }
    match operations.len() {
        0 => Durability::None,
        1..=LONGEST_CHAIN if driver.ring.keeps_chains() => Durability::Linked,
        _ => Durability::After,
    }
}

fn refuse(driver: &mut Driver, token: u32, failure: Failure) -> (usize, u32) {
    over(driver, token, Some(failure))
}

/// A job that is over before the kernel has heard of it.
fn over(driver: &mut Driver, token: u32, failure: Option<Failure>) -> (usize, u32) {
    driver.note(Outcome { token, failure });
    (usize::MAX, token)
}

/// Writes as many outcomes as there is room for, `most` of them. Returns how many. The last place is that of jobs that are waited for.
pub fn tell(driver: &mut Driver, results: &mut [f64], most: usize) -> usize {
    let mut told = 0;
    let end = results.len() - RESULT_WIDTH;
    for place in results[..end].chunks_exact_mut(RESULT_WIDTH).take(most) {
        let Some(outcome) = driver.next_outcome() else { break };
        write(outcome, place);
        told += 1;
    }
    told
}

/// Writes the outcome of a job that was waited for.
pub fn answer(outcome: Outcome, results: &mut [f64]) {
    let at = results.len() - RESULT_WIDTH;
    write(outcome, &mut results[at..]);
}

fn write(outcome: Outcome, place: &mut [f64]) {
    place[0] = f64::from(outcome.token);
    let (errno, index, offset) = match outcome.failure {
        None => (0, 0.0, 0),
        Some(Failure { errno, index: OF_SYNC, offset }) => (errno, -1.0, offset),
        Some(Failure { errno, index, offset }) => (errno, f64::from(index), offset),
    };
    place[1] = f64::from(errno);
    place[2] = index;
    place[3] = offset as f64;
}
