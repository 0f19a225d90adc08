/**
 * Lets every I/O operation of a workload fail, once or from then on. Nothing that was acknowledged may be lost by it, a
 * failed commit must not be there if it was refused, an engine that has failed must say so and accept nothing more; and
 * when the disk is well again, after a kill or a loss of power, the store must be whole.
 */
import { isPagewrightError } from '@pagewright/core';
import { type DiskOperation, ioError, OPERATION_KINDS, type OperationKind } from '../device/operation.js';
import { type DeviceOptions, SimulatedDevice } from '../device/simulated-device.js';
import { survivalOf } from '../device/survival.js';
import { checkCount, checkFunction, checkNames, checkSeed } from '../option-check.js';
import { Random } from '../random.js';
import { Examinations } from './examinations.js';
import { lossesOf } from './losses.js';
import { WrongRead } from './reading.js';
import { OtherRun, ofTheSame, replayed } from './replayed.js';
import { type OpenOn, STORE_PATH, whatIsAnsweredWrong } from './store-check.js';
import type { Workload } from './workload.js';
import { WorkloadRun } from './workload-run.js';

/** How an operation fails. A sync that fails has lost what it should have made durable, as on Linux. */
export const FAILURES = ['EIO once', 'EIO from then on', 'ENOSPC from then on'] as const;
export type DiskFailure = (typeof FAILURES)[number];

export interface FaultFinding {
  readonly workload: Workload;
  /** Number of the operation from which on the fault was; the first that can fail by it has failed. */
  readonly operation: number;
  readonly at: string;
  readonly fault: DiskFailure;
  /** What the disk lost afterwards; null: the process was killed, and the disk kept all. */
  readonly loss: string | null;
  readonly message: string;
}

export interface FaultExploration {
  /** I/O operations of the workload if nothing fails. */
  readonly operations: number;
  /** Runs in which an operation has failed. */
  readonly faults: number;
  readonly findings: readonly FaultFinding[];
}

export interface FaultOptions {
  /** Of the losses after the fault. Default: 1. */
  readonly seed?: number;
  /** Only every so many operations fails. Default: 1. */
  readonly stride?: number;
  /** Stops after the operation that has made it so many findings. Default: 1. */
  readonly mostFindings?: number;
  /** The device that the workload runs on. Default: `{}`. */
  readonly device?: DeviceOptions;
  /** Asked before each fault: true ends the exploration where it is. Default: never. */
  readonly isOver?: () => boolean;
}

const DEFAULTS: Required<FaultOptions> = {
  seed: 1,
  stride: 1,
  mostFindings: 1,
  device: {},
  isOver: () => false,
};

/** Errors: `RangeError` and `TypeError` for options that there are not, or with which nothing would be tried. */
export class FaultExplorer {
  readonly #open: OpenOn;
  readonly #options: Required<FaultOptions>;

