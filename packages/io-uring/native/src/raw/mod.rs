//! All that the compiler cannot check. The rest of the crate denies `unsafe`, and holds its end of these invariants:
//!
//! - **R1** The address of a [`memory::Span`] is that of a live `ArrayBuffer` or `SharedArrayBuffer` until the operation that it was made for is over.
//!   JavaScript puts the buffers of every job into the array of held buffers before it hands the job over, and takes them out when it has got the outcome;
//!   the ring keeps a strong reference on that array (`node::Held`). A private buffer must not be detached meanwhile, as with `node:fs`.
//! - **R2** No operation outlives its environment. When a thread ends, the cleanup hook of its environment cancels what is in flight, and waits until
//!   the kernel has completed all of it; only then are the references let go, and with them the memory (`driver::Driver::end`).
//! - **R3** The bytes of a span are never read or written here. They are shared with other threads, so there is no reference to them, only an address
//!   that the kernel gets.
//! - **R4** What an entry points to besides (lists of buffers) is owned by its operation, which stays in the driver's table, in its place on the heap, until
//!   the completion of that entry has been seen.
//! - **R5** A ring, its event loop handle and its references are used by the thread that made them alone. None of the types here can be sent.
//! - **R6** The arrays of commands and results are on shared memory: they can neither be detached nor moved, and JavaScript touches them only while
//!   nothing here runs.

pub mod event_loop;
pub mod memory;
pub mod node;
pub mod ring;
pub mod system;
pub mod values;
