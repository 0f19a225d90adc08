/**
 * The quickstart: composes two engines from config and stores every file below node_modules in each. Half-way a child
 * process does the writing and is killed without warning; the store is opened again, and every acknowledged transaction
 * must be there, and none by half. Ends with exit code 1 if anything is lost.
 *
 * `npm start -- --directory DIR` stores another directory; `--keep` leaves the stores in `.store` for a look.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatByteSize } from '@pagewright/core';
import Table from 'cli-table3';
import { check } from './checking.js';
import { describeEngine, ENGINES, type EngineName, openEngine } from './engines.js';
import { listFiles, readRecord } from './files.js';
import { progress } from './progress.js';
import { countTransactions, FILES_PER_TRANSACTION, openIndexes, store } from './storing.js';
import type { Acknowledgement, WriterTask } from './writer.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const STORES = fileURLToPath(new URL('../.store', import.meta.url));
/** How long reads are measured. */
const READING_MS = 2000;

interface Row {
  readonly engine: EngineName;
  readonly files: number;
  readonly bytes: number;
  readonly storeBytes: number;
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly acknowledgedAtKill: number;
  readonly recoveredTransactions: number;
  readonly recoveryMs: number;
  readonly faults: readonly string[];
}

const { values: options } = parseArgs({
  options: {
    directory: { type: 'string', default: join(ROOT, 'node_modules') },
    keep: { type: 'boolean', default: false },
  },
});
const directory = resolve(options.directory);
process.exitCode = (await main()) ? 0 : 1;

async function main(): Promise<boolean> {
  console.log(`Pagewright quickstart: every file below ${directory}, in two engines.\n`);
  await rm(STORES, { recursive: true, force: true });
  await mkdir(STORES, { recursive: true });
  const paths = await listFiles(directory);
  if (paths.length === 0) throw new Error(`There are no files below ${directory}. Name another with --directory.`);
  const expected = await hashAll(paths);
  const rows: Row[] = [];
  for (const engine of Object.keys(ENGINES) as EngineName[]) rows.push(await runEngine(engine, paths, expected));
  print(rows);
  if (options.keep) console.log(`The stores are in ${STORES}.`);
  else await rm(STORES, { recursive: true, force: true });
  return rows.every((row) => row.faults.length === 0);
}

