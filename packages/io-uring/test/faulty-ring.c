/*
 * Preloaded into a process, this makes the ring of the native part go as it seldom does. What is named in FAULTY_RING is done to each io_uring_enter, and the kernel itself answers:
 *   split        it is handed two entries at most
 *   interrupted  every second one is, before it does anything
 *   refused      it is, with EPERM, as by a filter of system calls, as soon as there is a file of the name in REFUSED_FROM
 *   undurable    writes have a flag that no file system knows, if they are to be durable (EOPNOTSUPP)
 *   unallocated  allocations are for a place that there is not (EINVAL)
 *   unwritten    what is brought to the device is so with a flag that there is not (EINVAL), though it was asked whether that can be done
 *   rangeless    the same, and asking is so as well
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ENTER = 426, MOST_RINGS = 64, WRITEV = 2, WRITE_FIXED = 5, SYNC_FILE_RANGE = 8, FALLOCATE = 17, WRITE = 23, DSYNC = 2, UNKNOWN = 1 << 30 };
static const off_t OF_ENTRIES = 0x10000000;

struct entry {
  uint8_t opcode, flags;
  uint16_t priority;
  int32_t fd;
  uint64_t offset, address;
  uint32_t length, rw_flags;
  uint64_t rest[4];
};

static _Atomic(struct entry *) entries[MOST_RINGS];
static size_t counts[MOST_RINGS];
static atomic_uint rings, calls;

static int is(const char *what) {
  const char *mode = getenv("FAULTY_RING");
  return mode != NULL && strcmp(mode, what) == 0;
}

static int is_of_ring(const void *caller) {
  Dl_info found;
  return dladdr(caller, &found) != 0 && strstr(found.dli_fname, "io-uring") != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  void *place = REAL(mmap)(at, length, protection, flags, fd, offset);
  if (place != MAP_FAILED && fd >= 0 && offset == OF_ENTRIES && is_of_ring(__builtin_return_address(0))) {
    const unsigned ring = atomic_fetch_add(&rings, 1);
    if (ring >= MOST_RINGS) abort();
    counts[ring] = length / sizeof(struct entry);
    atomic_store(&entries[ring], place);
  }
  return place;
}

static void spoil(struct entry *entry) {
  const int writes = entry->opcode == WRITE || entry->opcode == WRITEV || entry->opcode == WRITE_FIXED;
  if (is("undurable") && writes && entry->rw_flags == DSYNC) entry->rw_flags |= UNKNOWN;
  if (is("unallocated") && entry->opcode == FALLOCATE) entry->offset = UINT64_MAX;
  if (entry->opcode == SYNC_FILE_RANGE && (is("rangeless") || (is("unwritten") && entry->rw_flags != 0))) entry->rw_flags |= UNKNOWN;
}

long syscall(long number, ...) {
  long words[6];
  va_list rest;
  va_start(rest, number);
  for (int at = 0; at < 6; at++) words[at] = va_arg(rest, long);
  va_end(rest);
  if (number == ENTER && is_of_ring(__builtin_return_address(0))) {
    if (is("split") && words[1] > 2) words[1] = 2;
    if (is("interrupted") && atomic_fetch_add(&calls, 1) % 2 == 0) return errno = EINTR, -1;
    if (is("refused") && access(getenv("REFUSED_FROM"), F_OK) == 0) return errno = EPERM, -1;
    if (is("undurable") || is("unallocated") || is("unwritten") || is("rangeless")) {
      for (unsigned ring = 0; ring < MOST_RINGS && entries[ring] != NULL; ring++) {
        for (size_t at = 0; at < counts[ring]; at++) spoil(entries[ring] + at);
      }
    }
  }
  return REAL(syscall)(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
