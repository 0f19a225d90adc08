/**
 * A process or a thread that opens the file named by its argument, takes commands, and answers each with one line of
 * JSON. `lock` answers `held`, `pin` answers `published`, or what it failed with.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { FileLock, IoFile } from '@pagewright/core';
import { NodeFiles } from '../src/backend.js';
import { PosixFiles } from '../src/posix-files.js';

export type Command =
  | 'lock'
  | 'name'
  | 'release'
  | 'pin'
  | 'contend'
  | 'fill'
  /** Opens files until there is no descriptor left. */
  | 'exhaust'
  | 'write'
  | 'exit'
  /** A thread of the process, by the addon, takes the lock; the main thread joins it; that thread is ended. */
  | 'lock-in-thread'
  | 'join-thread'
  | 'end-thread';

/** What {@link Command} answers. */
export interface Answer {
  readonly outcome: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** By the addon if that is asked for by the second argument. */
const files = process.argv[3] === 'addon' ? new PosixFiles({ native: true }) : new NodeFiles();
const file = await files.open(isMainThread ? process.argv[2]! : workerData, { create: true });
let lock: FileLock | undefined;
let thread: Worker | undefined;

const actions: { readonly [each in Command]: () => Promise<string> } = {
  async lock() {
    lock = await file.lock();
    return 'held';
  },
  async name() {
    return String(lock?.name);
  },
  async release() {
    await lock?.release();
    return 'released';
  },
  async pin() {
    await file.publishPin!(`of ${process.pid}`);
    return 'published';
  },
  contend: () => contend(file),
  async fill() {
    await file.allocate(0, 16 << 20);
    return 'filled';
  },
  async exhaust() {
    for (let opened = 0; opened < 10_000; opened++) {
      try {
        fs.openSync(process.argv[2]!, 'r');
      } catch (error) {
        return (error as NodeJS.ErrnoException).code!;
      }
    }
    return 'endless';
  },
  async write() {
    const buffer = new Uint8Array(1 << 16);
    for (let offset = 0; offset < 16 << 20; offset += buffer.length) {
      await file.submit([{ kind: 'write', buffer, offset }], { sync: offset % 3 === 0 });
    }
    return 'written';
  },
  async exit() {
    process.exit();
  },
  async 'lock-in-thread'() {
    thread = new Worker(new URL(import.meta.url), { workerData: process.argv[2], argv: ['', 'addon'] });
    await once(thread, 'message');
    return (await askThread('lock')).outcome;
  },
  async 'join-thread'() {
    lock = await file.joinLock!((await askThread('name')).outcome);
    return 'joined';
  },
  async 'end-thread'() {
    await thread!.terminate();
    return 'ended';
  },
};

answer({ outcome: 'ready' });
if (isMainThread) process.on('message', obey);
else parentPort!.on('message', obey);

async function askThread(command: Command): Promise<Answer> {
  thread!.postMessage(command);
  return (await once(thread!, 'message'))[0];
}

function answer(value: Answer): void {
  if (isMainThread) process.send!(value);
  else parentPort!.postMessage(value);
}

async function obey(command: Command): Promise<void> {
  try {
    answer({ outcome: await actions[command]() });
  } catch (error) {
    const { code, details } = error as { code?: string; details?: Record<string, unknown> };
    answer(code === undefined ? { outcome: String(error) } : { outcome: code, details: details ?? {} });
  }
}

/**
 * Takes and gives back the lock until it has held it five times. While it holds it, it raises a counter in the file in
 * two steps, which only one holder at a time can do without losing a count.
 */
async function contend(counter: IoFile): Promise<string> {
  const word = new Uint8Array(4);
  const view = new DataView(word.buffer);
  for (let held = 0; held < 5; ) {
    let mine: FileLock;
    try {
      mine = await counter.lock();
    } catch (error) {
      if ((error as { code?: string }).code !== 'PW_LOCKED') throw error;
      continue;
    }
    held++;
    await counter.read(word, 0);
    view.setUint32(0, view.getUint32(0) + 1);
    await new Promise((resolve) => setImmediate(resolve));
    await counter.write(word, 0);
    await mine.release();
  }
  return 'contended';
}
