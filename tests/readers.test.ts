/**
 * Readers in processes of their own beside a writer: they see whole checkpoints and nothing else, whatever the writer does and
 * however they end, and none of them stops it.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Engine } from '@pagewright/core';
import { type OpenStoreOptions, open } from 'pagewright';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { endAll, kill, start, tell } from './store-process.js';
import type { Answer } from './store-process-program.js';

const KEYS = 1500;
/** More than a reader has memory for, so that it reads the file again and again. */
const FILLING = 'x'.repeat(900);
const WRITING: OpenStoreOptions = { memory: '8MiB', pageSize: '4KiB', checkpoint: { intervalMs: 2 ** 30 } };
const READING: OpenStoreOptions = { memory: '1MiB', readOnly: true, follow: false };
/** Of nobody: it may write nothing here. */
const NOBODY = 65534;

let directory: string;
let path: string;
let programs: string;
let program: string;

beforeAll(async () => {
  programs = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-programs-'));
  fs.chmodSync(programs, 0o755);
  program = await bundle('../../../tests/store-process-program.ts', programs);
});
afterAll(() => fs.rmSync(programs, { recursive: true, force: true }));
beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-readers-'));
  fs.chmodSync(directory, 0o755);
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  await endAll();
  fs.rmSync(directory, { recursive: true, force: true });
});

const entriesOf = (round: number): [string, unknown][] =>
  Array.from({ length: KEYS }, (_, number) => [`key/${String(number).padStart(5, '0')}`, { round, number, FILLING }]);

/** Overwrites everything in one transaction. */
async function write(db: Engine, round: number, { checkpoint = true } = {}): Promise<void> {
  const index = await db.index<string, unknown>('data');
  await index.batch(entriesOf(round).map(([key, value]) => ({ type: 'put', key, value })));
  if (checkpoint) await db.checkpoint();
}

/** The one round that all entries are of. */
function roundOf({ outcome, message, entries }: Answer): number {
  expect(outcome, message).toBe('done');
  expect(entries).toHaveLength(KEYS);
  const rounds = new Set(entries?.map(([, value]) => (value as { round: number }).round));
  expect([...rounds], 'entries of several commits').toHaveLength(1);
  expect(entries?.every(([, value], at) => (value as { number: number }).number === at)).toBe(true);
  return [...rounds][0]!;
}

async function reader(options: OpenStoreOptions = READING, user?: number): Promise<ChildProcess> {
  const child = await start(program, user === undefined ? {} : { user });
  expect(await tell(child, { do: 'open', path, options })).toMatchObject({ outcome: 'done' });
  return child;
}

const pinFiles = (): string[] => (fs.existsSync(`${path}-readers`) ? fs.readdirSync(`${path}-readers`) : []);

it('readers see the checkpoint that was there when they opened, whole, until they are told to go on to the newest', async () => {
  const db = await open(path, WRITING);
  try {
    await write(db, 1);
    const [first, second] = [await reader(), await reader()];
    for (let round = 2; round <= 6; round++) {
      await write(db, round, { checkpoint: false });
      expect(roundOf(await tell(first, { do: 'read' }))).toBe(round - 1);
      const reading = tell(second, { do: 'read' });
      await db.checkpoint();
      expect(roundOf(await reading)).toBe(1);
      expect(await tell(first, { do: 'refresh' })).toMatchObject({ moved: true });
      expect(await tell(first, { do: 'refresh' })).toMatchObject({ moved: false });
      expect(roundOf(await tell(first, { do: 'read' }))).toBe(round);
    }
    expect(pinFiles()).toHaveLength(2);
    expect(db.stats().pages.readers).toBe(2);
    await tell(first, { do: 'close' });
    await tell(second, { do: 'close' });
    expect(fs.existsSync(`${path}-readers`), 'the directory of the readers is left behind').toBe(false);
  } finally {
    await db.close();
  }
}, 120_000);

it('a reader that stays where it is reads right values, however often all is overwritten; its space comes back when it is closed', async () => {
  const db = await open(path, WRITING);
  try {
    await write(db, 1);
    const child = await reader();
    for (let round = 2; round <= 15; round++) {
      await write(db, round);
      if (round % 3 === 0) expect(roundOf(await tell(child, { do: 'read' }))).toBe(1);
    }
    const kept = db.stats().pages.retainedFileBytes;
    await tell(child, { do: 'close' });
    for (let round = 16; round <= 17; round++) await write(db, round);
    expect(db.stats().pages).toMatchObject({ readers: 0 });
    expect(db.stats().pages.retainedFileBytes).toBeLessThan(kept / 2);
  } finally {
    await db.close();
  }
}, 120_000);

