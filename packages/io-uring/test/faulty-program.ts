/** What goes on while the ring goes as it seldom does: see `faulty-ring.c`, which is preloaded. Says what came of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { type IoFile, type IoOperation, isPagewrightError } from '@pagewright/core';
import type { OpenFile } from '@pagewright/io-posix/files';
import { Random } from '@pagewright/testkit';
import { UringFiles } from '../src/index.js';

interface Work {
  readonly addon: string;
  readonly path: string;
  readonly do: keyof typeof SCENARIOS;
  readonly seed?: number;
  /** Made where the kernel shall take nothing from the ring any more. */
  readonly refusedFrom?: string;
  /** Of a thread. */
  readonly number?: number;
}

const BLOCK = 512;

const SCENARIOS = {
  /** Every form of a transfer, and batches that become durable in each way. */
  async transfers({ seed = 1 }: Work, file: IoFile, backend: UringFiles): Promise<unknown> {
    const random = new Random(seed);
    const wanted = new Uint8Array(200_000).map(() => random.below(256));
    const syncs: number[] = [];
    for (const count of [1, 2, 4, 8, 20]) {
      const { syncs: before } = backend.figures();
      await file.submit(pieces('write', wanted, count), { sync: true });
      file.submitSync(pieces('write', wanted, count), { sync: true });
      syncs.push(backend.figures().syncs - before);
    }
    await file.write(wanted, 0);
    await file.sync();
    for (const count of [1, 2, 4, 8, 20]) {
      const found = [new Uint8Array(wanted.length), new Uint8Array(wanted.length)] as const;
      await file.submit(pieces('read', found[0], count));
      file.submitSync(pieces('read', found[1], count));
      for (const bytes of found) assert.equal(Buffer.compare(bytes, wanted), 0, `${count} pieces, seed ${seed}`);
    }
    return { syncs };
  },

  /** Threads on one file, each in blocks of its own. */
  async threads(work: Work): Promise<unknown> {
    const threads = [0, 1, 2, 3].map((number) => {
      const data: Work = { ...work, do: 'thread', number };
      return new Worker(new URL(import.meta.url), { workerData: data });
    });
    const codes = await Promise.all(threads.map(async (thread) => (await once(thread, 'exit'))[0] as number));
    const bytes = fs.readFileSync(work.path);
    const wrong = Array.from({ length: 2000 }, (_, at) => at).filter((at) => bytes[at * BLOCK] !== blockOf(at)[0]);
    return { codes, wrong, size: bytes.length };
  },

  async thread({ number = 0 }: Work, file: IoFile): Promise<unknown> {
    const mine = Array.from({ length: 500 }, (_, at) => 4 * at + number);
    const writes = mine.map((at): IoOperation => ({ kind: 'write', buffer: blockOf(at), offset: at * BLOCK }));
    await Promise.all([
      file.submit(writes.slice(0, 200), { sync: true }),
      file.submit(writes.slice(200, 205), { sync: true }),
      ...writes.slice(205, 400).map(({ buffer, offset }) => file.write(buffer, offset)),
    ]);
    for (const write of writes.slice(400)) file.submitSync([write]);
    const found = mine.map(() => new Uint8Array(BLOCK));
    await Promise.all(found.map((buffer, at) => file.read(buffer, mine[at]! * BLOCK)));
    for (const [at, buffer] of found.entries()) assert.equal(Buffer.compare(buffer, blockOf(mine[at]!)), 0);
    return undefined;
  },

  /** Two writes that are to be durable, at once, where the file system has no such write. */
  async durable(_: Work, file: IoFile, backend: UringFiles): Promise<unknown> {
    const write = (at: number) =>
      outcomeOf(() => file.submit([{ kind: 'write', buffer: blockOf(at), offset: at * BLOCK }], { sync: true }));
    // The first call of a turn goes by itself, and would be told before the others are begun.
    const syncing = file.sync();
    const outcomes = await Promise.all([write(0), write(1), write(2)]);
    await syncing;
    return {
      outcomes,
      later: await write(3),
      syncs: backend.figures().syncs,
      sync: await outcomeOf(() => file.sync()),
    };
  },

  async writeBacks({ path }: Work, file: IoFile, backend: UringFiles): Promise<unknown> {
    file.writeSync(blockOf(1), 0);
    const other = backend.openSync(path, {});
    await other.sync();
    const bringOut = async (): Promise<unknown> => {
      let isDone: unknown;
      const outcome = await outcomeOf(async () => {
        isDone = await file.writeBack?.(0, BLOCK);
      });
      return isDone ?? outcome;
    };
    const outcomes = [await bringOut(), await bringOut()];
    return { outcomes, sync: await outcomeOf(() => file.sync()), other: await outcomeOf(() => other.sync()) };
  },

  async allocations(_: Work, file: IoFile): Promise<unknown> {
    file.truncateSync(1 << 20); // long enough, so that no zeros would be written
    return await Promise.all(
      [true, false].flatMap((writeZeros) => [
        outcomeOf(() => file.allocate(0, 1 << 20, { writeZeros })),
        outcomeOf(() => file.allocateSync(0, 1 << 20, { writeZeros })),
      ]),
    );
  },

  /** The ring cannot be entered any more, with nothing in flight and with more than the kernel takes at a time. */
  async refused({ refusedFrom, path }: Work, file: IoFile, backend: UringFiles): Promise<unknown> {
    const other = backend.openSync(path, {});
    await file.write(blockOf(1), 0);
    const written = Array.from({ length: 300 }, (_, at) => outcomeOf(() => file.write(blockOf(at), at * BLOCK)));
    fs.writeFileSync(refusedFrom!, '');
    const count = new Set(await Promise.all(written.slice(200)));
    const outcomes = {
      write: await outcomeOf(() => other.write(blockOf(1), 0)),
      batch: await outcomeOf(() => other.submit(pieces('write', blockOf(1), 3), { sync: true })),
      inPlace: await outcomeOf(() => other.submitSync(pieces('read', blockOf(1), 2))),
      large: await outcomeOf(() => other.submit(pieces('write', new Uint8Array(300_000), 1000), { sync: true })),
      sync: await outcomeOf(() => file.sync()),
    };
    return { count: [...count], ...outcomes, probe: backend.probe() };
  },

  /** The descriptor is gone, of a file that the kernel has not registered. */
  async closed(_: Work, file: IoFile): Promise<unknown> {
    file.writeSync(blockOf(1), 0);
    fs.closeSync((file as OpenFile).fd);
    return {
      write: await outcomeOf(() => file.write(blockOf(1), 0)),
      read: await outcomeOf(() => file.read(blockOf(1), 0)),
      batch: await outcomeOf(() => file.submit(pieces('write', blockOf(1), 3), { sync: true })),
      inPlace: await outcomeOf(() => file.submitSync(pieces('read', blockOf(1), 3))),
      truncate: await outcomeOf(() => file.truncate(0)),
      allocate: await outcomeOf(() => file.allocate(0, 100)),
      size: await outcomeOf(() => file.size()),
      sync: await outcomeOf(() => file.sync()),
      close: await outcomeOf(() => file.close()),
    };
  },
};

function blockOf(seed: number): Uint8Array {
  return new Uint8Array(BLOCK).fill(1 + (seed % 200));
}

/** The bytes in so many pieces, which do not follow one another in the batch: no two become one transfer. */
function pieces(kind: 'read' | 'write', bytes: Uint8Array, count: number): IoOperation[] {
  const length = Math.ceil(bytes.length / count);
  const all = Array.from({ length: count }, (_, at): IoOperation => {
    return { kind, buffer: bytes.subarray(at * length, (at + 1) * length), offset: at * length };
  });
  return all.reverse();
}

async function outcomeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'well';
  } catch (error) {
    if (!isPagewrightError(error)) throw error;
    return `${error.code} ${error.details.errno}`;
  }
}

const work = isMainThread ? (JSON.parse(process.argv[2]!) as Work) : (workerData as Work);
const backend = new UringFiles({ addon: work.addon, depth: 64 });
const file = backend.openSync(work.path, { create: true });
const said = await SCENARIOS[work.do](work, file, backend);
if (isMainThread) console.log(JSON.stringify(said));
