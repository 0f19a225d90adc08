/*
 * Preloaded into a process, this keeps a journal of all that the process does to the files of one directory, and of which
 * syncs have returned. From it the test kit rebuilds the directory as a loss of power would have left it: what no
 * completed sync covers may be gone, there, or torn.
 *
 * What must hold: records stand in the order of their effects; a write is in the journal before it is in the file, so that
 * one that was cut off may survive in part; a sync is there only when the kernel has answered, and covers what stood in the
 * journal when it was asked for. The journal is appended to by raw system calls, and whoever dies in the middle of a record
 * leaves it short at the very end, where its length shows it. What is not modelled ends the process with a message.
 *
 * Environment: POWER_CUT_DIRECTORY, an absolute path without symbolic links; POWER_CUT_JOURNAL, a file outside of it;
 * POWER_CUT_FAIL_SYNC, the number of the file sync, from 1, that answers EIO; POWER_CUT_KILL_AT, the number of the record,
 * from 1, in whose place the process kills itself. Linux, 64 bits. Layout of a record: src/power-cut/journal.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if !defined(__linux__) || UINTPTR_MAX != UINT64_MAX
#error "Linux with 64 bits alone"
#endif

enum kind {
  CREATE = 1, ADOPT, WRITE, RESIZE, EXTEND, SYNC, SYNC_DIRECTORY, SYNCED, CUT_SHORT,
  LINK, UNLINK, RENAME, MAKE_DIRECTORY, REMOVE_DIRECTORY
};

struct record {
  uint32_t magic;
  uint32_t kind;
  uint64_t sequence;
  uint64_t object;    /* number of a file, from 1, kept under other names; SYNC: 0 means all files and directories */
  uint64_t offset;    /* WRITE: where; RESIZE, EXTEND: the size; SYNCED: errno or 0; CUT_SHORT: bytes written after all */
  uint64_t length;    /* bytes that follow: data, a path below the directory, or two with a NUL between; of a SYNC of some bytes
                         alone their offset and length */
  uint64_t reference; /* SYNCED, CUT_SHORT: sequence of the record that it is about */
};

#define MAGIC 0x4a435750u /* "PWCJ" */
#define MOST_FILES 8192
#define MOST_DESCRIPTORS 65536

static char directory[PATH_MAX];
static size_t directory_length;
static dev_t device;
static int journal = -1;
static uint64_t records, file_syncs, fail_sync, kill_at;
/* Held from the record of an operation to its effect. Not held while the kernel syncs: writes go on meanwhile. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct { ino_t inode; uint64_t object; } files[MOST_FILES];
static size_t file_count;
static uint64_t last_object;
/* Descriptors that were opened with O_DSYNC: the kernel gets a write and a sync for each of their writes. A bit is right for the
 * files that are journalled, since these come from an open alone. */
static uint64_t durable_writes[MOST_DESCRIPTORS / 64];

static void give_up(const char *what) {
  dprintf(2, "power-cut layer: %s\n", what);
  abort();
}

/* ── The journal ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_bytes(const void *bytes, size_t length) {
  while (length > 0) {
    long done = syscall(SYS_write, journal, bytes, length);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) give_up("the journal cannot be written");
    bytes = (const char *)bytes + done;
    length -= done;
  }
}

static uint64_t put_record(
  enum kind kind, uint64_t object, uint64_t offset, uint64_t reference, const struct iovec *parts, int count
) {
  if (++records == kill_at) kill(getpid(), SIGKILL);
  struct record record = { MAGIC, kind, records, object, offset, 0, reference };
  for (int part = 0; part < count; part++) record.length += parts[part].iov_len;
  put_bytes(&record, sizeof record);
  for (int part = 0; part < count; part++) put_bytes(parts[part].iov_base, parts[part].iov_len);
  return record.sequence;
}

static void put_path(enum kind kind, uint64_t object, const char *path) {
  struct iovec part = { (void *)path, strlen(path) };
  put_record(kind, object, 0, 0, &part, 1);
}

static void put_paths(enum kind kind, const char *from, const char *to) {
  struct iovec parts[] = { { (void *)from, strlen(from) + 1 }, { (void *)to, strlen(to) } };
  put_record(kind, 0, 0, 0, parts, 2);
}

/* ── Which paths and descriptors are below the directory ─────────────────────────────────────────────────────── */

