/*
 * Cuts an ext4 file system off from its device, as a loss of power does: nothing more reaches the device, neither what the
 * page cache holds nor what the journal has not written yet, and whatever is asked for from now on fails with EIO. Takes
 * the path of the mount. For this the kernel has EXT4_IOC_SHUTDOWN, which its own tests of recovery use.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define WITHOUT_FLUSHING_THE_JOURNAL 2

int main(int count, char **arguments) {
  uint32_t how = WITHOUT_FLUSHING_THE_JOURNAL;
  int fd = count == 2 ? open(arguments[1], O_RDONLY) : -1;
  if (fd >= 0 && ioctl(fd, EXT4_IOC_SHUTDOWN, &how) == 0) return 0;
  perror("shut-down");
  return 1;
}
