/**
 * Threads and processes that end with operations in flight. A thread reads into memory that outlives it; whoever ended it then fills that memory, and looks
 * whether the kernel still writes there.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadAddon } from '../src/addon.js';
import { UringFiles, type UringFilesOptions } from '../src/index.js';
import { checked } from '../src/options.js';
import { READ, ThreadRing } from '../src/thread-ring.js';
import { type SharedMemory, sharedMemory } from './shared-memory.js';

interface Work {
  readonly addon: string;
  readonly path: string;
  readonly do: 'terminate' | 'cancel' | 'exit' | 'run-out' | 'idle';
  readonly rounds?: number;
  readonly seed?: number;
  readonly count?: number;
  /** Bytes of each read. */
  readonly length?: number;
  /** Made before the thread ends, where the kernel shall take nothing from its ring any more. */
  readonly refusedFrom?: string;
}

interface ThreadWork extends Work {
  /** Of a pipe, for a thread that waits for what nobody writes. */
  readonly pipe?: number;
  readonly memory: SharedMemory;
  readonly round: number;
}

function say(line: unknown): void {
  fs.writeSync(1, `${JSON.stringify(line)}\n`);
}

/** Past the page cache if the file system can: then many are in flight, and take their time. */
function openWith({ addon, path }: Work, options: UringFilesOptions) {
  try {
    return new UringFiles({ ...options, addon, direct: true }).openSync(path, {});
  } catch {
    return new UringFiles({ ...options, addon }).openSync(path, {});
  }
}

function memoryFor({ count = 1000, length = 4096 }: Work): SharedMemory {
  return sharedMemory(count * length);
}

/** Begins as many reads as the work says, all over the file. */
function begin(work: Work, memory: SharedMemory, depth: number): Promise<void>[] {
  const { count = 1000, length = 4096 } = work;
  const file = openWith(work, { depth });
  const places = Math.floor(file.size() / length);
  return Array.from({ length: count }, (_, at) =>
    file.read(new Uint8Array(memory.buffer, at * length, length), ((at * 7919) % places) * length),
  );
}

/** A thread that has begun what it shall be ended with. */
function started(data: ThreadWork): Promise<Worker> {
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  return new Promise((resolve, reject) => {
    worker.once('message', () => resolve(worker));
    worker.once('error', reject);
  });
}

async function terminate(work: Work): Promise<void> {
  const { rounds = 1 } = work;
  const another = memoryFor(work);
  let inFlight = 0;
  for (let round = 0; round < rounds; round++) {
    const memory = memoryFor(work);
    const data: ThreadWork = { ...work, memory, round };
    const worker = await started(data);
    inFlight += work.count ?? 0;
    for (let turns = (round * 7 + (work.seed ?? 0)) % 3; turns > 0; turns--) await turn();
    await worker.terminate();
    const bytes = new Uint8Array(memory.buffer).fill(0xaa);
    // What might still be in flight gets the time that the same reads take.
    await Promise.all(begin(work, another, 4096));
    const changed = bytes.findIndex((byte) => byte !== 0xaa);
    if (changed >= 0) throw new Error(`round ${round}: byte ${changed} was written after its thread had ended`);
  }
  say({ rounds, inFlight });
}

/**
 * A thread reads from a pipe into which nothing is written, so that its reads never end by themselves. What is written when it has ended is there for whoever
 * reads next: no read of the thread is left that takes any of it.
 */
async function cancel(work: Work): Promise<void> {
  const { count = 1000 } = work;
  spawnSync('mkfifo', [work.path]);
  const pipe = fs.openSync(work.path, 'r+');
  const memory = sharedMemory(count);
  const worker = await started({ ...work, memory, round: 0, pipe });
  if (work.refusedFrom !== undefined) fs.writeFileSync(work.refusedFrom, '');
  await worker.terminate();
  const written = fs.writeSync(pipe, new Uint8Array(count).fill(0x55));
  const reader = fs.openSync(work.path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const left = fs.readSync(reader, new Uint8Array(count));
  say({ written, left, changed: new Uint8Array(memory.buffer).some((byte) => byte !== 0) });
}

/** Without `UringFiles`, which opens no pipe. */
function readPipe({ addon, memory, pipe, count = 1000 }: ThreadWork): void {
  const loaded = loadAddon(addon);
  if (loaded.addon === null) throw new Error(loaded.reason);
  const ring = new ThreadRing(loaded.addon, checked({ depth: 256, addon }));
  const file = ring.addFile(pipe!, -1, 1, true);
  for (let at = 0; at < count; at++) {
    const buffer = new Uint8Array(memory.buffer, at, 1);
    ring.command(READ, file, buffer, 1, 0);
    ring.begin(false, () => {});
  }
  setImmediate(() => parentPort!.postMessage(ring.figures.inKernel));
}

/**
 * Reads until it is ended: what is over begins again. Rounds differ in what ends with the thread: a full kernel and a long line or a short one, with one
 * that waits in place among them or without.
 */
function inThread(work: ThreadWork): void {
  const { count = 1000, length = 4096, memory, round } = work;
  const file = openWith(work, { depth: [16, 1024, 4096][round % 3]! });
  const places = Math.floor(file.size() / length);
  const page = new Uint8Array(4096);
  let reads = 0;
  const readAgain = (at: number): void => {
    const place = ((reads++ * 7919) % places) * length;
    file.read(new Uint8Array(memory.buffer, at * length, length), place).then(() => readAgain(at));
    if (round % 2 === 0 && reads > count) file.readSync(page, 0);
  };
  for (let at = 0; at < count; at++) readAgain(at);
  parentPort!.postMessage(count);
}

async function main(): Promise<void> {
  if (!isMainThread) {
    const work = workerData as ThreadWork;
    if (work.do === 'cancel') readPipe(work);
    else inThread(work);
    return;
  }
  const work = JSON.parse(process.argv[2]!) as Work;
  switch (work.do) {
    case 'terminate':
      await terminate(work);
      break;
    case 'cancel':
      await cancel(work);
      break;
    case 'exit':
      begin(work, memoryFor(work), 1024);
      process.exit(7);
      break;
    case 'run-out': {
      let over = 0;
      for (const read of begin(work, memoryFor(work), 64)) {
        read.then(() => {
          over++;
        });
      }
      process.on('exit', () => say({ over }));
      break;
    }
    case 'idle':
      openWith(work, {}).readSync(new Uint8Array(4096), 0);
      say('read');
      break;
  }
}

await main();
