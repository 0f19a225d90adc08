/**
 * A process of its own that opens a store and keeps it open until it is told to close it. Answers each command with its
 * outcome: what was asked for, or the code, message and details of the error.
 */
import { type Engine, isPagewrightError } from '@pagewright/core';
import { type OpenStoreOptions, open } from 'pagewright';

export type Command =
  | { readonly do: 'open'; readonly path: string; readonly options?: OpenStoreOptions }
  | { readonly do: 'write'; readonly entries: readonly (readonly [string, unknown])[] }
  | { readonly do: 'read' | 'refresh' | 'pinned' | 'close' };

export interface Answer {
  /** `done`, or the code of the error; the text of an error that is not one of Pagewright's. */
  readonly outcome: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** What `read` found in the index `data`. */
  readonly entries?: readonly (readonly [string, unknown])[];
  /** Whether `refresh` has gone on to a later checkpoint. */
  readonly moved?: boolean;
  /** The checkpoint that the writer keeps for it; null if it was not asked to. */
  readonly pinned?: number | null;
}

let db: Engine | null = null;

async function obey(command: Command): Promise<Partial<Answer>> {
  switch (command.do) {
    case 'open':
      db = await open(command.path, command.options);
      return {};
    case 'read': {
      const index = await db!.index<string, unknown>('data');
      return { entries: [...index.rangeSync()] };
    }
    case 'write': {
      const index = await db!.index<string, unknown>('data');
      await index.batch(command.entries.map(([key, value]) => ({ type: 'put', key, value })));
      await db!.checkpoint();
      return {};
    }
    case 'refresh':
      return { moved: await db!.refresh() };
    case 'pinned':
      return { pinned: db!.stats().pages.pinnedEpoch };
    case 'close':
      await db?.close();
      return {};
  }
}

process.on('message', async (command: Command) => {
  let answer: Answer;
  try {
    answer = { outcome: 'done', ...(await obey(command)) };
  } catch (error) {
    if (!isPagewrightError(error)) answer = { outcome: `not one of Pagewright's: ${String(error)}` };
    else
      answer = {
        outcome: error.code,
        message: error.message,
        details: { pid: error.details.pid, errno: error.details.errno },
      };
  }
  process.send!(answer);
});
process.send!('ready');
