//! Files by io_uring: one ring for each JavaScript thread.
//!
//! JavaScript writes commands into one shared array, and reads results from another; nothing else crosses for an operation.
//! `driver` holds what is under way and decides what the kernel gets next, `job` is what one call of JavaScript asked for,
//! and `raw` is all that the compiler cannot check.
#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod driver;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod job;
#[cfg(target_os = "linux")]
mod memories;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod raw;
