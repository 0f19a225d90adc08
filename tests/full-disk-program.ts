/**
 * Fills the file system that it is given, in a process that alone sees it: until there is no room, then with room again by
 * removing another file, and again by making the file system larger. Prints what it saw, as JSON.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { type Engine, isPagewrightError } from '@pagewright/core';
import { open } from 'pagewright';
import { type Filling, fillUntilRefused, writeMore } from './filling.js';
import { readAll } from './known-content.js';

/** What was seen in one round, for the test to look at. */
export interface Round {
  /** Writes that were acknowledged before one was refused. */
  readonly written: number;
  readonly refusedWith: string;
  readonly state: string;
  readonly failure: string;
  readonly told: readonly string[];
  readonly nextWrite: string;
  readonly readWhenFull: string;
  readonly closed: string;
  readonly reopenedWhenFull: string;
  /** Of the store that was opened when there was room again. */
  readonly readAfterwards: string;
  readonly stateAfterwards: string;
  readonly readAtLast: string;
}

const [directory, commit] = process.argv.slice(2) as [string, string];
const path = join(directory, 'full.pw');
const ballast = join(directory, 'ballast');

const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error) => (isPagewrightError(error) ? error.code : `not one of Pagewright's: ${String(error)}`),
  );

async function round(makeRoom: () => void, before: Filling | null): Promise<{ seen: Round; filling: Filling }> {
  const told: string[] = [];
  const onFailure = (error: Error): void => {
    told.push(isPagewrightError(error) ? error.code : String(error));
  };
  const options = { memory: '2MiB', pageSize: '4KiB', commit, checkpoint: { logBytes: 300_000 } };
  const db: Engine = await open(path, { ...options, onFailure });
  const filling = await fillUntilRefused(db, before);
  const { known, refusal } = filling;
  const codeOf = (error: unknown): string => (isPagewrightError(error) ? error.code : String(error));
  const full = {
    written: filling.acknowledged,
    refusedWith: codeOf(refusal),
    state: db.state,
    failure: codeOf(db.failure),
    nextWrite: await outcomeOf((await db.index<string, string>('data')).put('one more', 'x')),
    readWhenFull: codeOf(await readAll(db, known.indexes(), 'waiting')),
    closed: await outcomeOf(db.close()),
    reopenedWhenFull: await outcomeOf(open(path, options).then((again) => again.close())),
  };
  makeRoom();
  const again = await open(path, options);
  const readAfterwards = codeOf(await readAll(again, known.indexes(), 'now'));
  await writeMore(again, known);
  const stateAfterwards = again.state;
  await again.close();
  const last = await open(path, options);
  const readAtLast = codeOf(await readAll(last, known.indexes(), 'now'));
  await last.close();
  return { seen: { ...full, told, readAfterwards, stateAfterwards, readAtLast }, filling };
}

fs.writeFileSync(ballast, Buffer.alloc(2 ** 20));
const first = await round(() => fs.rmSync(ballast), null);
const second = await round(() => execFileSync('mount', ['-o', 'remount,size=32m', directory]), first.filling);
console.log(JSON.stringify([first.seen, second.seen]));
