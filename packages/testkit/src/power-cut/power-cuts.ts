/**
 * Rounds of loss of power: a writer of the endless script works in a process of its own until it is cut off at a moment that
 * a seed chooses; the store that is left is opened and held to what the writer was told. The next round goes on from there,
 * so that recovery is cut off too, several times in a row. Messages name the seed; when the processes run at another pace
 * another moment is met, so after a failure the files are left where they are.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '@pagewright/core';
import { Random } from '../random.js';
import { checkEndlessWork } from './endless-check.js';
import { EndlessWork } from './endless-work.js';
import { type ProcessPlan, runUntilKilled } from './killed-process.js';
import { WriterRecord } from './writer-record.js';

/** What is tested. */
export interface PowerCutSubject {
  /** A program that does {@link EndlessWork} on the store at this path, and writes to standard output what it tells. */
  writer(path: string): { readonly command: string; readonly args: readonly string[] };
  /** Opens a store by the same parts, without whatever is planted in the writer. */
  open(path: string): Promise<Engine>;
}

export interface PowerCutOptions {
  readonly subject: PowerCutSubject;
  /** A directory of its own, without symbolic links in its path. */
  readonly home: string;
  readonly seed: number;
  /** The writer is cut off after so many lines, if nothing ends it sooner. Default: 1 to 90, by the seed. */
  readonly patience?: number;
}

export interface RoundSummary {
  /** What the writer told. */
  readonly lines: readonly string[];
  /** States that were opened and checked. */
  readonly checked: number;
}

/** Name of the store in whatever directory a round looks at. */
export const STORE = 'store.pw';
const MOST_LINES = 90;

/** What every kind of power cut has in common. */
export abstract class PowerCuts {
  readonly told = new WriterRecord();
  #rounds = 0;

  protected constructor(protected readonly options: PowerCutOptions) {}

  /** Cuts the power once. Throws if what is left is not what must be there. */
  async round(): Promise<RoundSummary> {
    const number = this.#rounds++;
    const { seed, home } = this.options;
    try {
      return await this.cut(new Random(seed).fork(`round ${number}`));
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Round ${number}, seed ${seed}: ${message} The files are in ${home}.`, { cause });
    }
  }

  /** Lets go of all that is held. The files are removed, unless they are to be kept to look at. */
  async dispose({ keepFiles = false }: { readonly keepFiles?: boolean } = {}): Promise<void> {
    if (!keepFiles) rmSync(this.options.home, { recursive: true, force: true });
  }

  protected abstract cut(random: Random): Promise<RoundSummary>;

  /** Lets the writer work until it is time, and remembers what it told. One that gives up before that is an error. */
  protected async write(
    random: Random,
    command: { readonly command: string; readonly args: readonly string[] },
    more: Pick<ProcessPlan, 'environment' | 'end'> = {},
  ): Promise<string[]> {
    const patience =
      this.options.patience ?? (random.chance(0.2) ? random.between(1, 5) : random.between(1, MOST_LINES));
    let complaint: string | undefined;
    const lines = await runUntilKilled({
      ...command,
      ...more,
      isTime: (told) => {
        complaint = told.find((line) => /^(unopened|failed) /.test(line));
        return told.length >= patience || complaint !== undefined;
      },
    });
    if (complaint !== undefined) throw new Error(`The writer gave up before it was cut off: ${complaint}.`);
    this.told.hear(lines);
    return lines;
  }

  /** Opens the store in the directory and checks it; with `writes`, it must take more work, and keep it. */
  protected async check(directory: string, what: string, writes: boolean): Promise<void> {
    try {
      const db = await this.options.subject.open(join(directory, STORE));
      try {
        await checkEndlessWork(db, this.told);
        await verify(db);
        if (writes) await this.#writeMore(db);
      } finally {
        await db.close();
      }
    } catch (cause) {
      throw new Error(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }

  async #writeMore(db: Engine): Promise<void> {
    const lines: string[] = [];
    await (await EndlessWork.on(db, (line) => lines.push(line))).stretch();
    const told = new WriterRecord();
    told.hear(lines);
    await checkEndlessWork(db, told);
    await verify(db);
  }
}

/** By the engine's own eyes, where it has them: the page structures, which reading alone does not go through. */
async function verify(db: Engine): Promise<void> {
  const report = await (
    db as unknown as { verify?(): Promise<{ ok: boolean; problems: readonly unknown[] }> }
  ).verify?.();
  if (report?.ok === false) throw new Error(`verify finds: ${JSON.stringify(report.problems)}`);
}
