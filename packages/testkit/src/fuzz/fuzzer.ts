/**
 * Gives a target many damaged inputs. Every input depends on the seed and its own number alone, so a finding is repeated
 * by these two, without what ran before it.
 */
import { isPagewrightError } from '@pagewright/core';
import { checkCount, checkLimit } from '../option-check.js';
import { Random } from '../random.js';
import { describeMutation, type Mutation, Mutator, mutated } from './mutator.js';
import type { FuzzSeed, FuzzTarget } from './target.js';

/** How long to fuzz, and whom to tell. */
export interface FuzzOptions {
  readonly seed: number;
  /** Number of the first input. Default: 0. */
  readonly from?: number;
  /** So many inputs … */
  readonly inputs?: number;
  /** … or so long; whichever is over first. One of them must be given. */
  readonly minutes?: number;
  /** A target with so many findings is left. Default: 10. */
  readonly mostFindings?: number;
  readonly onFinding?: (finding: Finding) => void;
  /** Told the number of each input before it is tried, so that one that hangs can be named by who watches. */
  readonly onInput?: (index: number) => void;
}

/** An input that led to what must not be. `replay(target, seed, index)` leads there again. */
export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly index: number;
  readonly message: string;
  readonly error: unknown;
}

/** What came of fuzzing one target. */
export interface FuzzSummary {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  readonly inputsPerSecond: number;
  /** How often what came of an input. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly findings: readonly Finding[];
}

/** One input, as it is made from its seed and number. */
export interface FuzzInput<Context> {
  readonly origin: FuzzSeed<Context>;
  readonly mutations: readonly Mutation[];
  readonly isRepaired: boolean;
}

/** What was done to a valid input. */
type Changes = Pick<FuzzInput<unknown>, 'mutations' | 'isRepaired'>;

const DEFAULT_MOST_FINDINGS = 10;
/** The clock is read after so many inputs. */
const CLOCK_EVERY = 32;

/** Tries damaged inputs until there were enough, or the time is over. Errors: `RangeError` and `TypeError` for options with which nothing would be tried. */
export async function fuzz<Context>(target: FuzzTarget<Context>, options: FuzzOptions): Promise<FuzzSummary> {
  const { seed, from = 0, inputs = Number.POSITIVE_INFINITY, minutes = Number.POSITIVE_INFINITY } = options;
  if (inputs === Number.POSITIVE_INFINITY && minutes === Number.POSITIVE_INFINITY)
    throw new TypeError('fuzz must be told how many inputs to try, or for how many minutes');
  const mostFindings = options.mostFindings ?? DEFAULT_MOST_FINDINGS;
  checkCount('from', from, 0);
  checkLimit('inputs', inputs, 1);
  checkLimit('mostFindings', mostFindings, 1);
  if (!(minutes >= 0)) throw new RangeError(`minutes is ${minutes}; it must be a number, at least 0.`);
  const session = await FuzzSession.open(target, seed);
  const outcomes = new Map<string, number>();
  const findings: Finding[] = [];
  const begun = performance.now();
  const end = begun + minutes * 60_000;
  let done = 0;
  while (done < inputs && findings.length < mostFindings) {
    if (done % CLOCK_EVERY === 0 && performance.now() >= end) break;
    const index = from + done++;
    options.onInput?.(index);
    const attempt = session.attempt(session.input(index));
    const outcome = attempt instanceof Promise ? await attempt : attempt;
    if (typeof outcome === 'string') {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      continue;
    }
    const finding = { target: target.name, seed, index, message: session.describe(index, outcome), error: outcome };
    findings.push(finding);
    options.onFinding?.(finding);
  }
  const seconds = (performance.now() - begun) / 1000;
  return { target: target.name, seed, inputs: done, inputsPerSecond: done / seconds, outcomes, findings };
}

/** Tries one input again; what came of it, or the finding. */
export async function replay<Context>(
  target: FuzzTarget<Context>,
  seed: number,
  index: number,
): Promise<string | Error> {
  const session = await FuzzSession.open(target, seed);
  return session.attempt(session.input(index));
}

/** A target with the valid inputs of one seed. */
export class FuzzSession<Context> {
  readonly #originals: readonly Uint8Array[];

  private constructor(
    readonly target: FuzzTarget<Context>,
    readonly seed: number,
    private readonly seeds: readonly FuzzSeed<Context>[],
  ) {
    this.#originals = seeds.map(({ bytes }) => bytes);
  }

  static async open<Context>(target: FuzzTarget<Context>, seed: number): Promise<FuzzSession<Context>> {
    const seeds = await target.seeds(new Random(seed).fork(target.name));
    if (seeds.length === 0) throw new TypeError(`${target.name} has no valid inputs; there must be one to be damaged.`);
    return new FuzzSession(target, seed, seeds);
  }

  /** The input of a number. */
  input(index: number): FuzzInput<Context> {
    const random = new Random(mixed(this.seed, index));
    const origin = random.pick(this.seeds);
    const { bytes, fields = [] } = origin;
    const mutator = new Mutator(random, {
      length: bytes.length,
      fields,
      resizes: this.target.resizes,
      others: this.seeds.length,
    });
    return { origin, mutations: mutator.choose(), isRepaired: this.target.repair !== undefined && random.chance(0.5) };
  }

  /** The bytes of an input. */
  bytes({ origin, mutations, isRepaired }: FuzzInput<Context>): Uint8Array {
    const bytes = mutated(origin.bytes, mutations, this.#originals);
    if (isRepaired) this.target.repair?.(bytes, origin);
    return bytes;
  }

  /** What comes of an input; the error is a finding. A promise only if the target gives one. */
  attempt(input: FuzzInput<Context>): string | Error | Promise<string | Error> {
    try {
      const outcome = this.target.run(this.bytes(input), input.origin, input.isRepaired);
      return outcome instanceof Promise ? outcome.catch((error) => this.#judge(error)) : outcome;
    } catch (error) {
      return this.#judge(error);
    }
  }

  /** A finding in words. */
  describe(index: number, error: Error, input: Changes = this.input(index)): string {
    const { mutations, isRepaired } = input;
    const changes = mutations.map(describeMutation).join('; ');
    const how = isRepaired ? `${changes}; checksums made right` : changes;
    return `${this.target.name}, seed ${this.seed}, input ${index} (${how}): ${error.message}`;
  }

  #judge(error: unknown): string | Error {
    if (isPagewrightError(error) && this.target.refusals.has(error.code)) return `refused: ${error.code}`;
    return error instanceof Error ? error : new Error(`something else than an error was thrown: ${String(error)}`);
  }
}

/** A seed for each input, far apart for numbers that are close. */
function mixed(seed: number, index: number): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}
