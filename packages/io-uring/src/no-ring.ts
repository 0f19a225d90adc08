/** Why io_uring does not work on this machine, for this process, and what to do. */
import fs from 'node:fs';
import { PagewrightError } from '@pagewright/core/contracts';
import type { Attempt } from '@pagewright/io-posix/files';
import type { CheckedOptions } from './options.js';

/** The error for a thread that gets no ring. Its details have the `reason` alone, and the errno if the kernel said one. */
export function noRing(reason: string, errno?: string): PagewrightError {
  return new PagewrightError(
    'PW_UNSUPPORTED',
    `There is no io_uring for this thread: ${reason}. Use another I/O backend, such as @pagewright/io-posix.`,
    { details: errno === undefined ? { reason } : { reason, errno } },
  );
}

/** The error of a call for which the ring could not be entered any more: a filter of system calls that was set up since, or a descriptor that was closed. */
export function ringFailed(errno: string, attempt: Attempt): PagewrightError {
  return new PagewrightError(
    'PW_IO',
    `Cannot ${attempt.operation} ${attempt.path}: the kernel takes nothing from the io_uring of this thread any more (${errno} by io_uring_enter). Let filters of system calls pass it, close the file, and open it in another thread.`,
    { details: { errno, ...attempt } },
  );
}

/** Why the kernel gives no ring, or none that can be used: it answered this call with an errno. */
export function reasonOf(errno: string, call: string, options: CheckedOptions): string {
  if (call !== 'io_uring_setup') {
    return `the kernel gives a ring, and answers ${call} with ${errno}: a filter of system calls (seccomp) forbids it; allow io_uring_setup, io_uring_enter and io_uring_register`;
  }
  switch (errno) {
    case 'ENOSYS':
      return 'the kernel has no io_uring: it is older than Linux 5.1, or was built without';
    case 'EPERM':
      return whyNotPermitted(options);
    case 'EACCES':
      return 'a security module forbids it (EACCES)';
    case 'ENOMEM':
      return 'the process may not lock the memory that a ring takes (ENOMEM): raise `ulimit -l`, or lower `depth`';
    case 'EMFILE':
    case 'ENFILE':
      return `no descriptor is left (${errno}): raise \`ulimit -n\``;
    case 'EINVAL':
      return 'the kernel is too old for what the options ask (EINVAL)';
    default:
      return `the system says ${errno}`;
  }
}

/** The same error has three causes: an administrator, a filter of system calls, and what only the privileged may. */
function whyNotPermitted(options: CheckedOptions): string {
  const setting = disabledSetting();
  if (setting === '2') return 'the administrator has disabled it (sysctl kernel.io_uring_disabled is 2)';
  if (setting === '1') {
    return 'the administrator allows it to the privileged and to members of the group kernel.io_uring_group alone (sysctl kernel.io_uring_disabled is 1)';
  }
  if (options.kernelThreadIdleMs !== undefined) {
    return 'the kernel does not permit it (EPERM): before Linux 5.11 a thread of the kernel (kernelThreadIdleMs) is for the privileged; else a filter of system calls (seccomp) forbids io_uring';
  }
  return 'a filter of system calls (seccomp) forbids it, as those of containers do by default (EPERM): allow io_uring_setup, io_uring_enter and io_uring_register';
}

function disabledSetting(): string | null {
  try {
    return fs.readFileSync('/proc/sys/kernel/io_uring_disabled', 'latin1').trim();
  } catch {
    return null; // before Linux 6.6
  }
}
