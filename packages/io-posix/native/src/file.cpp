#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "vectored.h"

namespace pagewright {
namespace {

// No call asks for more: the length of a system call has 31 bits.
constexpr size_t kLargestCall = size_t{1} << 30;

// Interruptions in a row without a byte moved after which a file is taken to be broken.
constexpr int kMostRetries = 1000;

bool is_transient(int error) { return error == EINTR || error == EAGAIN; }

// What is left of a transfer.
struct Remainder {
  iovec* vectors;
  int count;
  int64_t offset;

  void advance(size_t moved) {
    offset += static_cast<int64_t>(moved);
    while (count > 0 && moved >= vectors->iov_len) {
      moved -= vectors->iov_len;
      vectors++;
      count--;
    }
    if (moved == 0) return;
    vectors->iov_base = static_cast<char*>(vectors->iov_base) + moved;
    vectors->iov_len -= moved;
  }
};

bool goes_direct(const File& file, bool is_write, const Remainder& rest) {
  int64_t at = rest.offset;
  for (int i = 0; i < rest.count; i++) {
    const iovec& vector = rest.vectors[i];
    if (!file.goes_direct(is_write, vector.iov_base, vector.iov_len, at)) return false;
    at += static_cast<int64_t>(vector.iov_len);
  }
  return true;
}

ssize_t call(int fd, bool is_write, const Remainder& rest, Durability durability) {
  if (is_write && durability == Durability::kInCall) return durable_write(fd, rest.vectors, rest.count, rest.offset);
  if (rest.count == 1 || rest.vectors->iov_len > kLargestCall) {
    void* base = rest.vectors->iov_base;
    const size_t length = std::min(rest.vectors->iov_len, kLargestCall);
    return is_write ? pwrite(fd, base, length, rest.offset) : pread(fd, base, length, rest.offset);
  }
  return is_write ? pwritev(fd, rest.vectors, rest.count, rest.offset)
                  : preadv(fd, rest.vectors, rest.count, rest.offset);
}

template <typename Call>
Outcome repeat(Stage stage, int64_t offset, Call&& call) {
  for (int retries = 0;; retries++) {
    if (call() == 0) return {};
    if (errno != EINTR || retries >= kMostRetries) return {errno, stage, offset};
  }
}

}  // namespace

Outcome transfer(const File& file, bool is_write, iovec* vectors, int count, int64_t offset, bool durable) {
  const Stage stage = is_write ? Stage::kWrite : Stage::kRead;
  Remainder rest{vectors, count, offset};
  rest.advance(0);
  Durability durability = Durability::kNone;
  if (durable && is_write) durability = Durability::kInCall;
  bool is_direct = goes_direct(file, is_write, rest);
  int retries = 0;
  while (rest.count > 0) {
    const ssize_t moved = call(is_direct ? file.direct_fd : file.fd, is_write, rest, durability);
    if (moved > 0) {
      rest.advance(static_cast<size_t>(moved));
      // A short direct read ends where the file does, which need not be a place at which the next one may begin.
      if (is_direct && rest.count > 0) is_direct = goes_direct(file, is_write, rest);
      retries = 0;
      continue;
    }
    if (moved == 0) return {is_write ? kNoProgress : kEndOfFile, stage, rest.offset};
    const int error = errno;
    if (is_direct && error == EINVAL) {
      is_direct = false;  // the file system wants more than it has said
    } else if (durability == Durability::kInCall && is_unsupported(error)) {
      durability = Durability::kAfterwards;
    } else if (!is_transient(error) || ++retries > kMostRetries) {
      return {error, durability == Durability::kInCall ? Stage::kDurableWrite : stage, rest.offset};
    }
  }
  return durability == Durability::kAfterwards ? sync(file) : Outcome{};
}

Outcome sync(const File& file) {
  return repeat(Stage::kSync, 0, [&] {
#if defined(__APPLE__)
    const int full = fcntl(file.fd, F_FULLFSYNC);
    if (full == 0 || (errno != ENOTSUP && errno != ENOTTY && errno != EINVAL)) return full;
    return fsync(file.fd);
#else
    return fdatasync(file.fd);
#endif
  });
}

Outcome truncate(const File& file, int64_t size) {
  return repeat(Stage::kTruncate, size, [&] { return ftruncate(file.fd, size); });
}

Outcome reserve(const File& file, int64_t offset, int64_t length) {
  if (length == 0) return {};
#if defined(__linux__)
  Outcome outcome = repeat(Stage::kReserve, offset, [&] {
    return fallocate(file.fd, FALLOC_FL_KEEP_SIZE, offset, length);
  });
#elif defined(__APPLE__)
  Outcome outcome = repeat(Stage::kReserve, offset, [&] {
    struct stat found;
    if (fstat(file.fd, &found) != 0) return -1;
    if (offset + length <= found.st_size) return 0;
    fstore_t store = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, offset + length - found.st_size, 0};
    return fcntl(file.fd, F_PREALLOCATE, &store) == -1 ? -1 : 0;
  });
#else
  Outcome outcome;
  (void)file;
  (void)offset;
#endif
  return is_unsupported(outcome.error) || outcome.error == ENODEV || outcome.error == ESPIPE ? Outcome{} : outcome;
}

Outcome extend(const File& file, int64_t offset, int64_t length) {
  // The blocks first: a full device is found out before the file has become longer.
  const Outcome outcome = reserve(file, offset, length);
#if defined(__linux__)
  if (outcome.failed() || length == 0) return outcome;
  // Never shortens a file that another thread has made longer meanwhile, as ftruncate would.
  const Outcome extended = repeat(Stage::kReserve, offset, [&] { return fallocate(file.fd, 0, offset, length); });
  return is_unsupported(extended.error) || extended.error == ENODEV || extended.error == ESPIPE ? Outcome{} : extended;
#else
  return outcome;
#endif
}

Outcome write_back(const File& file, int64_t offset, int64_t length) {
#if defined(__linux__)
  constexpr unsigned int kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  // A length of zero would be all that follows.
  if (length == 0) return {};
  // Without flags it does nothing, and fails where there is no such call or not for such a file. What fails below may be any error that a write has met: the system tells of it once.
  if (sync_file_range(file.fd, offset, length, 0) != 0) return {kNoSuchCall, Stage::kWriteBack, offset};
  return repeat(Stage::kWriteBack, offset, [&] { return sync_file_range(file.fd, offset, length, kAll); });
#else
  (void)file;
  (void)length;
  return {kNoSuchCall, Stage::kWriteBack, offset};
#endif
}

int64_t read_cached(int fd, void* buffer, size_t length, int64_t offset) {
  iovec vector{buffer, length};
  const ssize_t moved = read_without_waiting(fd, &vector, 1, offset);
  return moved > 0 ? moved : 0;
}

}  // namespace pagewright
