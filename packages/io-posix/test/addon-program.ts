/**
 * What the addon is put through in a process of its own: `node program.mjs <scenario> <file>`. Says `ok` at the end; whatever goes wrong ends the process
 * in another way. Bundled, with the addon beside it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, fstatSync, readdirSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { IoFile, IoOperation } from '@pagewright/core';
import { NodeFiles } from '../src/backend.js';
import type { OpenFile } from '../src/file.js';
import type { PosixFile } from '../src/posix-file.js';
import { PosixFiles } from '../src/posix-files.js';
import { pattern } from './bytes.js';

const MIB = 1 << 20;
/** Takes a while to read, from wherever. In bytes. */
const LARGE = 64 * MIB;
const FIRST = pattern(1, 1)[0];
const files = new PosixFiles({ native: true });

type Scenario = (file: IoFile, path: string) => Promise<void>;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** Short and interrupted calls are for what is preloaded into the process to bring about. */
  async transfers(file) {
    const bytes = pattern(50_000, 1);
    const cuts = [0, 1, 2, 700, 1500, 1501, 8000, 30_000, 50_000];
    const pieces = (kind: 'read' | 'write', buffer: Uint8Array, offset: number): IoOperation[] =>
      cuts.slice(1).map((to, at) => ({ kind, offset: offset + cuts[at]!, buffer: buffer.subarray(cuts[at]!, to) }));
    file.writeSync(bytes, 7);
    await file.write(bytes, 100_007);
    file.submitSync(pieces('write', bytes, 200_007), { sync: true });
    await file.submit(pieces('write', bytes, 300_007), { sync: true });
    await file.submit([{ kind: 'write', buffer: bytes, offset: 400_007 }], { sync: true });
    file.submitSync([{ kind: 'write', buffer: bytes, offset: 500_007 }], { sync: true });
    assert.equal(await file.writeBack?.(3, 600_000), process.platform === 'linux');
    await file.sync();
    for (let at = 7; at < 600_000; at += 100_000) {
      const into = [0, 1, 2, 3].map(() => new Uint8Array(bytes.length));
      file.readSync(into[0]!, at);
      await file.read(into[1]!, at);
      file.submitSync(pieces('read', into[2]!, at));
      await file.submit(pieces('read', into[3]!, at));
      for (const found of into) assert.equal(Buffer.compare(found, bytes), 0, `what was read at ${at}`);
    }
    await file.truncate(1000);
    assert.equal(file.size(), 1000);
  },

  /** Writes that fail, for what is preloaded to bring about: each form tells it, and what failed is not durable afterwards either (IO1). */
  async failures(file, path) {
    const write: IoOperation = { kind: 'write', buffer: pattern(10, 1), offset: 5 };
    const wanted = { code: 'PW_IO', details: { errno: 'EIO', path: file.path } };
    const refused = async (work: () => unknown): Promise<void> => {
      const error = await (async () => work())().then(
        () => assert.fail('a call went well of which the system says EIO'),
        (reason) => reason,
      );
      assert.equal(error.code, wanted.code);
      assert.equal(error.details.errno, wanted.details.errno);
      assert.equal(error.details.path, wanted.details.path);
    };
    await refused(() => file.writeSync(write.buffer, 5));
    await refused(() => file.write(write.buffer, 5));
    await refused(() => file.submit([write, { ...write, offset: 100 }], { sync: true }));
    await file.sync(); // what failed was a write, and it was told
    await refused(() => file.submit([write], { sync: true }));
    await refused(() => file.sync());
    await refused(() => file.syncSync());
    await refused(() => file.submitSync([], { sync: true }));
    const other = files.openSync(path, {});
    await refused(() => other.writeBack?.(0, 4096));
    await refused(() => other.writeBack?.(0, 4096));
    await refused(() => other.sync());
    await other.close();
  },

  /** A write-back fails for a reason that a call which is not there could have as well. */
  async unwritten(file) {
    await file.write(pattern(10_000, 1), 0);
    const failed = await file.writeBack?.(0, 10_000).then(
      () => null,
      (reason) => reason,
    );
    assert.equal(failed?.code, 'PW_IO');
    assert.equal(failed?.details.errno, 'ENOTSUP'); // Node.js has this name for the number
    await assert.rejects(file.sync(), { code: 'PW_IO' });
  },

  async rangeless(file) {
    await file.write(pattern(10_000, 1), 0);
    assert.equal(await file.writeBack?.(0, 10_000), false);
    await file.sync();
  },

  /** Threads that end while much is in flight: nothing is written any more when they are gone. */
  async termination(file, path) {
    file.writeSync(pattern(4 * MIB, 1), 0);
    await file.truncate(LARGE);
    const other = new Uint8Array(4 * MIB);
    for (let round = 0; round < 2; round++) {
      const memory = new SharedArrayBuffer(LARGE);
      const worker = new Worker(new URL(import.meta.url), { workerData: { scenario: 'endless', path, memory, round } });
      await once(worker, 'message');
      await worker.terminate();
      const bytes = new Uint8Array(memory).fill(0xab);
      await file.submit([{ kind: 'read', buffer: other, offset: 0 }]);
      const changed = Buffer.compare(bytes, new Uint8Array(LARGE).fill(0xab)) !== 0;
      assert.ok(!changed, `memory was written to after its thread had ended, round ${round}`);
    }
  },

  /** Threads that end with files open past the page cache, by themselves and because they are told to: nothing of them stays open. */
  async descriptors(_file, path) {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const left: number[] = [];
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(new URL(import.meta.url), { workerData: { scenario: 'direct', path, round } });
      const ended = once(worker, 'exit');
      await once(worker, 'message');
      if (round % 2 === 0) await worker.terminate();
      await ended;
      left.push(open());
    }
    // The first thread may leave what is there once for the process.
    assert.deepEqual(
      left,
      left.map(() => left[0]),
    );
  },

  /** In a thread: two files past the page cache, one of them closed. */
  async direct(_file, path) {
    const { round } = workerData as { round: number };
    const direct = new PosixFiles({ native: true, direct: 'auto' });
    const [kept, closed] = [await direct.open(path, {}), direct.openSync(path, {})];
    await closed.close();
    parentPort!.postMessage(kept.size());
    if (round % 2 === 0) await new Promise(() => setInterval(() => {}, 1000));
  },

  /** In a thread: more in flight than can be over when it is ended, into shared memory and into its own. */
  async endless(file) {
    const { memory, round } = workerData as { memory: SharedArrayBuffer; round: number };
    const block = 1 << 14;
    const batch = (buffer: ArrayBuffer | SharedArrayBuffer): IoOperation[] =>
      Array.from({ length: (4 * MIB) / block }, (_, at) => {
        return { kind: 'read', buffer: new Uint8Array(buffer, at * block, block), offset: at * block };
      });
    // These take longer than a thread to end, and have begun before it is told to.
    const [mine, shared] = [new Uint8Array(LARGE), new Uint8Array(memory)];
    for (let at = 0; at < 8; at++) for (const large of [mine, shared]) file.read(large, 0).catch(() => {});
    while (mine[0] !== FIRST || shared[0] !== FIRST);
    parentPort!.postMessage('begun');
    for (let at = 0; at < 20; at++) {
      file.submit(batch(memory)).catch(() => {});
      file.submit(batch(new ArrayBuffer(4 * MIB))).catch(() => {});
      file.write(pattern(block, at), 4 * MIB).catch(() => {});
      file.submit([{ kind: 'write', buffer: pattern(block, at), offset: 4 * MIB }], { sync: true }).catch(() => {});
    }
    if (round % 2 === 0) file.sync().catch(() => {});
    await new Promise(() => {});
  },

  /** Buffers that nobody but the addon holds any more. */
  async collected(file) {
    assert.ok(globalThis.gc !== undefined, 'run with --expose-gc');
    file.writeSync(pattern(MIB, 1), 0);
    for (let round = 0; round < 20; round++) {
      const reading = Array.from({ length: 16 }, () => file.read(new Uint8Array(MIB), 0));
      reading.push(file.submit([{ kind: 'read', buffer: new Uint8Array(MIB), offset: 0 }]));
      globalThis.gc();
      for (let at = 0; at < 100; at++) new Uint8Array(10_000).fill(at);
      await Promise.all(reading);
    }
  },

  /** Batches of large reads, whose transfers several threads may have at a time. */
  async batches(file) {
    const bytes = pattern(MIB, 1);
    file.writeSync(bytes, 0);
    for (let round = 0; round < 5; round++) {
      const found = Array.from({ length: 32 }, () => new Uint8Array(MIB));
      const reads = found.map((buffer): IoOperation => ({ kind: 'read', buffer, offset: 0 }));
      await Promise.all([file.submit(reads.slice(16), { sync: true }), file.submit(reads.slice(0, 16))]);
      for (const buffer of found) assert.equal(Buffer.compare(buffer, bytes), 0, `round ${round}`);
    }
  },

  /** Descriptors that were closed behind the back of their file. */
  async closed(file, path) {
    const buffer = pattern(100, 1);
    const batch: IoOperation[] = [0, 200].map((offset) => ({ kind: 'write', offset, buffer }));
    const openNow = (): string[] => readdirSync('/proc/self/fd');
    for (const each of [file, await new NodeFiles().open(path, {})] as OpenFile[]) {
      each.writeSync(buffer, 0);
      closeSync(each.fd);
      const calls: readonly (() => unknown)[] = [
        () => each.write(buffer, 0),
        () => each.writeSync(buffer, 0),
        () => each.read(new Uint8Array(100), 0),
        () => each.readSync(new Uint8Array(100), 0),
        () => each.submit(batch, { sync: true }),
        () => each.submitSync(batch, { sync: true }),
        () => each.truncate(5),
        () => each.allocate(0, 1000),
        () => each.size(),
        () => each.sync(),
        () => each.close(),
      ];
      for (const [at, call] of calls.entries()) {
        const error = await (async () => call())().then(
          () => assert.fail(`call ${at} goes well on a descriptor that is gone`),
          (reason) => reason,
        );
        assert.deepEqual([error.code, error.details.errno], ['PW_IO', 'EBADF'], `call ${at}`);
      }
    }
    // One of the two that a file past the page cache has.
    const before = openNow();
    const direct = (await new PosixFiles({ native: true, direct: 'auto' }).open(path, {})) as PosixFile;
    const own = openNow().filter((fd) => !before.includes(fd) && Number(fd) !== direct.fd);
    if (direct.direct !== null) {
      closeSync(Number(own[0]));
      await assert.rejects(direct.close(), { code: 'PW_IO' });
      assert.throws(() => fstatSync(direct.fd), { code: 'EBADF' }, 'the other descriptor stays open');
    }
  },

  /** The process ends with much in flight. */
  async exit(file) {
    file.writeSync(pattern(4 * MIB, 1), 0);
    for (let at = 0; at < 50; at++) file.read(new Uint8Array(4 * MIB), 0).catch(() => {});
    console.log('ok');
    process.exit();
  },

  /** The process ends by itself when nothing is in flight, and not before; the file is still open then. */
  async alive(file) {
    file.write(pattern(MIB, 1), 0).then(() => file.sync().then(() => console.log('written')));
  },

  /** Threads on one file, each in places of its own, and all in one that only one of them at a time has. */
  async threads(_file, path) {
    const workers = [0, 1, 2, 3].map(
      (number) => new Worker(new URL(import.meta.url), { workerData: { scenario: 'thread', path, number } }),
    );
    const ended = await Promise.all(workers.map((worker) => once(worker, 'exit')));
    assert.deepEqual(ended, [[0], [0], [0], [0]]);
    const found = await files.open(path, { readOnly: true });
    for (let block = 0; block < 2000; block++) {
      const bytes = new Uint8Array(512);
      found.readSync(bytes, block * 512);
      assert.equal(Buffer.compare(bytes, pattern(512, block)), 0, `block ${block}`);
    }
    await found.close();
  },

  async thread(file) {
    const { number } = workerData as { number: number };
    const mine = Array.from({ length: 500 }, (_, at) => 4 * at + number);
    const writes = mine.map((block): IoOperation => {
      return { kind: 'write', buffer: pattern(512, block), offset: block * 512 };
    });
    await Promise.all([
      file.submit(writes.slice(0, 200), { sync: true }),
      file.submit(writes.slice(200, 400)),
      ...writes.slice(400).map(({ buffer, offset }) => file.write(buffer, offset)),
    ]);
    const reads = mine.map((block): IoOperation => {
      return { kind: 'read', buffer: new Uint8Array(512), offset: block * 512 };
    });
    await file.submit(reads);
    for (const [at, { buffer }] of reads.entries()) {
      assert.equal(Buffer.compare(buffer, pattern(512, mine[at]!)), 0, `block ${mine[at]} in thread ${number}`);
    }
  },
};

const [scenario, path] = isMainThread
  ? [process.argv[2]!, process.argv[3]!]
  : [(workerData as { scenario: string }).scenario, (workerData as { path: string }).path];
const { native } = files.probe();
assert.equal(native, 'yes');
const file = await files.open(path, { create: true });
await SCENARIOS[scenario]!(file, path);
if (scenario !== 'alive' && scenario !== 'closed') await file.close();
if (isMainThread) console.log('ok');