static const char *below(const char *path) {
  if (strncmp(path, directory, directory_length) != 0) return NULL;
  const char *rest = path + directory_length;
  return *rest == '/' || *rest == '\0' ? rest : NULL;
}

/* The path below the directory that is meant, in `space`; NULL if it is another. Its last part need not be there. */
static const char *resolve(int at, const char *path, char space[PATH_MAX]) {
  if (journal < 0 || path == NULL) return NULL;
  char full[PATH_MAX];
  int is_plain = path[0] == '/' || at == AT_FDCWD;
  int length = is_plain ? snprintf(full, sizeof full, "%s", path)
                        : snprintf(full, sizeof full, "/proc/self/fd/%d/%s", at, path);
  if (length <= 0 || length >= PATH_MAX) return NULL;
  while (length > 1 && full[length - 1] == '/') full[--length] = '\0';
  char *slash = strrchr(full, '/');
  const char *name = slash == NULL ? full : slash + 1;
  char last[PATH_MAX];
  strcpy(last, name);
  if (slash != NULL) slash[slash == full ? 1 : 0] = '\0';
  int saved = errno;
  const char *parent = realpath(slash == NULL ? "." : full, space);
  errno = saved;
  if (parent == NULL || strlen(space) + strlen(last) + 2 > PATH_MAX) return NULL;
  if (strcmp(space, "/") != 0) strcat(space, "/");
  strcat(space, last);
  return below(space);
}

/* The path below the directory that a descriptor was opened by. */
static const char *path_of(int fd, char space[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, space, PATH_MAX - 1);
  if (length < 0) return NULL;
  space[length] = '\0';
  return below(space);
}

static uint64_t number_file(ino_t inode) {
  size_t at = 0;
  while (at < file_count && files[at].inode != inode) at++;
  if (at == MOST_FILES) give_up("too many files");
  if (at == file_count) file_count++;
  files[at].inode = inode;
  return files[at].object = ++last_object;
}

/* Whether the descriptor may be of a file below the directory. Needs no turn. */
static int may_be_tracked(int fd, mode_t type, struct stat *found) {
  int saved = errno;
  int is = journal >= 0 && fstat(fd, found) == 0 && (found->st_mode & S_IFMT) == type && found->st_dev == device;
  errno = saved;
  return is;
}

/* The file's number; 0 if it is not below the directory. One that is met for the first time was there before. The path is
 * looked at each time: the inode of a file that was removed may have become one elsewhere. */
static uint64_t object_of(int fd, ino_t inode) {
  char space[PATH_MAX];
  int saved = errno;
  const char *path = path_of(fd, space);
  errno = saved;
  if (path == NULL) return 0;
  for (size_t at = 0; at < file_count; at++) {
    if (files[at].inode == inode) return files[at].object;
  }
  uint64_t object = number_file(inode);
  put_path(ADOPT, object, path);
  return object;
}

__attribute__((constructor)) static void begin(void) {
  const char *where = getenv("POWER_CUT_DIRECTORY");
  const char *into = getenv("POWER_CUT_JOURNAL");
  if (where == NULL || into == NULL) return;
  const char *fail = getenv("POWER_CUT_FAIL_SYNC");
  const char *kill_number = getenv("POWER_CUT_KILL_AT");
  fail_sync = fail == NULL ? 0 : strtoull(fail, NULL, 10);
  kill_at = kill_number == NULL ? 0 : strtoull(kill_number, NULL, 10);
  struct stat found;
  if (realpath(where, directory) == NULL || strcmp(where, directory) != 0 || stat(directory, &found) != 0) {
    give_up("POWER_CUT_DIRECTORY is not the true path of a directory");
  }
  device = found.st_dev;
  directory_length = strlen(directory);
  if (below(into) != NULL) give_up("the journal must be outside of the directory");
  int fd = syscall(SYS_openat, AT_FDCWD, into, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) give_up("POWER_CUT_JOURNAL cannot be opened");
  journal = fd;
  unsetenv("POWER_CUT_DIRECTORY"); /* a process that this one starts is not journalled */
}

/* ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void mark_durable(int fd, int is) {
  if (fd < 0) return;
  if (fd >= MOST_DESCRIPTORS) give_up("too many descriptors");
  uint64_t bit = UINT64_C(1) << (fd % 64);
  if (is) __atomic_fetch_or(&durable_writes[fd / 64], bit, __ATOMIC_RELAXED);
  else __atomic_fetch_and(&durable_writes[fd / 64], ~bit, __ATOMIC_RELAXED);
}

static int has_durable_writes(int fd) {
  return fd < MOST_DESCRIPTORS && (__atomic_load_n(&durable_writes[fd / 64], __ATOMIC_RELAXED) >> (fd % 64) & 1) != 0;
}

/* The same for another descriptor of an open file, which is asked for by the name that the system has for it. */
static const char *resolve_open(int at, const char *path, char space[PATH_MAX]) {
  int fd, end = 0;
  if (path != NULL && sscanf(path, "/proc/self/fd/%d%n", &fd, &end) == 1 && path[end] == '\0') return path_of(fd, space);
  return resolve(at, path, space);
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
  char space[PATH_MAX];
  int changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
  const char *name = changes ? resolve_open(at, path, space) : NULL;
  if (name == NULL) {
    int other = syscall(SYS_openat, at, path, flags, mode);
    mark_durable(other, 0);
    return other;
  }
  if ((flags & O_TMPFILE) == O_TMPFILE) give_up("open with O_TMPFILE is not modelled");
  int is_durable = (flags & O_DSYNC) != 0;
  flags &= ~O_SYNC;
  pthread_mutex_lock(&turn);
  struct stat found;
  int saved = errno;
  int existed = fstatat(at, path, &found, 0) == 0;
  errno = saved;
  int fd = syscall(SYS_openat, at, path, flags, mode);
  if (fd >= 0 && may_be_tracked(fd, S_IFREG, &found)) {
    if (!existed) put_path(CREATE, number_file(found.st_ino), name);
    else {
      uint64_t object = object_of(fd, found.st_ino);
      if (object != 0 && (flags & O_TRUNC) != 0) put_record(RESIZE, object, 0, 0, NULL, 0);
    }
  }
  mark_durable(fd, is_durable);
  pthread_mutex_unlock(&turn);
  return fd;
}

