/**
 * The least of the losses: the process is killed, and the system goes on. All that was written is there for the next process,
 * synced or not; what was about to be written is not. The check opens a copy, so that the next writer recovers by itself.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../random.js';
import { type PowerCutOptions, PowerCuts, type RoundSummary, STORE } from './power-cuts.js';

export class ProcessKills extends PowerCuts {
  readonly #live: string;

  constructor(options: PowerCutOptions) {
    super(options);
    this.#live = join(options.home, 'live');
    mkdirSync(this.#live);
  }

  protected async cut(random: Random): Promise<RoundSummary> {
    const lines = await this.write(random, this.options.subject.writer(join(this.#live, STORE)));
    const after = join(this.options.home, 'after');
    rmSync(after, { recursive: true, force: true });
    cpSync(this.#live, after, { recursive: true });
    await this.check(after, 'the process was killed', random.chance(0.3));
    return { lines, checked: 1 };
  }
}
