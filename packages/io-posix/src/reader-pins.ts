/**
 * What readers show to the writer of a file: one small file each, in the directory `<file>-readers` beside it. Its first line
 * names the reader so that others can tell whether it lives, its second is what it shows.
 *
 * Must hold: a pin has its name only when it is whole, and keeps it while it is replaced, so that whoever looks finds it. What
 * is not synced is enough: after a loss of power no reader lives.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { PagewrightError, type ReaderPin } from '@pagewright/core/contracts';
import { errnoOf, faultOf } from './fault.js';
import { canonicalPath } from './lock.js';
import { describeSelf, type FileIdentity, livenessOf, parseHolder, textOf } from './process-identity.js';
import type { Target } from './transfer.js';

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const writeFile = promisify(fs.writeFile);
const readFile = promisify(fs.readFile);

/** Times that the directory, or a pin that is not whole yet, may be taken away from under a reader. */
const MOST_ATTEMPTS = 100;

/** A pin is named by its process and a random number; with the suffix it is not whole yet. */
const PIN_NAME = /^(\d+)-[0-9a-f-]{36}(\.new)?$/;
const UNFINISHED = '.new';

/** Shows the text beside the file. @throws PW_PERMISSION, PW_FULL, PW_IO, PW_ARGUMENT */
export async function publishPin(target: Target, text: string): Promise<ReaderPin> {
  const attempt = { operation: 'publish what is read of', path: target.path };
  assertOneLine(text, target);
  try {
    const directory = await directoryOf(target);
    const pin = new PinFile(target.path, directory);
    await pin.publish(text);
    return pin;
  } catch (error) {
    throw faultOf(error, attempt);
  }
}

/** What the living show, and those of whom it cannot be told; removes what the dead have left. @throws PW_PERMISSION, PW_IO */
export async function livingPins(target: Target): Promise<string[]> {
  try {
    const directory = await directoryOf(target);
    const shown: string[] = [];
    const names = await namesIn(directory);
    for (const name of names) {
      const match = PIN_NAME.exec(name);
      if (match === null) continue;
      const file = path.join(directory, name);
      if (match[2] === UNFINISHED) await removeUnfinished(file, Number(match[1]));
      else {
        const text = await textOfLiving(file);
        if (text !== null) shown.push(text);
      }
    }
    if (names.length > 0 && shown.length === 0) await removeIfEmpty(directory);
    return shown;
  } catch (error) {
    throw faultOf(error, { operation: 'look for readers of', path: target.path });
  }
}

class PinFile implements ReaderPin {
  readonly #path: string;
  readonly #directory: string;
  readonly #file: string;
  /** Open as long as the pin is shown: it tells that the thread which published it lives. */
  #fd: number | null = null;
  /** The last change of the file: changes come one after the other. */
  #changing: Promise<void> = Promise.resolve();
  #released = false;

  constructor(ofFile: string, directory: string) {
    this.#path = ofFile;
    this.#directory = directory;
    this.#file = path.join(directory, `${process.pid}-${randomUUID()}`);
  }

  move(text: string): Promise<void> {
    assertOneLine(text, { path: this.#path, fd: -1 });
    return this.#inTurn('publish what is read of', async () => {
      if (!this.#released) await this.publish(text);
    });
  }

  release(): Promise<void> {
    return this.#inTurn('end publishing what is read of', async () => {
      if (this.#released) return;
      this.#released = true;
      try {
        await unlinkIfThere(this.#file);
        await removeIfEmpty(this.#directory);
      } finally {
        if (this.#fd !== null) await close(this.#fd);
        this.#fd = null;
      }
    });
  }

  async publish(text: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(text);
        return;
      } catch (error) {
        // The last reader before took the directory with it, or a writer took what was not whole yet for a leftover.
        if (errnoOf(error) !== 'ENOENT' || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  }

  async #write(text: string): Promise<void> {
    await makeIfMissing(this.#directory);
    const unfinished = `${this.#file}${UNFINISHED}`;
    const fd = await open(unfinished, 'w');
    try {
      await writeFile(fd, `${textOf(describeSelf(randomUUID(), fd))}${text}\n`);
      await rename(unfinished, this.#file);
    } catch (error) {
      await close(fd);
      await unlinkIfThere(unfinished).catch(() => {});
      throw error;
    }
    const before = this.#fd;
    this.#fd = fd;
    if (before !== null) await close(before);
  }

  #inTurn(operation: string, change: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(change).catch((error) => {
      throw faultOf(error, { operation, path: this.#path });
    });
    this.#changing = changed.catch(() => {});
    return changed;
  }
}

async function directoryOf(target: Target): Promise<string> {
  const identity = await fstat(target.fd, { bigint: true });
  return `${await canonicalPath(target, identity, 'find the readers of')}-readers`;
}

async function makeIfMissing(directory: string): Promise<void> {
  try {
    await mkdir(directory);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Others may have a pin in it, or may have removed it; and it is in nobody's way. Who publishes meanwhile begins again. */
async function removeIfEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(() => {});
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** What a pin shows; null if it is gone, its reader is dead, or it may not be read. Removes it if the reader is dead. */
async function textOfLiving(file: string): Promise<string | null> {
  let judged: string | null = null;
  for (;;) {
    const found = await read(file);
    if (found === null) return null;
    const [line = '', text = ''] = found.content.split('\n');
    const holder = parseHolder(line);
    // Without a holder it is what a loss of power has left: it had its name when it was whole.
    if (holder !== null && livenessOf(holder, found.identity) !== 'dead') return text;
    if (found.content === judged) {
      await unlinkIfThere(file).catch(() => {}); // not ours to remove: it is passed over the next time, too
      return null;
    }
    // Its reader may have replaced it while it was judged. What a dead one has left stays as it is.
    judged = found.content;
  }
}

async function read(file: string): Promise<{ readonly content: string; readonly identity: FileIdentity } | null> {
  let fd: number;
  try {
    fd = await open(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') return null;
    throw error;
  }
  try {
    const { dev, ino } = await fstat(fd, { bigint: true });
    return { content: await readFile(fd, 'utf8'), identity: { dev, ino } };
  } finally {
    await close(fd);
  }
}

/** Removes what a reader that died has left half-way. One that lives, unseen, begins again. */
async function removeUnfinished(file: string, pid: number): Promise<void> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') await unlinkIfThere(file).catch(() => {});
  }
}

async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function assertOneLine(text: string, { path: file }: Target): void {
  if (typeof text === 'string' && !/[\n\r]/.test(text)) return;
  throw new PagewrightError('PW_ARGUMENT', `What is published of ${file} is one line of text.`, {
    details: { path: file, text },
  });
}
