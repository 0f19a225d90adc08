/** Paths of files as they are: those of this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MOST_PATHS = 500_000;

/** Paths of regular files below the directories, sorted by their bytes: at most half a million. */
export function collectPaths(directories) {
  const found = [];
  const waiting = [...directories];
  while (waiting.length > 0 && found.length < MOST_PATHS) {
    const directory = waiting.pop();
    for (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) waiting.push(path);
      // Others sort differently as strings and as bytes.
      else if (entry.isFile() && /^[ -~]*$/.test(path)) found.push(path);
    }
  }
  return [...new Set(found)].sort();
}

export function readPaths(file) {
  return readFileSync(file, 'utf8').split('\n');
}

function entriesOf(directory) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // Not for us to read, or gone meanwhile.
  }
}
