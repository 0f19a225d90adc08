// What the system can do for files and memory beside transfers. All of it returns 0 or an errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagewright {

// What addresses, and offsets and lengths, must be multiples of for direct I/O. In bytes.
struct DirectAlignment {
  uint32_t memory = 0;
  uint32_t offset = 0;
};

// Makes a second descriptor of the same file one for transfers past the page cache, and asks for their alignment. EINVAL where the file system has no such
// way, ESTALE if it is a descriptor of another file.
int prepare_direct(int fd, int direct_fd, DirectAlignment* alignment);

enum class Advice : uint32_t { kNormal = 0, kRandom = 1, kSequential = 2, kWillNeed = 3, kDontNeed = 4 };

// What is going to be done with a range of a file; a length of 0 is all that follows.
int advise(int fd, int64_t offset, int64_t length, Advice advice);

// Asks for huge pages behind whole ones of this memory.
int use_huge_pages(void* address, size_t length);

// A lock of the open file description on the whole file, shared, without waiting. It ends with the last descriptor of that description.
int lock_shared(int fd);

// Whether anybody else's description has the file locked.
int find_lock(int fd, bool* is_locked);

}  // namespace pagewright
