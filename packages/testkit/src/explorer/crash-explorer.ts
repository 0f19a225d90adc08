/**
 * Crashes a store everywhere. A workload runs on a simulated device; before each of its I/O operations the device is
 * copied, as it would be if the power went at that instant. Each copy loses what was not synced in every way, or in many,
 * and is opened: what was acknowledged must be there, each entry whole, in order; the store must verify and take writes; and
 * a crash during its recovery, at any operation, must be survived as well.
 */
import { type DeviceOptions, SimulatedDevice } from '../device/simulated-device.js';
import { survivalOf } from '../device/survival.js';
import { checkCount, checkFunction, checkNames, checkSeed, checkShare } from '../option-check.js';
import { Random } from '../random.js';
import { shrink } from '../shrink.js';
import { Examinations } from './examinations.js';
import { type LossChoice, lossesOf } from './losses.js';
import { OtherRun, ofTheSame, replayed } from './replayed.js';
import type { RunMark } from './run-mark.js';
import { type OpenOn, STORE_PATH } from './store-check.js';
import type { Workload } from './workload.js';
import { WorkloadRun } from './workload-run.js';

export interface ExplorerOptions {
  /** Of the choices: which losses of many, where recovery is cut off. Default: 1. */
  readonly seed?: number;
  /** Which losses are tried. Default: every subset of up to 5 parts, else 6 samples besides all and nothing. */
  readonly losses?: LossChoice;
  /** Share of the crashes after which recovery is cut off as well, from 0 to 1. Default: 0.1. */
  readonly recrash?: number;
  /** Crash points whose copies are in memory at a time; the workload runs again for the next ones. Default: 64. */
  readonly window?: number;
  /** Only every so many operations is a crash point. Default: 1. */
  readonly stride?: number;
  /** Stops after so many findings. Default: 1. */
  readonly mostFindings?: number;
  /** The device that the workload runs on: with a `schedule`, what is in flight overtakes what was issued before. Default: `{}`. */
  readonly device?: DeviceOptions;
  /** Asked before each crash: true ends the exploration where it is. Default: never. */
  readonly isOver?: () => boolean;
}

/** A crash after which the store was not as it must be. `CrashExplorer.replay` does it again. */
export interface CrashFinding {
  readonly workload: Workload;
  /** Number of the operation before which the power went, counted from 1. */
  readonly operation: number;
  /** What that operation was. */
  readonly at: string;
  readonly loss: string;
  /** The operation of the recovery before which the power went once more, and that loss. */
  readonly recrash: { readonly operation: number; readonly loss: string } | null;
  readonly message: string;
}

export interface CrashExploration {
  /** I/O operations of the workload. */
  readonly operations: number;
  readonly commits: number;
  /** Crashes after which the store was looked at, second ones included. */
  readonly crashes: number;
  /** How many different devices they left. Each was opened once. */
  readonly devices: number;
  readonly recrashes: number;
  readonly findings: readonly CrashFinding[];
}

interface CrashPoint {
  readonly operation: number;
  readonly at: string;
  readonly device: SimulatedDevice;
  readonly mark: RunMark;
}

const DEFAULTS: Required<ExplorerOptions> = {
  seed: 1,
  losses: { exhaustive: 5, samples: 6 },
  recrash: 0.1,
  window: 64,
  stride: 1,
  mostFindings: 1,
  device: {},
  isOver: () => false,
};

/** Errors: `RangeError` and `TypeError` for options that there are not, or with which nothing would be tried. */
export class CrashExplorer {
  readonly #open: OpenOn;
  readonly #options: Required<ExplorerOptions>;
  #crashes = 0;
  #recrashes = 0;
  #examinations: Examinations;

  constructor(open: OpenOn, options: ExplorerOptions = {}) {
    this.#open = open;
    this.#examinations = new Examinations(open);
    checkNames('CrashExplorer', options, Object.keys(DEFAULTS));
    this.#options = { ...DEFAULTS, ...options };
    const { seed, losses, recrash, window, stride, mostFindings, isOver } = this.#options;
    checkSeed(seed);
    checkNames('losses', losses, ['exhaustive', 'samples']);
    checkCount('losses.exhaustive', losses.exhaustive, 0);
    checkCount('losses.samples', losses.samples, 0);
    checkShare('recrash', recrash);
    checkCount('window', window, 1);
    checkCount('stride', stride, 1);
    checkCount('mostFindings', mostFindings, 1);
    checkFunction('isOver', isOver);
  }

  /** Crashes the workload at every operation. Rejects if the workload fails without a crash. */
  async explore(workload: Workload): Promise<CrashExploration> {
    const { window, stride, mostFindings, seed, isOver } = this.#options;
    const random = new Random(seed ^ workload.seed);
    const findings: CrashFinding[] = [];
    let operations = Number.POSITIVE_INFINITY;
    let commits = 0;
    this.#crashes = this.#recrashes = 0;
    this.#examinations = new Examinations(this.#open);
    const isDone = () => findings.length >= mostFindings || isOver();
    for (let from = 1; from <= operations && !isDone(); from += window * stride) {
      const run = await this.#capture(workload, (number) => {
        return number >= from && number < from + window * stride && (number - from) % stride === 0;
      });
      operations = run.operations;
      commits = run.run.commits;
      for (const point of run.points) {
        for (const loss of lossesOf(point.device, random, this.#options.losses)) {
          const finding = await this.#crash(workload, run.run, point, loss, random);
          if (finding !== null) findings.push(finding);
          if (isDone()) break;
        }
        if (isDone()) break;
      }
    }
    const devices = this.#examinations.count;
    return { operations, commits, crashes: this.#crashes, recrashes: this.#recrashes, devices, findings };
  }

