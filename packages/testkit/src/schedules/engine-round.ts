/**
 * One round of a whole engine: actors whose asynchronous operations overlap, I/O that ends in an order chosen by seed, and
 * synchronous operations of others where the engine stands at schedule points. In the end it is closed, also while
 * operations are under way, or killed, or loses power, and is opened again: what was acknowledged is there.
 */
import { type IoBackend, POINT } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import { ControlledLoop } from './controlled-loop.js';
import type { ScheduleCoverage } from './coverage.js';
import { EngineActors, type OpenEngine } from './engine-actors.js';
import { EngineIntruders } from './engine-intruders.js';
import {
  accounts,
  type Content,
  checkWhole,
  type Handle,
  MAIN,
  register,
  SIDE,
  stable,
  witness,
} from './engine-keys.js';
import { BALANCE, type EngineOperation, type IntruderOperation, STABLE, WITNESSES } from './engine-operations.js';
import { EngineOutcomes } from './engine-outcomes.js';
import type { PausePolicy } from './pause-policy.js';
import { StressDriver } from './stress-driver.js';

export type { OpenEngine } from './engine-actors.js';

/** What a round tests. */
export interface EngineSubject {
  /**
   * An engine of little memory, in every respect, so that pages are evicted, log segments recycled, and snapshots revoked
   * if `fewVersions` asks for it.
   */
  openEngine(io: IoBackend, path: string, options: { readonly fewVersions: boolean }): Promise<OpenEngine>;
}

export interface EnginePlan {
  readonly seed: number;
  readonly scripts: readonly (readonly EngineOperation[])[];
  readonly intruders: readonly IntruderOperation[];
  readonly policy: (random: Random) => PausePolicy;
}

const PATH = '/store/schedules.pw';
const ENDS = ['close', 'close', 'close-early', 'crash', 'kill'] as const;

/** A store that was killed with tombstones in it, so that rounds need not fill one each. */
export async function filledStore(subject: EngineSubject): Promise<SimulatedDevice> {
  const device = new SimulatedDevice();
  const { engine } = await subject.openEngine(device, PATH, { fewVersions: false });
  const main: Handle = await engine.index<string, Content>(MAIN);
  await engine.index(SIDE);
  const padding = 'x'.repeat(300);
  const put = (key: string, count: number) => ({ type: 'put' as const, key, value: { id: 0, count, padding } });
  await main.batch([
    ...Array.from({ length: STABLE }, (_, number) => put(stable(number), number)),
    ...Array.from({ length: WITNESSES }, (_, number) => put(witness(number), number)),
    ...accounts().map((key) => put(key, BALANCE)),
  ]);
  engine.snapshot();
  for (let number = 0; number < WITNESSES; number++) await main.delete(witness(number));
  await engine.checkpoint();
  const after = device.afterKill();
  await engine.close().catch(() => undefined);
  return after;
}

/** Runs a round; throws what it finds to be wrong. Answers a number that tells which way it went. */
export async function runEngineRound(
  subject: EngineSubject,
  filled: SimulatedDevice,
  plan: EnginePlan,
  coverage: ScheduleCoverage,
): Promise<number> {
  const loop = new ControlledLoop(new Random(plan.seed).fork('loop'));
  return loop.run(() => new EngineRound(subject, filled.copy(), plan, loop, coverage).run());
}

class EngineRound {
  readonly #random: Random;
  readonly #driver: StressDriver;
  readonly #outcomes = new EngineOutcomes();
  /** Null while no engine is open for them. */
  #intruders: EngineIntruders | null = null;
  /** Depths at which a commit has begun and is not published. */
  readonly #committing = new Set<number>();
  /** Depths at which a transaction has been checked for conflicts, and was not committed yet. */
  readonly #checked = new Set<number>();