int openat(int at, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return do_open(at, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return do_open(AT_FDCWD, path, flags, mode);
}

int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

static int end_sync(uint64_t begun, int result);

/* What is to be written goes into the journal, then to the file; `offset` -1 is where the descriptor stands. */
static ssize_t do_write(int fd, const struct iovec *parts, int count, off_t offset, int is_durable) {
  struct stat found;
  uint64_t begun = 0;
  int fails = 0;
  int tracked = may_be_tracked(fd, S_IFREG, &found);
  if (tracked) pthread_mutex_lock(&turn);
  uint64_t object = tracked ? object_of(fd, found.st_ino) : 0, sequence = 0;
  off_t at = offset;
  if (object != 0) {
    if (fstat(fd, &found) == 0 && (fcntl(fd, F_GETFL) & O_APPEND) != 0) at = found.st_size;
    else if (offset == -1) at = lseek(fd, 0, SEEK_CUR);
    sequence = put_record(WRITE, object, at, 0, parts, count);
  }
  ssize_t done =
    offset == -1 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  if (object != 0) {
    ssize_t asked = 0;
    for (int part = 0; part < count; part++) asked += parts[part].iov_len;
    int saved = errno;
    if (done != asked) put_record(CUT_SHORT, object, done < 0 ? 0 : done, sequence, NULL, 0);
    if (done > 0 && (is_durable || has_durable_writes(fd))) {
      uint64_t range[] = { at, done };
      struct iovec part = { range, sizeof range };
      fails = ++file_syncs == fail_sync;
      begun = put_record(SYNC, object, 0, 0, &part, 1);
    }
    errno = saved;
  }
  if (tracked) pthread_mutex_unlock(&turn);
  if (begun == 0) return done;
  if (fails) errno = EIO;
  return end_sync(begun, fails ? -1 : syscall(SYS_fdatasync, fd)) == 0 ? done : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return do_write(fd, parts, count, -1, 0); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return do_write(fd, parts, count, offset, 0);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  struct stat found;
  if ((flags & ~RWF_DSYNC) != 0 && may_be_tracked(fd, S_IFREG, &found)) give_up("pwritev2 with this flag is not modelled");
  if ((flags & ~RWF_DSYNC) != 0) return syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
  return do_write(fd, parts, count, offset, (flags & RWF_DSYNC) != 0);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec part = { (void *)bytes, length };
  return do_write(fd, &part, 1, -1, 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  struct iovec part = { (void *)bytes, length };
  return do_write(fd, &part, 1, offset, 0);
}

/* An operation that changes a size, and has taken place or not when it returns. */
#define RESIZING(fd, kind, size, operation)                                                          \
  do {                                                                                               \
    struct stat found;                                                                               \
    if (!may_be_tracked(fd, S_IFREG, &found)) return operation;                                      \
    pthread_mutex_lock(&turn);                                                                       \
    uint64_t object = object_of(fd, found.st_ino);                                                   \
    int result = operation;                                                                          \
    if (result == 0 && object != 0) put_record(kind, object, size, 0, NULL, 0);                      \
    pthread_mutex_unlock(&turn);                                                                     \
    return result;                                                                                   \
  } while (0)

int ftruncate(int fd, off_t size) { RESIZING(fd, RESIZE, size, syscall(SYS_ftruncate, fd, size)); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
  struct stat found;
  /* Blocks beyond the end change nothing that could be read, before a loss of power or after. */
  if (mode == FALLOC_FL_KEEP_SIZE) return syscall(SYS_fallocate, fd, mode, offset, length);
  if (mode != 0 && may_be_tracked(fd, S_IFREG, &found)) give_up("fallocate with a mode is not modelled");
  RESIZING(fd, EXTEND, offset + length, syscall(SYS_fallocate, fd, mode, offset, length));
}

int posix_fallocate(int fd, off_t offset, off_t length) {
  int saved = errno;
  int result = fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
  errno = saved;
  return result;
}

/* ── Syncs ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static int end_sync(uint64_t begun, int result) {
  int saved = errno;
  pthread_mutex_lock(&turn);
  put_record(SYNCED, 0, result == 0 ? 0 : saved, begun, NULL, 0);
  pthread_mutex_unlock(&turn);
  errno = saved;
  return result;
}

static int do_sync(int fd, long call) {
  struct stat found;
  char space[PATH_MAX];
  uint64_t begun = 0;
  int fails = 0;
  if (may_be_tracked(fd, S_IFREG, &found)) {
    pthread_mutex_lock(&turn);
    uint64_t object = object_of(fd, found.st_ino);
    if (object != 0) {
      fails = ++file_syncs == fail_sync;
      begun = put_record(SYNC, object, 0, 0, NULL, 0);
    }
    pthread_mutex_unlock(&turn);
  } else if (may_be_tracked(fd, S_IFDIR, &found)) {
    const char *path = path_of(fd, space);
    if (path != NULL) {
      struct iovec part = { (void *)path, strlen(path) };
      pthread_mutex_lock(&turn);
      begun = put_record(SYNC_DIRECTORY, 0, 0, 0, &part, 1);
      pthread_mutex_unlock(&turn);
    }
  }
  if (fails) errno = EIO;
  int result = fails ? -1 : syscall(call, fd);
  return begun == 0 ? result : end_sync(begun, result);
}

int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int syncfs(int fd) {
  struct stat found;
  if (journal < 0 || fstat(fd, &found) != 0 || found.st_dev != device) return syscall(SYS_syncfs, fd);
  pthread_mutex_lock(&turn);
  uint64_t begun = put_record(SYNC, 0, 0, 0, NULL, 0);
  pthread_mutex_unlock(&turn);
  return end_sync(begun, syscall(SYS_syncfs, fd));
}

/* ── Names ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* An operation on one name: in the journal once it has taken place. */
#define NAMING(at, path, kind, operation)                                \
  do {                                                                   \
    char space[PATH_MAX];                                                \
    const char *name = resolve(at, path, space);                         \
    if (name == NULL) return operation;                                  \
    pthread_mutex_lock(&turn);                                           \
    int result = operation;                                              \
    if (result == 0) put_path(kind, 0, name);                            \
    pthread_mutex_unlock(&turn);                                         \
    return result;                                                       \
  } while (0)

/* The same for two names, of which both or none must be below the directory. */
#define MOVING(at, from, to_at, to, kind, operation)                                                               \
  do {                                                                                                             \
    char from_space[PATH_MAX], to_space[PATH_MAX];                                                                 \
    const char *from_name = resolve(at, from, from_space), *to_name = resolve(to_at, to, to_space);                \
    if ((from_name == NULL) != (to_name == NULL)) give_up("a link or rename across the directory's edge is not modelled"); \
    if (from_name == NULL) return operation;                                                                       \
    pthread_mutex_lock(&turn);                                                                                     \
    int result = operation;                                                                                        \
    if (result == 0) put_paths(kind, from_name, to_name);                                                          \
    pthread_mutex_unlock(&turn);                                                                                   \
    return result;                                                                                                 \
  } while (0)

int unlinkat(int at, const char *path, int flags) {
  NAMING(at, path, (flags & AT_REMOVEDIR) != 0 ? REMOVE_DIRECTORY : UNLINK, syscall(SYS_unlinkat, at, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path) {
  int saved = errno;
  if (unlink(path) == 0) return 0;
  if (errno != EISDIR && errno != EPERM) return -1;
  errno = saved;
  return rmdir(path);
}

int mkdirat(int at, const char *path, mode_t mode) {
  NAMING(at, path, MAKE_DIRECTORY, syscall(SYS_mkdirat, at, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
  char space[PATH_MAX];
  if ((flags & RENAME_EXCHANGE) != 0 && resolve(at, from, space) != NULL) {
    give_up("renameat2 with RENAME_EXCHANGE is not modelled");
  }
  MOVING(at, from, to_at, to, RENAME, syscall(SYS_renameat2, at, from, to_at, to, flags));
}
int renameat(int at, const char *from, int to_at, const char *to) { return renameat2(at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
  MOVING(at, from, to_at, to, LINK, syscall(SYS_linkat, at, from, to_at, to, flags));
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* ── What would change files unseen ──────────────────────────────────────────────────────────────────────────── */

static void refuse(int fd, const char *what) {
  struct stat found;
  char space[PATH_MAX];
  if (may_be_tracked(fd, S_IFREG, &found) && path_of(fd, space) != NULL) give_up(what);
}

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset) {
  int writes = (protection & PROT_WRITE) != 0 && (flags & MAP_PRIVATE) == 0;
  if (fd >= 0 && writes) refuse(fd, "mmap for writing is not modelled");
  return (void *)syscall(SYS_mmap, where, length, protection, flags, fd, offset);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
  refuse(to, "sendfile is not modelled");
  return syscall(SYS_sendfile, to, from, offset, length);
}

ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags) {
  refuse(to, "copy_file_range is not modelled");
  return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
}

int truncate(const char *path, off_t size) {
  char space[PATH_MAX];
  if (resolve(AT_FDCWD, path, space) != NULL) give_up("truncate by path is not modelled");
  return syscall(SYS_truncate, path, size);
}

/* The names that programs built for large files call. */
#define AS(name) __attribute__((alias(#name)))
#undef open64
#undef openat64
#undef creat64
int open64(const char *, int, ...) AS(open);
int openat64(int, const char *, int, ...) AS(openat);
int creat64(const char *, mode_t) AS(creat);
ssize_t pwrite64(int, const void *, size_t, off64_t) AS(pwrite);
ssize_t pwritev64(int, const struct iovec *, int, off64_t) AS(pwritev);
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int) AS(pwritev2);
int ftruncate64(int, off64_t) AS(ftruncate);
int truncate64(const char *, off64_t) AS(truncate);
int fallocate64(int, int, off64_t, off64_t) AS(fallocate);
int posix_fallocate64(int, off64_t, off64_t) AS(posix_fallocate);
void *mmap64(void *, size_t, int, int, int, off64_t) AS(mmap);
ssize_t sendfile64(int, int, off64_t *, size_t) AS(sendfile);
