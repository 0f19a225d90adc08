/** The file that is read: pages that carry their number at both ends, so that what comes from another place, or only in part, is seen. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';

export const PAGE = 16384;
const WORDS = PAGE / 8;

/** Writes `count` pages. Their middle does not compress. */
export function writePages(path, count) {
  const chunk = new Float64Array(64 * WORDS);
  for (let at = 0; at < chunk.length; at++) chunk[at] = Math.random();
  const fd = openSync(path, 'w');
  try {
    for (let page = 0; page < count; page += 64) {
      const pages = Math.min(64, count - page);
      for (let at = 0; at < pages; at++) {
        chunk[at * WORDS] = page + at;
        chunk[at * WORDS + WORDS - 1] = page + at;
      }
      writeSync(fd, chunk, 0, pages * PAGE, page * PAGE);
    }
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Fails unless the words of the memory at `word` are those of the page. */
export function assertPage(words, word, page) {
  const [first, last] = [words[word], words[word + WORDS - 1]];
  if (first !== page || last !== page) throw new Error(`page ${page} was read as ${first} … ${last}`);
}