  constructor(open: OpenOn, options: FaultOptions = {}) {
    this.#open = open;
    checkNames('FaultExplorer', options, Object.keys(DEFAULTS));
    this.#options = { ...DEFAULTS, ...options };
    checkSeed(this.#options.seed);
    checkCount('stride', this.#options.stride, 1);
    checkCount('mostFindings', this.#options.mostFindings, 1);
    checkFunction('isOver', this.#options.isOver);
  }

  /** Lets the workload meet the faults. Rejects if it fails without one, and if the stride is so large that no operation would fail. */
  async explore(workload: Workload): Promise<FaultExploration> {
    const { seed, stride, mostFindings, isOver } = this.#options;
    const random = new Random(seed ^ workload.seed);
    const examinations = new Examinations(this.#open);
    const findings: FaultFinding[] = [];
    const operations = await this.#countOperations(workload);
    let faults = 0;
    let operation = 1 + random.below(stride);
    if (operation > operations)
      throw new RangeError(`stride is ${stride}; of the ${operations} operations of the workload none would fail.`);
    for (; operation <= operations && findings.length < mostFindings && !isOver(); operation += stride) {
      for (const fault of FAILURES) {
        const trial = new FaultTrial(this.#open, workload, operation, fault, this.#options.device);
        await trial.run();
        if (trial.at === null) continue;
        faults++;
        const losses = [null, random.pick(lossesOf(trial.device.copy(), random, { exhaustive: 2, samples: 4 }))];
        for (const loss of losses) {
          const message = await trial.whatIsWrong(loss, examinations);
          if (message !== null) findings.push({ workload, operation, at: trial.at, fault, loss, message });
        }
      }
    }
    return { operations, faults, findings };
  }

  async #countOperations(workload: Workload): Promise<number> {
    const device = new SimulatedDevice(this.#options.device);
    const run = new WorkloadRun(() => this.#open(device, STORE_PATH));
    // For whoever can tell by it that this is the workload, and no store after it.
    device.onOperation = () => undefined;
    await run.run(workload);
    return device.operations;
  }

  /** Does a finding once more: what it shows now, or null if it is gone. Where the clock has a part in what the workload does it is run up to twenty times. Throws if no run comes so far, or to that state. */
  async replay(finding: FaultFinding): Promise<FaultFinding | null> {
    return replayed(() => this.#again(finding));
  }

  async #again(finding: FaultFinding): Promise<FaultFinding | null> {
    const { workload, operation, fault, loss } = finding;
    const trial = new FaultTrial(this.#open, workload, operation, fault, this.#options.device);
    await trial.run();
    if (trial.at === null) throw new OtherRun(`No operation from ${operation} on fails by now: explore it again.`);
    const message = await trial.whatIsWrong(loss, new Examinations(this.#open));
    return ofTheSame(finding.at, trial.at, message === null ? null : { ...finding, at: trial.at, message });
  }
}

class FaultTrial {
  readonly device: SimulatedDevice;
  /** The operation that failed first; null if none has: there is none from that number on that can fail so. */
  at: string | null = null;
  readonly #run: WorkloadRun;
  #wrong: string | null = null;

  constructor(
    readonly open: OpenOn,
    readonly workload: Workload,
    readonly operation: number,
    readonly fault: DiskFailure,
    options: DeviceOptions,
  ) {
    this.device = new SimulatedDevice(options);
    this.#run = new WorkloadRun(() => open(this.device, STORE_PATH));
  }

  /** Runs the workload into the fault, and closes what is left of the store. */
  async run(): Promise<void> {
    this.device.onOperation = (operation) => this.#failIfDue(operation);
    try {
      await this.#run.run(this.workload);
    } catch (error) {
      if (error instanceof WrongRead) this.#wrong = error.message;
      else if (!isPagewrightError(error)) {
        this.#wrong = `it threw what is no PagewrightError: ${error instanceof Error ? error.stack : String(error)}`;
      }
    }
    await this.#checkFailed();
    await this.#run.abandon();
    this.device.onOperation = null;
  }

  async whatIsWrong(loss: string | null, examinations: Examinations): Promise<string | null> {
    if (this.#wrong !== null) return this.#wrong;
    const device = this.device.copy();
    const after = loss === null ? device.afterKill() : device.afterCrash(survivalOf(loss, device));
    return examinations.whatIsWrong(this.#run, this.#run.mark(), after);
  }

  /** An engine that does not say `open` accepts nothing. Unless it has failed it goes on answering reads, rightly, when the disk is well again. */
  async #checkFailed(): Promise<void> {
    const engine = this.#run.engine;
    if (engine === null || this.#wrong !== null) return;
    if (engine.state !== 'open') {
      const refused = await engine.index('refused', { key: 'utf8', value: 'buffer' }).then(
        () => null,
        (error: unknown) => error,
      );
      if (!isPagewrightError(refused)) this.#wrong = `an engine that is ${engine.state} made an index`;
    }
    if (this.#wrong !== null || (engine.state !== 'open' && engine.state !== 'read-only')) return;
    const fail = this.device.onOperation;
    this.device.onOperation = null;
    const wrong = await whatIsAnsweredWrong(this.#run);
    this.device.onOperation = fail;
    if (wrong !== null) this.#wrong = `an engine that is ${engine.state} after the fault: ${wrong}`;
  }

  #failIfDue({ number, kind, path }: DiskOperation): void {
    if (number < this.operation || !FAILING[this.fault].has(kind)) return;
    if (number > this.operation && this.fault === 'EIO once') return;
    this.at ??= `${kind} ${path}`;
    if (kind === 'sync' || kind === 'write-back') this.device.failWriteBack(path);
    throw ioError(this.fault.startsWith('ENOSPC') ? 'ENOSPC' : 'EIO', path);
  }
}

const ALL: ReadonlySet<OperationKind> = new Set(OPERATION_KINDS);
const FAILING: { readonly [Name in DiskFailure]: ReadonlySet<OperationKind> } = {
  'EIO once': ALL,
  'EIO from then on': ALL,
  'ENOSPC from then on': new Set<OperationKind>(['allocate', 'make-directory', 'truncate']),
};
