// One open file, as the calls below see it: descriptors, which whoever calls keeps open until the call is over.
#pragma once

#include <sys/uio.h>

#include <cstdint>

#include "outcome.h"

namespace pagewright {

struct File {
  int fd = -1;
  // A second descriptor of the same file that goes past the page cache; -1 where there is none.
  int direct_fd = -1;
  // What addresses, and what offsets and lengths, are multiples of in direct transfers. In bytes, powers of two.
  uint32_t memory_alignment = 1;
  uint32_t offset_alignment = 1;
  // Whether reads go past the page cache as well as writes.
  bool has_direct_reads = true;

  // Whether a piece of memory is transferred past the page cache.
  bool goes_direct(bool is_write, const void* address, size_t length, int64_t offset) const {
    return direct_fd >= 0 && (is_write || has_direct_reads) && reinterpret_cast<uintptr_t>(address) % memory_alignment == 0 &&
           offset % offset_alignment == 0 && length % offset_alignment == 0;
  }
};

// Transfers all of the vectors, which it uses up: a short transfer is continued, an interrupted one repeated. What is aligned goes past the page
// cache if the file has a way there for it. With `durable` all that was written is durable when it returns. The bytes are never looked at.
Outcome transfer(const File& file, bool is_write, iovec* vectors, int count, int64_t offset, bool durable);

// Makes all that was written durable: fdatasync, and on macOS F_FULLFSYNC.
Outcome sync(const File& file);

Outcome truncate(const File& file, int64_t size);

// Reserves blocks for the range, also beyond the end of the file, which stays where it is. Success as well where a file system cannot.
Outcome reserve(const File& file, int64_t offset, int64_t length);

// The same, and the file is as long as the range afterwards, if it was shorter. A file system that cannot has reserved nothing and is as long as before.
Outcome extend(const File& file, int64_t offset, int64_t length);

// Brings what was written in the range to the device, and makes nothing durable. Where the system has no such call, or none for such a file, it fails with kNoSuchCall and has done nothing.
Outcome write_back(const File& file, int64_t offset, int64_t length);

// Reads what the system has in memory, and no more. Returns the number of bytes, 0 if there are none or it cannot be told.
int64_t read_cached(int fd, void* buffer, size_t length, int64_t offset);

}  // namespace pagewright
