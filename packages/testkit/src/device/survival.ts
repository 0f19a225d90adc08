/**
 * What becomes of each unsynced thing at a crash. A survival is asked once for every version of every such thing, in an
 * order that depends on the device alone; so one is a number, and can be printed and played again.
 */
import { checkCount, checkShare } from '../option-check.js';
import { Random } from '../random.js';

/** Asked once for each unsynced version of a thing: true keeps it, false drops it; of several kept the latest counts. */
export interface Survival {
  (): boolean;
  /**
   * Reproduces it, by {@link survivalOf}: `none`, `all`, `seed:77@0.5`, `seed:-3@1e-7`, `all:5/12`. The last needs the device in the state in which it was. Those
   * written by hand have none.
   */
  readonly label?: string;
}

/** A device without power, as far as its unsynced things are concerned. */
export interface Unsynced {
  /** How many unsynced versions each thing has that a crash decides about: a sector, a file's size, a directory entry. */
  unsynced(): readonly number[];
}

/** Nothing unsynced is left. */
export const dropAll: Survival = labelled('none', () => false);

/** As if all had been synced. */
export const keepAll: Survival = labelled('all', () => true);

/** Each unsynced version is kept with the probability `share`, by the seed, a whole number. Good for one crash. Errors: `RangeError`. */
export function keepSome(seed: number, share = 0.5): Survival {
  checkCount('seed', seed, Number.MIN_SAFE_INTEGER);
  checkShare('share', share);
  const random = new Random(seed);
  return labelled(`seed:${seed}@${share}`, () => random.chance(share));
}

/**
 * Every outcome that a crash of the device can have now, each once, from `all:1/n` (nothing is kept) to `all:n/n`; or null
 * if there are more than 2^`limit`: then samples must do, as {@link sampledSurvivals} gives them. The device loses power.
 */
export function everySurvival(device: Unsynced, limit = 10): Iterable<Survival> | null {
  const shape = device.unsynced();
  const outcomes = outcomesOf(shape);
  return outcomes > 2 ** limit ? null : enumerated(shape, outcomes);
}

/** Survivals by seeds that follow one another from `seed`: none, all, then nine tenths, half and a tenth in turn. Errors: `RangeError`. */
export function sampledSurvivals(seed: number, count: number): Iterable<Survival> {
  checkCount('seed', seed, Number.MIN_SAFE_INTEGER);
  checkCount('count', count, 1);
  return samples(seed, count);
}

function* samples(seed: number, count: number): Iterable<Survival> {
  const shares = [0.5, 0.1, 0.9];
  for (let at = 0; at < count; at++) {
    if (at < 2) yield at === 0 ? dropAll : keepAll;
    else yield keepSome(seed + at, shares[at % shares.length]);
  }
}

/** A label that counts the outcomes of another state than the device is in. */
export class OtherState extends Error {}

/** The survival that has this label. One that was enumerated needs the device in the state in which it was. Errors: `Error` for what is no label, or counts the outcomes of another state. */
export function survivalOf(label: string, device?: Unsynced): Survival {
  if (label === 'none') return dropAll;
  if (label === 'all') return keepAll;
  const seeded = /^seed:(-?\d+)@(\d+(?:\.\d+)?(?:e-\d+)?)$/.exec(label);
  if (seeded !== null) return keepSome(Number(seeded[1]), Number(seeded[2]));
  const [, number, total] = /^all:(\d+)\/(\d+)$/.exec(label) ?? [];
  if (number === undefined) throw new Error(`'${label}' is the label of no survival.`);
  if (device === undefined) throw new Error(`'${label}' counts the outcomes of one device, and needs it.`);
  const shape = device.unsynced();
  const outcomes = outcomesOf(shape);
  if (outcomes !== Number(total))
    throw new OtherState(`'${label}' is of another state: this one has ${outcomes} outcomes.`);
  if (Number(number) < 1 || Number(number) > outcomes)
    throw new Error(`'${label}' is no outcome: they are counted from 1 to ${outcomes}.`);
  return outcome(shape, Number(number), outcomes);
}

function* enumerated(shape: readonly number[], outcomes: number): Iterable<Survival> {
  for (let number = 1; number <= outcomes; number++) yield outcome(shape, number, outcomes);
}

/** The outcome of this number, from 1: of each thing no version is kept, or one. */
function outcome(shape: readonly number[], number: number, outcomes: number): Survival {
  const answers: boolean[] = [];
  let rest = number - 1;
  for (const versions of shape) {
    const kept = rest % (versions + 1);
    rest = Math.floor(rest / (versions + 1));
    for (let version = 1; version <= versions; version++) answers.push(version === kept);
  }
  let asked = 0;
  return labelled(`all:${number}/${outcomes}`, () => {
    const answer = answers[asked++];
    if (answer === undefined) throw new Error(`all:${number}/${outcomes} is good for one crash of one state.`);
    return answer;
  });
}

function outcomesOf(shape: readonly number[]): number {
  return shape.reduce((product, versions) => product * (versions + 1), 1);
}

function labelled(label: string, survives: () => boolean): Survival {
  return Object.assign(survives, { label });
}
