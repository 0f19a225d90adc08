//! The ring of a thread, as JavaScript sees it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::rc::{Rc, Weak};

use napi::{sys, Env, Error, Result};
use napi_derive::napi;

use super::event_loop::Watch;
use super::ring::{Refusal, Setup};
use super::values::{Kept, Numbers, View, Views};
use crate::commands::{self, COMMAND_WIDTH};
use crate::driver::Driver;
use crate::memories::Memories;
use crate::probe;

/// How a ring is made.
#[napi(object)]
pub struct RingOptions {
    /// Operations that the kernel has at a time, 16 to 4096.
    pub depth: u32,
    /// A thread of the kernel looks for entries, for this many milliseconds after the last one.
    pub kernel_thread_idle_ms: Option<u32>,
}

impl RingOptions {
    fn depth(&self) -> usize {
        self.depth.clamp(16, 4096) as usize
    }

    /// Completions have room for the line, as many again that are waited for in place, and cancellations.
    fn setup(&self) -> Setup {
        let depth = self.depth() as u32;
        Setup {
            entries: depth.min(512),
            completions: depth * 4,
            kernel_thread_idle: self.kernel_thread_idle_ms,
            poll: false,
        }
    }
}

/// What a ring has done, for tests and measurements.
#[napi(object)]
pub struct RingFigures {
    /// Times that the kernel was entered.
    pub enters: f64,
    /// Syncs that have ended well; durable writes are not among them.
    pub syncs: f64,
    /// Operations that the kernel has.
    pub in_kernel: u32,
    /// Jobs that are not over.
    pub pending: u32,
}

/// One for each thread. Everything is numbers: see the commands.
#[napi]
pub struct Ring {
    thread: Rc<Thread>,
}

struct Thread {
    state: RefCell<State>,
    watch: RefCell<Option<Watch>>,
    /// Called with the number of results that were written.
    notify: Kept,
}

struct State {
    driver: Driver,
    memories: Memories,
    commands: Numbers,
    results: Numbers,
    /// Buffers of jobs that are not over (R1).
    _held: Kept,
}

#[napi]
impl Ring {
    /// Throws with an errno as `code`, and the call that was refused as message, if the kernel does not give one.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        options: RingOptions,
        held: Kept,
        commands: Numbers,
        results: Numbers,
        notify: Kept,
    ) -> Result<Self, String> {
        let setup = options.setup();
        let mut driver = Driver::new(setup, options.depth()).map_err(of_refusal)?;
        let fd = driver.ring.watch().map_err(|error| of_refusal(Refusal { call: "io_uring_register", error }))?;
        let state = State { driver, memories: Memories::default(), commands, results, _held: held };
        let thread = Rc::new(Thread { state: RefCell::new(state), watch: RefCell::new(None), notify });
        let watched = Rc::downgrade(&thread);
        // SAFETY: the loop of this environment lives until its cleanup hooks have run, and one of them closes the watch.
        let watch = unsafe {
            let mut event_loop = ptr::null_mut();
            if sys::napi_get_uv_event_loop(env.raw(), &mut event_loop) != sys::Status::napi_ok {
                return Err(of_errno(libc::ENOSYS, "napi_get_uv_event_loop"));
            }
            Watch::new(event_loop.cast(), fd, Box::new(move || on_readable(&watched)))
                .map_err(|errno| of_errno(errno, "uv_poll"))?
        };
        *thread.watch.borrow_mut() = Some(watch);
        // SAFETY: the hook takes back what it is given here, once.
        let added = unsafe {
            let data = Rc::into_raw(Rc::clone(&thread)).cast_mut().cast::<c_void>();
            sys::napi_add_async_cleanup_hook(env.raw(), Some(on_end), data, ptr::null_mut())
        };
        assert!(added == sys::Status::napi_ok, "a thread's end must be seen");
        Ok(Self { thread })
    }

    /// Operations that are needed, and that this kernel does not have.
    #[napi]
    pub fn missing(&self) -> Vec<String> {
        probe::missing(&self.thread.state.borrow().driver.ring)
    }

    /// Other arrays from now on. No command is in the ones before.
    #[napi]
    pub fn set_commands(&self, commands: Numbers) {
        self.thread.state.borrow_mut().commands = commands;
    }

    /// A number for an open file. `direct` is a second descriptor of it for transfers past the page cache, or -1; reads go by it if `direct_reads`.
    #[napi]
    pub fn add_file(&self, fd: i32, direct: i32, alignment: u32, direct_reads: bool) -> u32 {
        let State { driver, .. } = &mut *self.thread.state.borrow_mut();
        let direct = (direct >= 0).then_some(direct);
        driver.files.add(&driver.ring, fd, direct, alignment.max(1) as usize, direct_reads) as u32
    }

    /// Nothing is in flight on it; its descriptors are closed afterwards.
    #[napi]
    pub fn remove_file(&self, file: u32) {
        let State { driver, .. } = &mut *self.thread.state.borrow_mut();
        driver.files.remove(&driver.ring, file as usize);
    }

    /// Whether the kernel has it in its table.
    #[napi]
    pub fn is_registered(&self, file: u32) -> bool {
        let state = self.thread.state.borrow();
        state.driver.files.has(file as usize) && state.driver.files.registered(file as usize)
    }

    /// A number for the memory of a view, which lives until it is removed.
    #[napi]
    pub fn add_memory(&self, view: View) -> u32 {
        self.thread.state.borrow_mut().memories.add(view.0) as u32
    }

    #[napi]
    pub fn remove_memory(&self, memory: u32) {
        let State { driver, memories, .. } = &mut *self.thread.state.borrow_mut();
        memories.remove(&driver.ring, memory as usize);
    }

    /// Has the kernel keep the pages of a memory. Zero, or an errno.
    #[napi]
    pub fn register_memory(&self, memory: u32) -> i32 {
        let State { driver, memories, .. } = &mut *self.thread.state.borrow_mut();
        memories.register(&driver.ring, memory as usize)
    }

    /// Takes this many commands, and hands them to the kernel. Returns how many jobs are over already: `collect` brings them, before the thread
    /// turns to its event loop.
    #[napi]
    pub fn submit(&self, count: u32, lent: Option<Views>) -> u32 {
        let mut state = self.thread.state.borrow_mut();
        state.take(count, lent, false);
        state.driver.turn();
        self.thread.stay(&state);
        state.driver.outcomes() as u32
    }

    /// The same; the last job is waited for in place, and its result is written to the last place. What others have ended meanwhile the
    /// event loop brings.
    #[napi]
    pub fn wait(&self, count: u32, lent: Option<Views>) {
        let mut state = self.thread.state.borrow_mut();
        let (job, token) = state.take(count, lent, true).expect("there is a job to wait for");
        let outcome = state.driver.wait_for(job, token).expect("a job that is over has an outcome");
        commands::answer(outcome, state.results.all_mut());
        if state.driver.outcomes() > 0 {
            state.driver.ring.wake();
        }
        self.thread.stay(&state);
    }

    /// The next results. Returns how many were written.
    #[napi]
    pub fn collect(&self) -> u32 {
        let mut state = self.thread.state.borrow_mut();
        self.thread.tell(&mut state, usize::MAX)
    }

    /// Zero, or the errno for which the kernel takes nothing from this ring any more.
    #[napi]
    pub fn failure(&self) -> i32 {
        self.thread.state.borrow().driver.failure()
    }

    #[napi]
    pub fn figures(&self) -> RingFigures {
        let State { driver, .. } = &*self.thread.state.borrow();
        RingFigures {
            enters: driver.ring.enters as f64,
            syncs: driver.syncs as f64,
            in_kernel: driver.in_kernel() as u32,
            pending: driver.pending() as u32,
        }
    }
}

