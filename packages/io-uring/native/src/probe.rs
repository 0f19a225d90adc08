//! What this kernel can.

use crate::raw::ring::Ring;
use io_uring::opcode;

/// Operations that are needed, and that the kernel of this ring does not have.
pub fn missing(ring: &Ring) -> Vec<String> {
    let needed = [
        ("READ", opcode::Read::CODE),
        ("WRITE", opcode::Write::CODE),
        ("READV", opcode::Readv::CODE),
        ("WRITEV", opcode::Writev::CODE),
        ("FSYNC", opcode::Fsync::CODE),
        ("FALLOCATE", opcode::Fallocate::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ];
    needed.iter().filter(|(_, code)| !ring.knows(*code)).map(|(name, _)| (*name).to_owned()).collect()
}
