/**
 * What a thread was given as a handle by another one: data that was posted, if all went well. It may be anything else, and nothing of it
 * is used before it was looked at.
 */

/** Whether all these parts of a handle are there: each is shared memory, or a list or an object of nothing else. What went through JSON has lost it. */
export function hasSharedMemory<Part extends string>(
  memory: unknown,
  parts: readonly Part[],
): memory is Readonly<Record<Part, unknown>> {
  return typeof memory === 'object' && memory !== null && parts.every((part) => isShared(Reflect.get(memory, part)));
}

function isShared(part: unknown): boolean {
  if (part instanceof SharedArrayBuffer) return true;
  if (typeof part !== 'object' || part === null) return false;
  const within: unknown[] = Object.values(part);
  return within.length > 0 && within.every(isShared);
}