impl State {
    fn take(&mut self, count: u32, lent: Option<Views>, urgent: bool) -> Option<(usize, u32)> {
        let lent = lent.map_or(Vec::new(), |views| views.0);
        let numbers = self.commands.first(count as usize * COMMAND_WIDTH);
        commands::take(&mut self.driver, &self.memories, numbers, &lent, urgent)
    }
}

impl Thread {
    fn tell(&self, state: &mut State, most: usize) -> u32 {
        let told = commands::tell(&mut state.driver, state.results.all_mut(), most);
        self.stay(state);
        told as u32
    }

    /// The thread lives for what is under way, and for outcomes that it has not been told.
    fn stay(&self, state: &State) {
        if let Some(watch) = &mut *self.watch.borrow_mut() {
            watch.keep(state.driver.outcomes() > 0 || state.driver.pending() > 0);
        }
    }
}

/// JavaScript is told of all that has ended, in as many calls as its array of results is too small. What it hands over while it is told may end at once:
/// that waits until the event loop has gone round, or a loop of such calls would keep everything else from running.
fn on_readable(thread: &Weak<Thread>) {
    let Some(thread) = thread.upgrade() else { return };
    let mut left = {
        let mut state = thread.state.borrow_mut();
        state.driver.ring.woken();
        state.driver.turn();
        state.driver.outcomes()
    };
    while left > 0 {
        let told = thread.tell(&mut thread.state.borrow_mut(), left);
        if told == 0 {
            return;
        }
        left -= told as usize;
        thread.notify.call(told);
    }
    let state = thread.state.borrow();
    if state.driver.outcomes() > 0 {
        state.driver.ring.wake();
    }
}

/// R2: nothing is in flight when this is over, and nobody watches. References are let go with the last owner of the thread's state.
unsafe extern "C" fn on_end(handle: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    let thread = Rc::from_raw(data.cast::<Thread>());
    thread.state.borrow_mut().driver.end();
    let watch = thread.watch.borrow_mut().take();
    let removed = move || {
        sys::napi_remove_async_cleanup_hook(handle);
    };
    match watch {
        Some(watch) => watch.close(Box::new(removed)),
        None => removed(),
    }
}

fn of_refusal(refusal: Refusal) -> Error<String> {
    of_errno(refusal.error.raw_os_error().unwrap_or(libc::EIO), refusal.call)
}

fn of_errno(errno: i32, call: &str) -> Error<String> {
    Error::new(errno.to_string(), call)
}

/// Raised whenever something here takes or returns something else: modules of other sources do not use this build.
#[napi]
pub const REVISION: u32 = 2;

/// What the process may keep in memory, in bytes.
#[napi]
pub fn memlock_bytes() -> f64 {
    super::system::memlock_limit() as f64
}
