#include "system.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace pagewright {
namespace {

#if defined(__linux__)

#ifndef O_DIRECT
#error "Without O_DIRECT in the headers: define _GNU_SOURCE."
#endif

// By number, as older headers have neither the call nor these of its fields.
struct StatxBuffer {
  uint32_t mask;
  uint32_t skipped[37];
  uint32_t dio_memory_alignment;
  uint32_t dio_offset_alignment;
  uint32_t rest[24];
};
static_assert(sizeof(StatxBuffer) == 256, "the size of struct statx");
static_assert(offsetof(StatxBuffer, dio_memory_alignment) == 0x98, "its place in struct statx");

constexpr uint32_t kStatxDioAlign = 0x2000;

// What the file system says; false if it says nothing, which older kernels and some file systems do.
bool ask_alignment(int fd, DirectAlignment* alignment, bool* has_direct) {
#if defined(SYS_statx)
  StatxBuffer found = {};
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDioAlign, &found) != 0) return false;
  if ((found.mask & kStatxDioAlign) == 0) return false;
  *has_direct = found.dio_offset_alignment != 0;
  *alignment = {found.dio_memory_alignment, found.dio_offset_alignment};
  return true;
#else
  (void)fd;
  (void)alignment;
  (void)has_direct;
  return false;
#endif
}

// The smallest alignment with which a read succeeds. A file that is too short to tell gets the largest one in use.
DirectAlignment probe_alignment(int direct_fd) {
  constexpr uint32_t kLargest = 4096;
  DirectAlignment found{kLargest, kLargest};
  struct stat stats;
  if (fstat(direct_fd, &stats) != 0 || stats.st_size < kLargest) return found;
  void* memory = nullptr;
  if (posix_memalign(&memory, kLargest, 2 * kLargest) != 0) return found;
  for (const uint32_t size : {512u, 1024u, 2048u}) {
    if (pread(direct_fd, static_cast<char*>(memory) + size, size, size) == static_cast<ssize_t>(size)) {
      found = {size, size};
      break;
    }
  }
  free(memory);
  return found;
}

#endif

}  // namespace

int prepare_direct(int fd, int direct_fd, DirectAlignment* alignment) {
  struct stat one, other;
  if (fstat(fd, &one) != 0 || fstat(direct_fd, &other) != 0) return errno;
  if (one.st_ino != other.st_ino || one.st_dev != other.st_dev || !S_ISREG(other.st_mode)) return ESTALE;
#if defined(__linux__)
  bool has_direct = true;
  const bool is_told = ask_alignment(fd, alignment, &has_direct);
  if (!has_direct) return EINVAL;
  if (!is_told) *alignment = probe_alignment(direct_fd);
  return 0;
#elif defined(__APPLE__)
  if (fcntl(direct_fd, F_NOCACHE, 1) != 0) return errno;
  *alignment = {4096, 4096};
  return 0;
#else
  (void)alignment;
  return ENOSYS;
#endif
}

int advise(int fd, int64_t offset, int64_t length, Advice advice) {
#if defined(POSIX_FADV_RANDOM)
  constexpr int kNumbers[] = {POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
                              POSIX_FADV_DONTNEED};
  return posix_fadvise(fd, offset, length, kNumbers[static_cast<uint32_t>(advice)]);
#else
  (void)fd;
  (void)offset;
  (void)length;
  (void)advice;
  return ENOSYS;
#endif
}

int use_huge_pages(void* address, size_t length) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(address) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(address) + length) / page * page;
  if (end <= begin) return 0;
  return madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE) == 0 ? 0 : errno;
#else
  (void)address;
  (void)length;
  return ENOSYS;
#endif
}

#if defined(F_OFD_SETLK)
namespace {

struct flock whole_file(int type) {
  struct flock lock = {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

int lock_shared(int fd) {
  struct flock lock = whole_file(F_RDLCK);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

int find_lock(int fd, bool* is_locked) {
  struct flock lock = whole_file(F_WRLCK);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return errno;
  *is_locked = lock.l_type != F_UNLCK;
  return 0;
}
#else
int lock_shared(int) { return ENOSYS; }
int find_lock(int, bool*) { return ENOSYS; }
#endif

}  // namespace pagewright
