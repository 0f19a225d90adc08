/**
 * Power cuts by the preloaded layer. The writer is killed, by the layer itself at a record of its journal or from outside, and
 * of what no sync covers several losses are tried, each on a copy: nothing survives, everything does, or some of it.
 */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../random.js';
import { runUntilKilled } from './killed-process.js';
import { everythingSurvives, type Loss, nothingSurvives, someSurvives } from './loss.js';
import { type DirectoryImage, lossOfPower } from './loss-of-power.js';
import { type PowerCutOptions, PowerCuts, type RoundSummary, STORE } from './power-cuts.js';
import type { LayerSettings, VolatileLayer } from './volatile-layer.js';

/** Records in a journal until the writer has certainly begun: below it, opening and recovery are cut off. */
const RECORDS_OF_OPENING = 120;
const MOST_RECORDS = 1500;

export class LayerPowerCuts extends PowerCuts {
  readonly #layer: VolatileLayer;

  constructor(options: PowerCutOptions & { readonly layer: VolatileLayer }) {
    super(options);
    this.#layer = options.layer;
    mkdirSync(this.#paths.before);
  }

  /** `before`: the directory as the next writer finds it, all of it durable. `live`: the copy of it that the writer works on. */
  get #paths() {
    const within = (name: string) => join(this.options.home, name);
    return {
      before: within('before'),
      live: within('live'),
      journal: within('journal'),
      after: within('after'),
      chosen: within('chosen'),
    };
  }

  protected async cut(random: Random): Promise<RoundSummary> {
    const killAt = random.between(1, random.chance(0.5) ? RECORDS_OF_OPENING : MOST_RECORDS);
    const { command, environment } = this.#start(random.chance(0.6) ? { killAt } : {});
    const lines = await this.write(random, command, { environment });
    return { lines, checked: await this.#lose(random) };
  }

  /**
   * The file sync of this number, from 1, fails, and makes nothing durable, while the process reads what it wrote as if
   * nothing were wrong. Then the power is cut, and all is checked as in a round.
   * @param isTime when the writer has said all that it has to say
   * @returns the lines of the writer
   */
  async failSync(number: number, isTime: (lines: readonly string[]) => boolean): Promise<string[]> {
    const { command, environment } = this.#start({ failSync: number });
    const lines = await runUntilKilled({ ...command, environment, isTime });
    this.told.hear(lines);
    await this.#lose(new Random(this.options.seed).fork(`sync ${number}`));
    return lines;
  }

  /** How to start a writer on a new copy of the directory, under the layer. */
  #start(faults: Pick<LayerSettings, 'killAt' | 'failSync'>) {
    const { before, live, journal } = this.#paths;
    for (const path of [live, journal]) rmSync(path, { recursive: true, force: true });
    cpSync(before, live, { recursive: true });
    return {
      command: this.options.subject.writer(join(live, STORE)),
      environment: this.#layer.environment({ directory: live, journal, ...faults }),
    };
  }

  /** Tries several losses, and goes on with one of them. Returns how many. */
  async #lose(random: Random): Promise<number> {
    const { before, after, chosen } = this.#paths;
    const seeds = [random.below(2 ** 31), random.below(2 ** 31)];
    const losses = [nothingSurvives, everythingSurvives, ...seeds.map(someSurvives)];
    const images = lossOfPower(before, readFileSync(this.#paths.journal), losses);
    const next = random.below(images.length);
    for (const [at, image] of images.entries()) {
      rmSync(after, { recursive: true, force: true });
      image.writeTo(after);
      await this.check(after, (losses[at] as Loss).name, at === next);
    }
    (images[next] as DirectoryImage).writeTo(chosen);
    rmSync(before, { recursive: true });
    renameSync(chosen, before);
    return images.length;
  }
}
