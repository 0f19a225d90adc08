/** What LevelDB leaves on the disk, which is a directory, told from whatever else is no store: so that who comes from there hears what to do. */
import { readdir } from 'node:fs/promises';
import { PagewrightLevelError } from './errors.js';

/** Names the file that has the newest manifest. */
const CURRENT = 'CURRENT';

export async function isOfLevelDb(location: string): Promise<boolean> {
  const names = await readdir(location).catch((): string[] => []);
  return names.includes(CURRENT);
}

export function notReadHere(location: string, cause: unknown): PagewrightLevelError {
  const message = `'${location}' is a directory of LevelDB's, whose files are not read here; nothing was changed. Give the path of a file. To take the entries over, read them with classic-level and write them to this database.`;
  return new PagewrightLevelError('LEVEL_NOT_SUPPORTED', message, { cause });
}
