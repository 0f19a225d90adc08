/**
 * A campaign: rounds of an index and of a whole engine by turns, each with a seed of its own that tells all about it. A
 * failing round is made smaller, and reported with what it takes to run it again.
 */
import { POINT, POINT_NAMES } from '@pagewright/core';
import { checkCount, checkFunction, checkNames } from '../option-check.js';
import { Random } from '../random.js';
import { type Lists, shrink } from '../shrink.js';
import { ScheduleCoverage } from './coverage.js';
import {
  type EngineOperation,
  engineOperations,
  type IntruderOperation,
  intruderOperations,
} from './engine-operations.js';
import { type EngineSubject, filledStore, runEngineRound } from './engine-round.js';
import { policyFor } from './pause-policy.js';
import { type TreeOperation, treeOperations } from './tree-operations.js';
import { runTreeRound } from './tree-round.js';
import { filledTree, type TreeSubject } from './tree-store.js';

/** What is tested; what is left out has no rounds. */
export interface ScheduleSubject {
  readonly index?: TreeSubject;
  readonly engine?: EngineSubject;
}

export interface ScheduleOptions {
  /** Of the first round; each next one has the next. */
  readonly seed: number;
  /** Asked before each round, with how many there were. */
  readonly goesOn: (rounds: number) => boolean;
  readonly coverage?: ScheduleCoverage;
  /** Told after each round. */
  readonly onRound?: (rounds: number) => void;
  /** Runs that may be spent on making a failing round smaller. Default: 120. */
  readonly shrinkBudget?: number;
}

export interface ScheduleSummary {
  readonly rounds: number;
  readonly seed: number;
  readonly coverage: ScheduleCoverage;
  /** Null if all went well. */
  readonly failure: ScheduleFailure | null;
}

/** A round went wrong. The message has its kind, its seed, and what was left of it. */
export class ScheduleFailure extends Error {
  constructor(
    readonly kind: RoundKind,
    readonly seed: number,
    cause: unknown,
    readonly operations: string,
  ) {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`${kind} round of seed ${seed}: ${what}\nAs small as it got:\n${operations}`, { cause });
    this.name = 'ScheduleFailure';
  }
}

export type RoundKind = 'index' | 'engine';

const INDEX_ACTORS = 3;
const INDEX_OPERATIONS = 30;
const INDEX_INTRUDERS = 350;
const ENGINE_ACTORS = 5;
const ENGINE_OPERATIONS = 20;
const ENGINE_INTRUDERS = 200;
/** Points that a round reaches, about. */
const INDEX_STEPS = 10_000;
const ENGINE_STEPS = 12_000;
const SHRINK_BUDGET = 120;
/** Operations of one actor that a report gives. */
const MOST_REPORTED = 40;

/** A round, and how to run it with some of its operations. */
interface Round {
  readonly kind: RoundKind;
  readonly lists: Lists<unknown>;
  run(lists: Lists<unknown>, coverage: ScheduleCoverage): Promise<number>;
}

/** Runs rounds until `goesOn` says no, or one fails. Errors: `RangeError` and `TypeError` for options, and for a subject with nothing to test. */
export async function runSchedules(subject: ScheduleSubject, options: ScheduleOptions): Promise<ScheduleSummary> {
  const { seed, goesOn, onRound, coverage = new ScheduleCoverage(), shrinkBudget = SHRINK_BUDGET } = options;
  checkNames('The subject of schedules', subject, ['index', 'engine']);
  if (subject.index === undefined && subject.engine === undefined)
    throw new TypeError('Schedules are run on an index, on an engine, or on both: the subject has neither.');
  checkFunction('goesOn', goesOn);
  checkCount('shrinkBudget', shrinkBudget, 0);
  const rounds = await roundsOf(subject);
  let count = 0;
  for (; goesOn(count); count++) {
    const round = rounds(seed + count);
    if (round.kind === 'index') coverage.indexRounds++;
    try {
      await round.run(round.lists, coverage);
    } catch (error) {
      const failure = await shrunk(round, seed + count, error, shrinkBudget);
      return { rounds: count + 1, seed, coverage, failure };
    }
    onRound?.(count + 1);
  }
  return { rounds: count, seed, coverage, failure: null };
}

/** Makes rounds by their seeds, and fills what they begin with once. */
async function roundsOf({ index, engine }: ScheduleSubject): Promise<(seed: number) => Round> {
  const tree = index === undefined ? null : await filledTree(index);
  const store = engine === undefined ? null : await filledStore(engine);
  const indexRound = (seed: number): Round => {
    const random = new Random(seed);
    const scripts = Array.from({ length: INDEX_ACTORS }, () => treeOperations(random, INDEX_OPERATIONS, true));
    return {
      kind: 'index',
      lists: [...scripts, treeOperations(random, INDEX_INTRUDERS, false)],
      run: (lists, coverage) => {
        const all = lists as Lists<TreeOperation>;
        const policy = (from: Random) => policyFor(seed, from, INDEX_STEPS, POINTS_OF_INDEX);
        const plan = { seed, scripts: all.slice(0, -1), intruders: all[all.length - 1] ?? [], policy };
        return runTreeRound(index as TreeSubject, tree as NonNullable<typeof tree>, plan, coverage);
      },
    };
  };
  const engineRound = (seed: number): Round => {
    const random = new Random(seed);
    const scripts = Array.from({ length: ENGINE_ACTORS }, () => engineOperations(random, ENGINE_OPERATIONS));
    return {
      kind: 'engine',
      lists: [...scripts, intruderOperations(random, ENGINE_INTRUDERS)],
      run: (lists, coverage) => {
        const scripts = lists.slice(0, -1) as Lists<EngineOperation>;
        const intruders = (lists[lists.length - 1] ?? []) as readonly IntruderOperation[];
        const policy = (from: Random) => policyFor(seed, from, ENGINE_STEPS, POINTS_OF_ENGINE);
        return runEngineRound(
          engine as EngineSubject,
          store as NonNullable<typeof store>,
          { seed, scripts, intruders, policy },
          coverage,
        );
      },
    };
  };
  return (seed) => {
    if (index === undefined || engine === undefined) return index === undefined ? engineRound(seed) : indexRound(seed);
    return seed % 2 === 0 ? indexRound(seed) : engineRound(seed);
  };
}

async function shrunk(round: Round, seed: number, error: unknown, budget: number): Promise<ScheduleFailure> {
  let cause = error;
  const fails = async (lists: Lists<unknown>): Promise<boolean> => {
    try {
      await round.run(lists, new ScheduleCoverage());
      return false;
    } catch (other) {
      cause = other;
      return true;
    }
  };
  const lists = await shrink(round.lists, fails, budget);
  const lines = lists.map((list, at) => {
    const who = at === lists.length - 1 ? 'others' : `actor ${at + 1}`;
    const shown = list.slice(0, MOST_REPORTED).map((operation) => JSON.stringify(operation));
    if (list.length > MOST_REPORTED) shown.push(`and ${list.length - MOST_REPORTED} more`);
    return `${who}: ${list.length === 0 ? 'nothing' : shown.join(' ')}`;
  });
  return new ScheduleFailure(round.kind, seed, cause, lines.join('\n'));
}

const POINTS_OF_INDEX = POINT_NAMES.map((_, point) => point).filter((point) => point <= POINT.cursorCopied);
const POINTS_OF_ENGINE = POINT_NAMES.map((_, point) => point).filter(
  (point) =>
    point === POINT.loadArrived ||
    (point >= POINT.checkpointAsked && point <= POINT.spaceRecycled) ||
    point >= POINT.snapshotOpened,
);
