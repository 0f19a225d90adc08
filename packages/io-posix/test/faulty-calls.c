/*
 * Preloaded into a process, this makes the system's calls on files go as they seldom do: FAULTY_CALLS is `short` (a transfer moves 333 bytes at most), `interrupted` (every second call is),
 * `failing` (writes and write-backs fail with EIO), `unwritten` (write-backs fail with EOPNOTSUPP, as what a write has met), `rangeless` (there is no such call), or `threadless` (the first threads that the addon asks for are not given, as many as THREADLESS_CALLS says). Files below /proc and the like are left alone: only transfers at an offset are touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_BYTES = 333 };
static atomic_uint calls;

static int is(const char *what) {
  const char *mode = getenv("FAULTY_CALLS");
  return mode != NULL && strcmp(mode, what) == 0;
}

/* Whether this call fails, before it does anything. */
static int fails(int is_write) {
  errno = is_write && is("failing") ? EIO : is("interrupted") && atomic_fetch_add(&calls, 1) % 2 == 0 ? EINTR : 0;
  return errno != 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static size_t cut(size_t length) { return is("short") && length > MOST_BYTES ? MOST_BYTES : length; }

ssize_t pread(int fd, void *bytes, size_t length, off_t at) {
  return fails(0) ? -1 : REAL(pread)(fd, bytes, cut(length), at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  return fails(1) ? -1 : REAL(pwrite)(fd, bytes, cut(length), at);
}

/* Of vectors a short transfer takes the first one, and of that no more than its share. */
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at) {
  if (is("short")) return pread(fd, parts->iov_base, parts->iov_len, at);
  return fails(0) ? -1 : REAL(preadv)(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  if (is("short")) return pwrite(fd, parts->iov_base, parts->iov_len, at);
  return fails(1) ? -1 : REAL(pwritev)(fd, parts, count, at);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
  struct iovec first = { parts->iov_base, cut(parts->iov_len) };
  if (fails(1)) return -1;
  return is("short") ? REAL(pwritev2)(fd, &first, 1, at, flags) : REAL(pwritev2)(fd, parts, count, at, flags);
}

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
  if (is("short") || is("interrupted")) return errno = EAGAIN, -1;
  return REAL(preadv2)(fd, parts, count, at, flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  static atomic_int refused;
  Dl_info caller;
  /* By the C++ library, wherever it is: Node.js itself asks without it. */
  const int is_known = dladdr(__builtin_return_address(0), &caller) != 0;
  const int is_of_addon = is_known && (strstr(caller.dli_fname, "io-posix") || strstr(caller.dli_fname, "libstdc++"));
  if (is_of_addon && is("threadless") && atomic_fetch_add(&refused, 1) < atoi(getenv("THREADLESS_CALLS"))) return EAGAIN;
  return REAL(pthread_create)(thread, attributes, run, argument);
}

/* Without flags it only says whether there is such a call. */
int sync_file_range(int fd, off_t at, off_t length, unsigned flags) {
  if (is("rangeless")) return errno = ENOSYS, -1;
  if (flags != 0 && is("unwritten")) return errno = EOPNOTSUPP, -1;
  return flags != 0 && fails(1) ? -1 : REAL(sync_file_range)(fd, at, length, flags);
}

int fdatasync(int fd) { return fails(0) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { return fails(0) ? -1 : REAL(ftruncate)(fd, size); }
ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
ssize_t preadv64(int, const struct iovec *, int, off64_t) __attribute__((alias("preadv")));
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));
ssize_t preadv64v2(int, const struct iovec *, int, off64_t, int) __attribute__((alias("preadv2")));
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int) __attribute__((alias("pwritev2")));
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
