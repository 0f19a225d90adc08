#include "vectored.h"

#include <cerrno>

namespace pagewright {

#if defined(__linux__) && defined(RWF_DSYNC) && defined(RWF_NOWAIT)
ssize_t durable_write(int fd, const iovec* vectors, int count, int64_t offset) {
  return pwritev2(fd, vectors, count, offset, RWF_DSYNC);
}

ssize_t read_without_waiting(int fd, const iovec* vectors, int count, int64_t offset) {
  return preadv2(fd, vectors, count, offset, RWF_NOWAIT);
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
