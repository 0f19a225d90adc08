/** What is given as the option `archive` of what reads an archive. */
import type { ArchiveSource } from '../contracts/archive.js';
import { argument } from './range.js';

/** Errors: `PW_ARGUMENT` if it is neither the path of a directory nor an object that lists and reads. */
export function checkArchive(archive: unknown): asserts archive is string | ArchiveSource {
  if (typeof archive === 'string' && archive !== '') return;
  const { list, read } = (archive ?? {}) as Partial<Record<keyof ArchiveSource, unknown>>;
  if (typeof archive === 'object' && typeof list === 'function' && typeof read === 'function') return;
  throw argument('The option archive is the path of a directory, or an object with list() and read(name).', {
    archive,
  });
}
