// preadv2 and pwritev2 of Linux, where there are flags for a single call.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>

namespace pagewright {

// How a write becomes durable.
enum class Durability : uint8_t { kNone, kInCall, kAfterwards };

// A write that is durable when it returns (RWF_DSYNC). Fails with an error that is_unsupported() where there is none.
ssize_t durable_write(int fd, const iovec* vectors, int count, int64_t offset);

// A read of what is in the page cache (RWF_NOWAIT); -1 if it would wait, or where there is none.
ssize_t read_without_waiting(int fd, const iovec* vectors, int count, int64_t offset);

// Whether an error says that the system, or the file system, has no such call.
bool is_unsupported(int error);

}  // namespace pagewright
