/**
 * A copy is written under a name of its own, `….pw-part`, until it is whole; one that is made in two steps is `….pw-part.pw-part` at first. Who has asked for it
 * knows nothing of these names: an error tells of the path that was given.
 */
import { isPagewrightError, PagewrightError } from '../errors.js';

const PART = '.pw-part';

/** The name under which a copy is written that is to be at the path. */
export function partOf(path: string): string {
  return `${path}${PART}`;
}

/** The same error, with the path where it has a name under which the copy is written; the error as it was is its cause. */
export function namedByPath(error: unknown, path: string): unknown {
  if (!isPagewrightError(error) || !error.message.includes(partOf(path))) return error;
  const { code, message, details } = error;
  const entries = Object.entries(details).map(([name, value]) => [name, named(value, path)]);
  return new PagewrightError(code, named(message, path) as string, {
    cause: error,
    details: Object.fromEntries(entries),
  });
}

function named(value: unknown, path: string): unknown {
  if (typeof value !== 'string') return value;
  return value.replaceAll(partOf(partOf(path)), () => path).replaceAll(partOf(path), () => path);
}