it('a reader that is killed keeps nothing: its space is used again, and its pin is removed', async () => {
  const db = await open(path, WRITING);
  try {
    await write(db, 1);
    const child = await reader();
    for (let round = 2; round <= 8; round++) await write(db, round);
    const { retainedFileBytes, fileBytes } = db.stats().pages;
    expect(pinFiles()).toHaveLength(1);
    await kill(child);
    expect(pinFiles()).toHaveLength(1);
    for (let round = 9; round <= 14; round++) await write(db, round);
    expect(pinFiles()).toEqual([]);
    expect(db.stats().pages.retainedFileBytes).toBeLessThan(retainedFileBytes / 2);
    expect(db.stats().pages.fileBytes, 'the file has grown all the same').toBeLessThanOrEqual(fileBytes);
  } finally {
    await db.close();
  }
}, 120_000);

it('a reader goes on by itself, and takes what was committed before the writer closed', async () => {
  const db = await open(path, WRITING);
  try {
    await write(db, 1);
    const child = await reader({ ...READING, follow: 5 });
    await write(db, 2);
    let round = 1;
    while (round === 1) round = roundOf(await tell(child, { do: 'read' }));
    expect(round).toBe(2);
    await write(db, 3, { checkpoint: false });
    await db.close();
    while (round === 2) round = roundOf(await tell(child, { do: 'read' }));
    expect(round).toBe(3);
  } finally {
    await db.close();
  }
}, 120_000);

it('writers come and go while a reader reads one checkpoint; a second writer is refused, a reader is not', async () => {
  const db = await open(path, WRITING);
  await write(db, 1);
  await db.close();
  const child = await reader();
  for (let life = 0; life < 3; life++) {
    const writer = await open(path, WRITING);
    try {
      for (let round = 2; round <= 5; round++) await write(writer, round + 10 * life);
      const other = await start(program);
      expect(await tell(other, { do: 'open', path, options: WRITING })).toMatchObject({
        outcome: 'PW_LOCKED',
        details: { pid: process.pid },
      });
      const newest = await reader();
      expect(roundOf(await tell(newest, { do: 'read' }))).toBe(5 + 10 * life);
      expect(roundOf(await tell(child, { do: 'read' }))).toBe(1);
      await kill(newest);
    } finally {
      await writer.close();
    }
  }
  expect(roundOf(await tell(child, { do: 'read' }))).toBe(1);
  await tell(child, { do: 'refresh' });
  expect(roundOf(await tell(child, { do: 'read' }))).toBe(25);
}, 120_000);

it('a writer that is killed is followed by another, and readers read on what they have', async () => {
  const writing = await start(program);
  await tell(writing, { do: 'open', path, options: WRITING });
  for (let round = 1; round <= 3; round++) await tell(writing, { do: 'write', entries: entriesOf(round) });
  const child = await reader();
  for (let round = 4; round <= 6; round++) await tell(writing, { do: 'write', entries: entriesOf(round) });
  writing.send({ do: 'write', entries: entriesOf(7) });
  await kill(writing);
  expect(roundOf(await tell(child, { do: 'read' }))).toBe(3);
  const db = await open(path, WRITING);
  try {
    for (let round = 8; round <= 12; round++) await write(db, round);
    expect(roundOf(await tell(child, { do: 'read' }))).toBe(3);
    await tell(child, { do: 'refresh' });
    expect(roundOf(await tell(child, { do: 'read' }))).toBe(12);
  } finally {
    await db.close();
  }
}, 120_000);

const isRoot = process.getuid?.() === 0;

it.skipIf(!isRoot)(
  'a reader that may write nothing is overtaken, says so, and goes on; it never has a wrong value',
  async () => {
    const db = await open(path, WRITING);
    try {
      await write(db, 1);
      const child = await reader(READING, NOBODY);
      expect(await tell(child, { do: 'pinned' })).toMatchObject({ pinned: null });
      expect(roundOf(await tell(child, { do: 'read' }))).toBe(1);
      let overtaken = 0;
      let seen = 1;
      for (let round = 2; round <= 12; round++) {
        await write(db, round);
        const answer = await tell(child, { do: 'read' });
        if (answer.outcome === 'done') expect(roundOf(answer)).toBe(seen);
        else {
          expect(answer).toMatchObject({
            outcome: 'PW_SNAPSHOT_TOO_OLD',
            message: expect.stringContaining('refresh()'),
          });
          overtaken++;
          expect(await tell(child, { do: 'refresh' })).toMatchObject({ moved: true });
          seen = roundOf(await tell(child, { do: 'read' }));
          expect(seen).toBe(round);
        }
      }
      expect(overtaken).toBeGreaterThan(1);
      expect(pinFiles()).toEqual([]);
    } finally {
      await db.close();
    }
  },
  120_000,
);
