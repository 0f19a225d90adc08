//! The event loop of the thread watches the descriptor of its ring (R5). The functions are those of libuv that Node.js exports.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ffi::{c_int, c_void};

/// Of libuv: `uv_handle_type` and `uv_poll_event`, whose numbers are part of its interface.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type PollCallback = unsafe extern "C" fn(handle: *mut c_void, status: c_int, events: c_int);
type CloseCallback = unsafe extern "C" fn(handle: *mut c_void);

extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_poll_init(event_loop: *mut c_void, handle: *mut c_void, fd: c_int) -> c_int;
    fn uv_poll_start(handle: *mut c_void, events: c_int, callback: PollCallback) -> c_int;
    fn uv_close(handle: *mut c_void, callback: CloseCallback);
    fn uv_ref(handle: *mut c_void);
    fn uv_unref(handle: *mut c_void);
    fn uv_handle_set_data(handle: *mut c_void, data: *mut c_void);
    fn uv_handle_get_data(handle: *const c_void) -> *mut c_void;
}

struct Callbacks {
    readable: Box<dyn Fn()>,
    closed: Option<Box<dyn FnOnce()>>,
}

/// Watches a descriptor until it is closed. Keeps the thread alive only while it is told to.
pub struct Watch {
    handle: *mut c_void,
    is_kept: bool,
}

impl Watch {
    /// # Safety
    /// The loop is that of this thread, and lives until the watch is closed.
    pub unsafe fn new(event_loop: *mut c_void, fd: i32, readable: Box<dyn Fn()>) -> Result<Self, i32> {
        let handle = alloc_zeroed(layout()).cast::<c_void>();
        let failed = uv_poll_init(event_loop, handle, fd);
        if failed != 0 {
            dealloc(handle.cast(), layout());
            return Err(-failed);
        }
        uv_handle_set_data(handle, Box::into_raw(Box::new(Callbacks { readable, closed: None })).cast());
        let watch = Self { handle, is_kept: false };
        let failed = uv_poll_start(handle, UV_READABLE, on_readable);
        uv_unref(handle);
        if failed != 0 {
            watch.close(Box::new(|| {}));
            return Err(-failed);
        }
        Ok(watch)
    }

    /// Whether the thread stays alive for it.
    pub fn keep(&mut self, keep: bool) {
        if keep == self.is_kept {
            return;
        }
        self.is_kept = keep;
        // SAFETY: the handle lives until `close`, which takes the watch.
        unsafe {
            if keep {
                uv_ref(self.handle);
            } else {
                uv_unref(self.handle);
            }
        }
    }

    /// `closed` is called from the event loop, when the handle is gone.
    pub fn close(self, closed: Box<dyn FnOnce()>) {
        // SAFETY: the data is what `new` put there; only `on_closed` takes it away.
        unsafe {
            let callbacks = uv_handle_get_data(self.handle).cast::<Callbacks>();
            (*callbacks).closed = Some(closed);
            uv_close(self.handle, on_closed);
        }
    }
}

fn layout() -> Layout {
    // SAFETY: takes nothing but a number.
    let size = unsafe { uv_handle_size(UV_POLL) };
    Layout::from_size_align(size, 16).expect("the size of a handle")
}

/// An error of the descriptor itself (`status`) is looked at like a completion: the ring says what there is.
unsafe extern "C" fn on_readable(handle: *mut c_void, _status: c_int, _events: c_int) {
    let callbacks = uv_handle_get_data(handle).cast::<Callbacks>();
    ((*callbacks).readable)();
}

unsafe extern "C" fn on_closed(handle: *mut c_void) {
    let callbacks = Box::from_raw(uv_handle_get_data(handle).cast::<Callbacks>());
    dealloc(handle.cast(), layout());
    let Callbacks { readable, closed } = *callbacks;
    drop(readable);
    if let Some(closed) = closed {
        closed();
    }
}