/** What the stores will be held against, read before any store exists. */
interface Expected {
  /** SHA-256 of each file, as hex. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly bytes: number;
}

async function hashAll(paths: readonly string[]): Promise<Expected> {
  const hashes = new Map<string, string>();
  let bytes = 0;
  const bar = progress('hashing   ', paths.length);
  for (let first = 0; first < paths.length; first += 64) {
    const some = paths.slice(first, first + 64);
    const records = await Promise.all(some.map((path) => readRecord(directory, path, 0)));
    for (const [index, { sha256, size }] of records.entries()) {
      hashes.set(some[index] as string, Buffer.from(sha256).toString('hex'));
      bytes += size;
    }
    bar.advance(some.length);
  }
  bar.stop();
  return { hashes, bytes };
}

async function runEngine(engine: EngineName, paths: readonly string[], expected: Expected): Promise<Row> {
  console.log(`\n${engine}: ${describeEngine(engine)}`);
  const path = join(STORES, `${engine}.pw`);
  const all = Array.from({ length: countTransactions(paths) }, (_, number) => number);
  const bar = progress('storing   ', paths.length);
  const storing = performance.now();
  const acknowledged = await writeUntilKilled({ engine, store: path, directory, paths, numbers: all }, (files) => {
    bar.advance(files);
  });
  const acknowledgedAtKill = acknowledged.size;

  const opening = performance.now();
  const db = await openEngine(engine, path);
  const recoveryMs = performance.now() - opening;
  const afterKill = await check(db, paths, expected.hashes, acknowledged);

  const missing = all.filter((number) => !afterKill.whole.has(number));
  bar.advance((afterKill.whole.size - acknowledgedAtKill) * FILES_PER_TRANSACTION);
  const storingRest = performance.now();
  let written = 0;
  await store(db, directory, paths, missing, (_transaction, files) => {
    bar.advance(files);
    written += files;
  });
  const writingMs = performance.now() - storingRest;
  bar.stop();
  console.log(
    `killed    a writer with SIGKILL after ${acknowledgedAtKill} acknowledged transactions, ${Math.round(opening - storing)} ms in; ` +
      `found ${afterKill.whole.size} whole, ${afterKill.faults.length} faults`,
  );

  const readsPerSecond = await measureReads(db, paths);
  await db.close();

  const again = await openEngine(engine, path);
  const atEnd = await check(again, paths, expected.hashes, new Set(all));
  const { recovered } = again;
  await again.close();
  if (recovered.transactions !== 0) throw new Error('A store that was closed cleanly had something to recover.');
  return {
    engine,
    files: paths.length,
    bytes: expected.bytes,
    storeBytes: (await stat(path)).size,
    writesPerSecond: (written / writingMs) * 1000,
    readsPerSecond,
    acknowledgedAtKill,
    recoveredTransactions: db.recovered.transactions,
    recoveryMs,
    faults: [...afterKill.faults, ...atEnd.faults],
  };
}

/** Lets a child write until about half of the transactions are acknowledged, then kills it; the acknowledged ones. */
async function writeUntilKilled(task: WriterTask, report: (files: number) => void): Promise<Set<number>> {
  const child: ChildProcess = fork(fileURLToPath(new URL('./writer.js', import.meta.url)));
  const acknowledged = new Set<number>();
  const gone = once(child, 'exit');
  child.on('message', (done: Acknowledgement) => {
    acknowledged.add(done.transaction);
    report(done.files);
    if (acknowledged.size * 2 >= task.numbers.length) child.kill('SIGKILL');
  });
  child.send(task);
  const [code, signal] = await gone;
  if (signal !== 'SIGKILL') throw new Error(`The writer ended by itself (code ${code}), before it could be killed.`);
  return acknowledged;
}

/** Random reads of whole records for a while; how many in a second. */
async function measureReads(db: Awaited<ReturnType<typeof openEngine>>, paths: readonly string[]): Promise<number> {
  const { files } = await openIndexes(db);
  const begun = performance.now();
  let reads = 0;
  let state = 1;
  while (performance.now() - begun < READING_MS) {
    for (let burst = 0; burst < 100; burst++, reads++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const path = paths[state % paths.length] as string;
      if (files.getSync(path) === undefined) throw new Error(`${path} is missing.`);
    }
    await new Promise((resume) => setImmediate(resume));
  }
  return (reads / (performance.now() - begun)) * 1000;
}

function print(rows: readonly Row[]): void {
  const table = new Table({ head: ['', ...rows.map((row) => row.engine)], style: { head: [], border: [] } });
  const line = (what: string, of: (row: Row) => string): void => {
    table.push([what, ...rows.map(of)]);
  };
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  line('engine', (row) => describeEngine(row.engine));
  line('files', (row) => whole(row.files));
  line('bytes hashed', (row) => formatByteSize(row.bytes));
  line('store', (row) => formatByteSize(row.storeBytes));
  line('writes/s (durable)', (row) => whole(row.writesPerSecond));
  line('reads/s', (row) => whole(row.readsPerSecond));
  line('acknowledged when killed', (row) => `${whole(row.acknowledgedAtKill)} transactions`);
  line('recovered', (row) => `${whole(row.recoveredTransactions)} from the log, in ${whole(row.recoveryMs)} ms`);
  line('lost or by half', (row) => whole(row.faults.length));
  console.log(`\n${table.toString()}`);
  for (const row of rows) for (const fault of row.faults.slice(0, 20)) console.error(`${row.engine}: ${fault}`);
}
