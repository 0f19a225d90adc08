//! What this kernel can.

use crate::raw::ring::{Ring, Setup};
use io_uring::opcode;

pub struct Found {
    /// Zero, or why there is no ring.
    pub errno: i32,
    /// Operations that are needed and not there.
    pub missing: Vec<String>,
}

/// Makes a ring as it would be made for a thread, for its memory may be more than the process may lock; asks it, and lets it go.
pub fn probe(setup: Setup) -> Found {
    let ring = match Ring::new(setup) {
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
