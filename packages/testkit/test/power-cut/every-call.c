/*
 * Changes the files of the directory that it is given by every call that the layer knows, those that Node.js does not use
 * included. With a second argument it does the one thing of this name that the layer refuses.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MUST(call)                                                   \
  do {                                                               \
    if ((call) < 0) { perror(#call); exit(2); }                      \
  } while (0)

static int refused(const char *what) {
  int fd = open("refused", O_RDWR | O_CREAT, 0600);
  MUST(fd);
  MUST(ftruncate(fd, 4096));
  if (strcmp(what, "mmap") == 0) return mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
  if (strcmp(what, "O_TMPFILE") == 0) return open(".", O_WRONLY | O_TMPFILE, 0600);
  if (strcmp(what, "truncate") == 0) return truncate("refused", 1);
  if (strcmp(what, "rename") == 0) return rename("refused", "../refused");
  if (strcmp(what, "exchange") == 0) return renameat2(AT_FDCWD, "refused", AT_FDCWD, "refused", RENAME_EXCHANGE);
  if (strcmp(what, "pwritev2") == 0) return pwritev2(fd, &(struct iovec){ "x", 1 }, 1, 0, RWF_APPEND);
  if (strcmp(what, "fallocate") == 0) return fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 8192);
  int from = open("/proc/self/exe", O_RDONLY);
  if (strcmp(what, "sendfile") == 0) return sendfile(fd, from, NULL, 10);
  if (strcmp(what, "copy_file_range") == 0) return copy_file_range(from, NULL, fd, NULL, 10, 0);
  return 3;
}

int main(int count, char **arguments) {
  MUST(chdir(arguments[1]));
  if (count == 3) return refused(arguments[2]);
  struct iovec parts[] = { { "one", 3 }, { "three", 5 } };

  int durable = open("durable", O_RDWR | O_CREAT | O_DSYNC, 0600);
  MUST(durable);
  MUST(write(durable, "durable at once", 15));
  MUST(pwritev(durable, parts, 2, 900));

  int fd = creat("by-creat", 0600);
  MUST(fd);
  MUST(write(fd, "0123456789", 10));
  MUST(writev(fd, parts, 2));
  MUST(pwrite(fd, "A", 1, 700));
  MUST(pwritev(fd, parts, 2, 1500));
  MUST(pwritev2(fd, parts, 2, 1700, 0));
  MUST(pwritev2(fd, parts, 2, 1900, RWF_DSYNC));
  MUST(lseek(fd, 2, SEEK_SET));
  MUST(write(fd, "at two", 6));
  MUST(fsync(fd));
  MUST(posix_fallocate(fd, 0, 3000) == 0 ? 0 : -1);
  MUST(fallocate(fd, 0, 3000, 1000));
  MUST(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8000));
  MUST(ftruncate(fd, 1503));
  MUST(ftruncate(fd, 1600));
  MUST(fdatasync(fd));
  int same = dup(fd);
  MUST(close(fd));
  MUST(write(same, "by another descriptor", 21));
  MUST(close(same));

  /* A limit of the file size cuts a write short, and makes the next one fail: nothing of that may be left. */
  struct rlimit limit = { 1 << 20, RLIM_INFINITY };
  MUST(setrlimit(RLIMIT_FSIZE, &limit));
  signal(SIGXFSZ, SIG_IGN);
  fd = open("at its limit", O_WRONLY | O_CREAT, 0600);
  MUST(fd);
  if (pwrite(fd, "0123456789", 10, (1 << 20) - 4) != 4) return 4;
  if (pwrite(fd, "0123456789", 10, 1 << 20) != -1) return 5;
  MUST(close(fd));

  MUST(mkdir("directory", 0700));
  int directory = open("directory", O_RDONLY | O_DIRECTORY);
  MUST(directory);
  int below = openat(directory, "below", O_WRONLY | O_CREAT | O_APPEND, 0600);
  MUST(below);
  MUST(write(below, "appended", 8));
  MUST(pwrite(below, "appended too", 12, 0)); /* as Linux does it, whatever the offset */
  MUST(fsync(directory));
  MUST(mkdirat(directory, "deeper", 0700));
  MUST(renameat(directory, "below", directory, "deeper/renamed"));
  MUST(linkat(directory, "deeper/renamed", AT_FDCWD, "linked", 0));
  MUST(link("linked", "linked twice"));
  MUST(rename("linked twice", "linked")); /* two names of one file: both stay */
  MUST(unlinkat(directory, "deeper/renamed", 0));
  MUST(unlinkat(directory, "deeper", AT_REMOVEDIR));
  MUST(write(below, " after its first name went", 26));
  MUST(syncfs(directory));

  MUST(mkdir("emptied", 0700));
  MUST(remove("emptied"));
  MUST(close(open("short-lived", O_WRONLY | O_CREAT, 0600)));
  MUST(remove("short-lived"));
  MUST(mkdir("gone", 0700));
  MUST(rmdir("gone"));
  MUST(rename("by-creat", "directory/../moved"));
  fd = open("moved", O_WRONLY | O_TRUNC);
  MUST(fd);
  MUST(write(fd, "after truncation", 16));
  MUST(close(open("again", O_WRONLY | O_CREAT, 0600))); /* perhaps with the inode of a file that went */
  MUST(unlink("again"));
  fd = open("again", O_RDWR | O_CREAT | O_EXCL, 0600);
  MUST(fd);
  MUST(write(fd, "new", 3));
  MUST(renameat2(AT_FDCWD, "again", AT_FDCWD, "at last", RENAME_NOREPLACE));

  /* Files elsewhere are nobody's business. */
  char elsewhere[] = "/tmp/every-call-XXXXXX";
  fd = mkstemp(elsewhere);
  MUST(fd);
  MUST(write(fd, "elsewhere", 9));
  MUST(rename(elsewhere, elsewhere));
  MUST(unlink(elsewhere));
  return 0;
}
