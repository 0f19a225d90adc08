/** What others do while an operation of an engine round stands at a schedule point. All of it is synchronous. */
import { CheckedSnapshot } from './checked-snapshot.js';
import { incrementNow, type OpenEngine, transferNow } from './engine-actors.js';
import { checkStable, contentOf, type Handle, intrudersKey, pair, register } from './engine-keys.js';
import type { IntruderOperation } from './engine-operations.js';
import type { EngineOutcomes } from './engine-outcomes.js';

/** Snapshots that intruders hold at a time. */
const MOST_SNAPSHOTS = 6;

export class EngineIntruders {
  readonly #held: CheckedSnapshot[] = [];

  constructor(
    private readonly open: OpenEngine,
    private readonly main: Handle,
    private readonly outcomes: EngineOutcomes,
  ) {}

  /** What changes nothing that a commit is about, and may go on in its midst. */
  intrudeQuietly(operation: IntruderOperation): void {
    this.#expecting(() => this.#quietly(operation));
  }

  /** Writes of keys that only intruders write, and what is quiet. */
  intrudeAside(operation: IntruderOperation): void {
    const { kind, key, size } = operation;
    this.#expecting(() => {
      if (kind === 'put') this.#put(intrudersKey(key), size);
      else if (kind === 'delete') this.#delete(intrudersKey(key));
      else this.#quietly(operation);
    });
  }

  /** Anything. */
  intrude(operation: IntruderOperation): void {
    const { kind, key, size } = operation;
    const { engine } = this.open;
    const name = key % 2 === 0 ? intrudersKey(key) : register(key);
    this.#expecting(() => {
      if (kind === 'snapshot' && this.#held.length < MOST_SNAPSHOTS)
        this.#held.push(new CheckedSnapshot(engine, this.main, this.outcomes.history));
      else if (kind === 'put') this.#put(name, size);
      else if (kind === 'delete') this.#delete(name);
      else if (kind === 'transfer') transferNow(engine, this.main, key);
      else if (kind === 'increment') incrementNow(engine, this.main, key, this.outcomes);
      else if (kind === 'pair') this.#pair(key, size);
      else this.#quietly(operation);
    });
  }

  releaseAll(): void {
    for (const held of this.#held.splice(0)) held.release();
  }

  #quietly({ kind, key }: IntruderOperation): void {
    const at = key % Math.max(1, this.#held.length);
    const held = this.#held[at];
    if (kind === 'release' && held !== undefined && key % 2 === 0) {
      this.#held.splice(at, 1);
      held.release();
    } else if (kind === 'collect') this.open.concurrency.collect(1 + (key % 40));
    else if (held !== undefined && kind !== 'get') held.show();
    else if (kind === 'scan') checkStable([...this.main.rangeSync({ gte: 's', lt: 't' })].map(([name]) => name));
    else this.#get(key % 3 === 0 ? intrudersKey(key) : register(key));
  }

  #get(key: string): void {
    const { history } = this.outcomes;
    const start = history.now();
    history.read(key, this.main.getSync(key)?.id ?? null, start);
  }

  #put(key: string, size: number): void {
    const write = this.outcomes.begin(key, false);
    this.outcomes.writingNow([write], () => this.main.putSync(key, contentOf(write[1], size)));
  }

  #delete(key: string): void {
    const write = this.outcomes.begin(key, true);
    this.outcomes.writingNow([write], () => this.main.deleteSync(key));
  }

  #pair(number: number, size: number): void {
    const writes = this.outcomes.beginTogether([pair(number, 0), pair(number, 1)], false);
    this.outcomes.writingNow(writes, () =>
      this.open.engine.transactionSync((tx) => {
        for (const [name, write] of writes) tx.put(this.main, name, contentOf(write, size));
      }),
    );
  }

  /** Whether the store faults is a matter of the thread that it is asked by. */
  #expecting(operation: () => void): void {
    const { pages } = this.open;
    const { faulting } = pages;
    pages.faulting = false;
    try {
      operation();
    } catch (error) {
      if (!this.outcomes.isExpected(error)) throw error;
    } finally {
      pages.faulting = faulting;
    }
  }
}
