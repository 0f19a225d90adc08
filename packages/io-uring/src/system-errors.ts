/** Numbers of system errors as names. */
import { getSystemErrorName } from 'node:util';

/** `ENOSPC` for 28; `UNKNOWN` for what the system has no name for. */
export function errnoName(errno: number): string {
  try {
    const name = getSystemErrorName(-errno);
    return /^E[A-Z0-9]+$/.test(name) ? name : 'UNKNOWN';
  } catch {
    return 'UNKNOWN';
  }
}
