//! What this kernel can.

use crate::raw::ring::{Ring, Setup};
use io_uring::opcode;

pub struct Found {
    /// Zero, or why there is no ring.
    pub errno: i32,
    /// Operations that are needed and not there.
    pub missing: Vec<String>,
}

/// Makes a ring of the smallest size, asks it, and lets it go.
pub fn probe(kernel_thread_idle: Option<u32>) -> Found {
    let ring = match Ring::new(Setup { entries: 4, completions: 8, kernel_thread_idle, poll: false }) {
        Ok(ring) => ring,
        Err(error) => return Found { errno: error.raw_os_error().unwrap_or(libc::EIO), missing: Vec::new() },
    };
    let needed = [
        ("READ", opcode::Read::CODE),
        ("WRITE", opcode::Write::CODE),
        ("READV", opcode::Readv::CODE),
        ("WRITEV", opcode::Writev::CODE),
        ("FSYNC", opcode::Fsync::CODE),
        ("FALLOCATE", opcode::Fallocate::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ];
    let missing = needed.iter().filter(|(_, code)| !ring.knows(*code)).map(|(name, _)| (*name).to_owned()).collect();
    Found { errno: 0, missing }
}
