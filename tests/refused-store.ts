import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { type Engine, type ErrorCode, PagewrightError } from '@pagewright/core';
import { type OpenStoreOptions, open } from 'pagewright';
import { afterEach, beforeEach, expect } from 'vitest';
import { untilIdle } from './log-anatomy.js';
import { endAll } from './store-process.js';

export let directory: string;
export let path: string;

/** Each test of the file has a directory of its own, and a path in it for a store. */
export function inDirectories(): void {
  beforeEach(() => {
    directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-bad-'));
    path = join(directory, 'app.pw');
  });
  afterEach(async () => {
    await endAll();
    fs.rmSync(directory, { recursive: true, force: true });
  });
}

// ── A store whose data is known ──────────────────────────────────────────────────────────────────────────────────

export const SMALL: OpenStoreOptions = { memory: '4MiB', pageSize: '4KiB' };
export const DATA: readonly (readonly [string, unknown])[] = Array.from({ length: 300 }, (_, number) => [
  `key/${String(number).padStart(4, '0')}`,
  { number, text: number % 60 === 0 ? 'large '.repeat(2000) : 'small' },
]);

export async function fill(db: Engine, from = 0, to = DATA.length): Promise<void> {
  const index = await db.index<string, unknown>('data');
  await index.batch(DATA.slice(from, to).map(([key, value]) => ({ type: 'put', key, value })));
}

export async function makeStore(options: OpenStoreOptions = SMALL): Promise<void> {
  const db = await open(path, options);
  await fill(db);
  await db.close();
}

/** The store as its process leaves it that is killed when the log has been idle: half of the data is in the log alone. */
export async function makeKilledStore(options: OpenStoreOptions = SMALL): Promise<void> {
  const original = join(directory, 'original.pw');
  const db = await open(original, options);
  await fill(db, 0, 150);
  await db.checkpoint();
  await fill(db, 150);
  await untilIdle(() => filesIn(`${original}-wal`));
  fs.copyFileSync(original, path);
  fs.cpSync(`${original}-wal`, `${path}-wal`, { recursive: true });
  await db.close();
  fs.rmSync(original);
}

export async function expectKept(options: OpenStoreOptions = {}): Promise<void> {
  const db = await open(path, { memory: '4MiB', ...options });
  try {
    const index = await db.index<string, unknown>('data');
    expect([...index.rangeSync()]).toEqual(DATA);
    await index.put('written afterwards', 1);
    await index.delete('written afterwards');
  } finally {
    await db.close();
  }
}

export function filesIn(folder: string): Map<string, Uint8Array> {
  const entries = fs.existsSync(folder) ? fs.readdirSync(folder, { withFileTypes: true, recursive: true }) : [];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [file, fs.readFileSync(file)]));
}

/** All files with what is in them: to see that nothing was changed, and nothing left behind. */
export function picture(): Record<string, string> {
  const hashes = [...filesIn(directory)].map(([file, bytes]) => [file, createHash('sha1').update(bytes).digest('hex')]);
  return Object.fromEntries(hashes.sort());
}

// ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What it is refused with. Awaits what `attempt` returns; a store that it opens is closed. */
export async function refusal(attempt: () => unknown, code: ErrorCode, advice: RegExp): Promise<PagewrightError> {
  let result: unknown;
  try {
    result = await attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(PagewrightError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(advice) });
    return error as PagewrightError;
  }
  await (result as { close?: () => Promise<void> } | undefined)?.close?.();
  throw new Error(`it was not refused with ${code}`);
}

/** The same for opening the store at `path`, which leaves all files as they were. */
export async function refusedUnchanged(
  options: OpenStoreOptions,
  code: ErrorCode,
  advice: RegExp,
): Promise<PagewrightError> {
  const before = picture();
  const error = await refusal(() => open(path, options), code, advice);
  expect(picture()).toEqual(before);
  return error;
}
