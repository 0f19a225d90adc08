#include "vectored.h"

#include <cerrno>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pagewright {

#if defined(__linux__) && defined(SYS_pwritev2) && defined(SYS_preadv2)
namespace {

// By number: older C libraries have no wrapper, and older headers no names of flags.
constexpr long kDsync = 0x2;
constexpr long kNoWait = 0x8;

// The offset as two words, of which 64-bit systems take the first alone.
ssize_t vectored(long number, int fd, const iovec* vectors, int count, int64_t offset, long flags) {
  return syscall(number, fd, vectors, count, static_cast<long>(offset), static_cast<long>(offset >> 32), flags);
}

}  // namespace

ssize_t durable_write(int fd, const iovec* vectors, int count, int64_t offset) {
  return vectored(SYS_pwritev2, fd, vectors, count, offset, kDsync);
}

ssize_t read_without_waiting(int fd, const iovec* vectors, int count, int64_t offset) {
  return vectored(SYS_preadv2, fd, vectors, count, offset, kNoWait);
}
#else
ssize_t durable_write(int, const iovec*, int, int64_t) {
  errno = ENOSYS;
  return -1;
}

ssize_t read_without_waiting(int, const iovec*, int, int64_t) {
  errno = ENOSYS;
  return -1;
}
#endif

bool is_unsupported(int error) { return error == EOPNOTSUPP || error == ENOTSUP || error == ENOSYS; }

}  // namespace pagewright