  /**
   * Does the crash of a finding once more: what it shows now, or null if it is gone. That holds for as long as the workload
   * makes the same I/O operations in the same order; where the clock has a part in them it is run up to twenty times. Throws if no run has as many, or comes to that state.
   */
  async replay(finding: CrashFinding): Promise<CrashFinding | null> {
    this.#examinations = new Examinations(this.#open);
    return replayed(() => this.#again(finding));
  }

  async #again({ workload, operation, at, loss, recrash }: CrashFinding): Promise<CrashFinding | null> {
    const { run, points, operations } = await this.#capture(workload, (number) => number === operation);
    const [point] = points;
    if (point === undefined) throw new OtherRun(`The workload has ${operations} operations by now: explore it again.`);
    if (recrash === null) return ofTheSame(at, point.at, await this.#examine(workload, run, point, loss));
    const recovery = await this.#captureRecovery(point.device.afterCrash(survivalOf(loss, point.device)));
    const second = recovery.find((again) => again.operation === recrash.operation);
    if (second === undefined)
      throw new OtherRun(`Recovery has ${recovery.length} operations by now: explore it again.`);
    return ofTheSame(at, point.at, await this.#examineAgain(workload, run, point, loss, second, recrash.loss));
  }

  /** The finding with as few steps as are found to do in so many explorations; the one that was given, if none does with fewer. */
  async shrink(finding: CrashFinding, mostTries = 60): Promise<CrashFinding> {
    let smallest = finding;
    await shrink(
      [finding.workload.steps],
      async ([steps = []]) => {
        const { findings } = await this.explore({ ...finding.workload, steps }).catch(() => ({ findings: [] }));
        const [found] = findings;
        if (found !== undefined) smallest = found;
        return found !== undefined;
      },
      mostTries,
    );
    return smallest;
  }

  /** Runs the workload to its end, and keeps the crash points that are wanted. */
  async #capture(
    workload: Workload,
    isWanted: (operation: number) => boolean,
  ): Promise<{ run: WorkloadRun; points: CrashPoint[]; operations: number }> {
    const device = new SimulatedDevice(this.#options.device);
    const run = new WorkloadRun(() => this.#open(device, STORE_PATH));
    const points: CrashPoint[] = [];
    const keep = (operation: number, at: string) => {
      if (isWanted(operation)) points.push({ operation, at, device: device.copy(), mark: run.mark() });
    };
    device.onOperation = ({ number, kind, path }) => keep(number, `${kind} ${path}`);
    await run.run(workload);
    device.onOperation = null;
    if (run.mark().backups.some(({ outcome }) => outcome === 'failed'))
      throw new Error('A backup failed on a sound disk.');
    keep(device.operations + 1, 'the end');
    return { run, points, operations: device.operations + 1 };
  }

  async #crash(
    workload: Workload,
    run: WorkloadRun,
    point: CrashPoint,
    loss: string,
    random: Random,
  ): Promise<CrashFinding | null> {
    const finding = await this.#examine(workload, run, point, loss);
    if (finding !== null || !random.chance(this.#options.recrash)) return finding;
    for (const again of await this.#captureRecovery(point.device.afterCrash(survivalOf(loss, point.device)))) {
      for (const second of lossesOf(again.device, random, { exhaustive: 2, samples: 1 })) {
        this.#recrashes++;
        const found = await this.#examineAgain(workload, run, point, loss, again, second);
        if (found !== null) return found;
      }
    }
    return null;
  }

  async #examine(workload: Workload, run: WorkloadRun, point: CrashPoint, loss: string): Promise<CrashFinding | null> {
    this.#crashes++;
    const after = point.device.afterCrash(survivalOf(loss, point.device));
    const message = await this.#examinations.whatIsWrong(run, point.mark, after);
    const { operation, at } = point;
    return message === null ? null : { workload, operation, at, loss, recrash: null, message };
  }

  async #examineAgain(
    workload: Workload,
    run: WorkloadRun,
    { operation, at, mark }: CrashPoint,
    loss: string,
    again: CrashPoint,
    second: string,
  ): Promise<CrashFinding | null> {
    this.#crashes++;
    const after = again.device.afterCrash(survivalOf(second, again.device));
    const message = await this.#examinations.whatIsWrong(run, mark, after);
    const recrash = { operation: again.operation, loss: second };
    return message === null ? null : { workload, operation, at, loss, recrash, message };
  }

  /** The crash points of opening a store, of what is synced by it, and of closing it. */
  async #captureRecovery(device: SimulatedDevice): Promise<CrashPoint[]> {
    const points: CrashPoint[] = [];
    const nothing = { asked: 0, promised: 0, acknowledged: [] };
    device.onOperation = ({ number, kind, path }) => {
      const at = `recovery: ${kind} ${path}`;
      points.push({
        operation: number,
        at,
        device: device.copy(),
        mark: { ordered: nothing, inPlace: nothing, backups: [] },
      });
    };
    const engine = await this.#open(device, STORE_PATH);
    await engine.close();
    return points;
  }
}
