/** A thread that has a store open and loads its indexes when it is told to, as tests have it: `programs/loading-thread.mjs`. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { EngineHandle, IndexHandle } from '@pagewright/core';

const PROGRAM = fileURLToPath(new URL('./programs/loading-thread.mjs', import.meta.url));
/** More writes than are looked for at once: a commit of so many has to wait for its turn. */
export const MANY = 1100;

export type Index = IndexHandle<string, unknown>;
export type Entry = readonly [string, unknown];

interface Told {
  readonly handle?: EngineHandle;
  readonly name?: string;
  readonly is?: 'begun' | 'over' | 'changed';
  readonly how?: string;
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Changes of so many entries that they wait for their turn. */
export const many = (index: Index) =>
  Array.from({ length: MANY }, (_, at) => ({ index, type: 'put' as const, key: `key ${at}`, value: at }));

/** The thread that has opened the store, and loads what it is told to. */
export class Loader {
  /** What it has told, and who waits for it. */
  private readonly told: Told[] = [];
  private waiting: (() => void)[] = [];
  /** How many loads have begun, and what else has come to its end. */
  private readonly happened = new Int32Array(new SharedArrayBuffer(8));
  readonly worker: Worker;

  constructor(path: string, options: object) {
    const workerData = { path, options, happened: this.happened.buffer };
    this.worker = new Worker(PROGRAM, { workerData, execArgv: [] });
    this.worker.on('message', (told: Told) => {
      this.told.push(told);
      for (const look of this.waiting.splice(0)) look();
    });
  }

  async until(what: (told: Told) => boolean): Promise<Told> {
    for (;;) {
      const at = this.told.findIndex(what);
      if (at >= 0) return this.told.splice(at, 1)[0]!;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  tell(does: 'load' | 'end' | 'fail' | 'change' | 'close', name?: string, more: object = {}): void {
    this.worker.postMessage({ does, name, ...more });
  }

  /** Resolves when the load has begun. */
  async load(name: string, entries: readonly Entry[] = []): Promise<void> {
    this.tell('load', name, { entries });
    await this.until((told) => told.name === name && told.is === 'begun');
  }

  over(name: string): Promise<Told> {
    return this.until((told) => told.name === name && told.is === 'over');
  }

  /** Who waits for it next finds it. */
  again(told: Told): void {
    this.told.push(told);
  }

  /** The same where the event loop does not turn: returns when a load has begun, or is over. */
  tellAndWait(does: 'load' | 'fail', name: string): void {
    const word = does === 'load' ? 0 : 1;
    const before = Atomics.load(this.happened, word);
    this.tell(does, name, { entries: [] });
    Atomics.wait(this.happened, word, before);
  }

  async close(): Promise<void> {
    const exit = once(this.worker, 'exit');
    this.tell('close');
    await exit;
  }
}