  constructor(
    private readonly subject: EngineSubject,
    private device: SimulatedDevice,
    private readonly plan: EnginePlan,
    private readonly loop: ControlledLoop,
    coverage: ScheduleCoverage,
  ) {
    this.#random = new Random(plan.seed);
    let next = 0;
    this.#driver = new StressDriver(
      plan.policy(this.#random.fork('policy')),
      coverage,
      (point) => {
        const operation = plan.intruders[next];
        if (operation === undefined || this.#intruders === null || !this.#mayIntrude(point)) return false;
        next++;
        this.#intrude(this.#intruders, operation);
        return true;
      },
      (point) => this.#note(point),
    );
  }

  async run(): Promise<number> {
    const options = { fewVersions: this.#random.chance(0.25) };
    this.device.hold = this.loop.hold;
    this.#driver.install();
    try {
      const open = await this.subject.openEngine(this.device, PATH, options);
      await this.#act(open);
      // What went wrong while an operation stood at a point counts before what came of it.
      if (this.#driver.failure !== null) throw this.#driver.failure;
      this.#intruders = null;
      const again = await this.subject.openEngine(this.device, PATH, options);
      await this.#checkWhole(again);
      await again.engine.close();
    } catch (error) {
      throw this.#driver.failure ?? error;
    } finally {
      this.#driver.remove();
    }
    return this.#driver.trace;
  }

  async #act(open: OpenEngine): Promise<void> {
    const { engine } = open;
    const main = await engine.index<string, Content>(MAIN);
    const side = await engine.index<string, Content>(SIDE);
    const actors = new EngineActors(engine, main, side, this.loop, this.#outcomes);
    const intruders = new EngineIntruders(open, main, this.#outcomes);
    this.#intruders = intruders;
    const end = this.#random.pick(ENDS);
    let isOver = false;
    const play = async (script: readonly EngineOperation[]): Promise<void> => {
      for (const operation of script) {
        await this.loop.turn();
        if (isOver || this.#driver.failure !== null) return;
        await actors.perform(operation);
      }
    };
    const playing = Promise.all(this.plan.scripts.map(play));
    if (end !== 'close') {
      playing.catch(() => undefined); // awaited below
      for (let turns = this.#random.below(120); turns > 0; turns--) await this.loop.turn();
      isOver = true;
      this.#outcomes.end = end === 'close-early' ? 'closing' : 'lost';
    }
    if (end === 'crash') this.device = this.device.afterCrash(keepSome(this.plan.seed, this.#random.pick([0, 0.5, 1])));
    if (end === 'kill') this.device = this.device.afterKill();
    this.device.hold = this.loop.hold;
    const closing = end === 'close' ? null : engine.close();
    closing?.catch(() => undefined);
    await playing;
    if (end === 'crash' || end === 'kill') {
      await closing?.catch(() => undefined);
      this.#outcomes.history.forgetReads();
      return;
    }
    this.#outcomes.end = 'closing';
    intruders.releaseAll();
    await (closing ?? engine.close());
  }

  /** What is there when the store is opened again: all that was acknowledged, and nothing that nobody wrote. */
  async #checkWhole({ engine }: OpenEngine): Promise<void> {
    const main = await engine.index<string, Content>(MAIN);
    const side = await engine.index<string, Content>(SIDE);
    const { history, increments } = this.#outcomes;
    const start = history.now();
    const contents = new Map<string, Content>();
    for await (const [key, content] of main.range()) contents.set(key, content);
    const ofSide = new Map<string, Content>();
    for await (const [key, content] of side.range()) ofSide.set(key, content);
    for (const key of history.keys()) {
      const content = (key.startsWith('t') ? ofSide : contents).get(key);
      history.read(key, content?.id ?? null, start);
    }
    history.check();
    checkWhole(contents, 'The store, opened again,');
    for (const [key, { certain, uncertain }] of increments) {
      const count = contents.get(key)?.count ?? 0;
      if (count < certain || count > certain + uncertain)
        throw new Error(`${key} counts ${count} of ${certain} increments, and ${uncertain} of which nobody knows`);
    }
    const reversed: string[] = [];
    for (const [key] of main.rangeSync({ reverse: true })) reversed.push(key);
    if (reversed.reverse().join() !== [...contents.keys()].join()) throw new Error('A range differs from its reverse');
    for (let number = 0; number < STABLE; number++) {
      if (contents.get(stable(number))?.count !== number)
        throw new Error(`${stable(number)} is lost, and never changed`);
      if (number < WITNESSES && contents.has(witness(number))) throw new Error(`${witness(number)} is back`);
    }
    if (
      (await main.count({ gte: register(0), lt: 's' })) !==
      [...contents.keys()].filter((key) => key >= 'r' && key < 's').length
    )
      throw new Error('A count differs from its range');
  }

  // ── What may go on at a point ───────────────────────────────────────────────────────────────────────────────

  #note(point: number): void {
    const { depth } = this.#driver;
    if (point === POINT.transactionChecked) this.#checked.add(depth);
    else if (point === POINT.commitBegun) {
      this.#checked.delete(depth);
      this.#committing.add(depth);
    } else if (point === POINT.commitPublished || point === POINT.commitEnded) this.#committing.delete(depth);
  }

  /**
   * Where an index, or the page store under it, is at work nothing may: all indexes of a type share the memory that one
   * thread works in. Rounds of an index go on there.
   */
  #mayIntrude(point: number): boolean {
    if (point === POINT.loadArrived) return true;
    return (point >= POINT.checkpointAsked && point <= POINT.spaceRecycled) || point >= POINT.snapshotOpened;
  }

  /**
   * A commit is one step, and takes no other between; so does a snapshot begin before or after it. What a transaction has
   * checked nobody else may write until it is committed: with several threads, its keys are locked.
   */
  #intrude(intruders: EngineIntruders, operation: IntruderOperation): void {
    if (this.#committing.size > 0) intruders.intrudeQuietly(operation);
    else if (this.#checked.size > 0) intruders.intrudeAside(operation);
    else intruders.intrude(operation);
  }
}
