/**
 * Drives a tree of pages at random beside its model, and remembers the model as it was at each gate: what a store that is opened
 * later must hold.
 */
import { type CheckpointResult, NO_LOG, type PageStore } from '@pagewright/core';
import { Random } from '../random.js';
import { copyOfModel, newModel, type PageModel, PageTree } from './page-tree.js';

/** Deeper than this nothing is added. */
const DEEPEST = 5;

export class PageTreeDriver {
  readonly tree: PageTree;
  /** What the tree holds now. */
  model: PageModel | null = null;
  /** What the last checkpoint holds that was reported. */
  durable: PageModel | null = null;
  /** What checkpoints hold that have passed their gate and were not reported yet. */
  readonly possible: (PageModel | null)[] = [];
  #next = 1;
  /** After which batches something is brought to the device. By itself, so that the tree is the same whatever a store asks for. */
  readonly #making = new Random(1);

  constructor(
    readonly pages: PageStore,
    readonly random: Random,
  ) {
    this.tree = new PageTree(pages);
  }

  /** Goes on with a store that was opened again and holds this. */
  resume(model: PageModel | null, timestamp: number): void {
    this.model = copyOfModel(model);
    this.durable = model;
    this.tree.timestamp = timestamp;
    this.#next = 1_000_000;
  }

  run(steps: number): this {
    for (let step = 0; step < steps; step++) this.step();
    return this;
  }

  /** One change, or one check of everything. */
  step(): void {
    if (this.model === null) {
      this.tree.plant(this.#next);
      this.model = newModel(this.#next++);
      return;
    }
    const { random, tree } = this;
    const { path, node } = this.#somewhere();
    const slot = random.below(tree.fanout);
    const child = node.children[slot] ?? null;
    const choice = random.fraction();
    if (choice < 0.45) this.#insert(path, node, slot);
    else if (choice < 0.75) {
      tree.change(path, this.#next);
      node.number = this.#next++;
    } else if (child === null) return;
    else if (choice < 0.8) {
      tree.remove(path, slot);
      node.children[slot] = null;
    } else if (choice < 0.87) {
      if (child.children.some((grandchild) => grandchild !== null)) return;
      tree.discardLeaf(path, slot);
      node.children[slot] = null;
    } else if (choice < 0.98) this.#move(path, node, slot, child);
    else tree.check(this.model);
  }

  async checkpoint(): Promise<CheckpointResult> {
    let atGate: PageModel | null = null;
    const result = await this.pages.checkpoint({
      gate: () => {
        atGate = copyOfModel(this.model);
        this.possible.push(atGate);
        return { timestamp: this.tree.timestamp, log: NO_LOG };
      },
      secureLog: async () => {},
      advanced: async (_, bringOut) => {
        if (this.#making.chance(0.5)) await bringOut();
      },
    });
    this.durable = atGate;
    this.possible.length = 0;
    return result;
  }

  /**
   * Steps with checkpoints beginning in between, at random, and work going on while they run; the last one is waited for.
   * Rejects with the first error of either. With `turns` it also waits for whole turns of the event loop, as a device needs
   * whose operations take some.
   */
  async runWithCheckpoints(steps: number, { turns = false }: { readonly turns?: boolean } = {}): Promise<this> {
    let running: Promise<void> | null = null;
    let failure: { readonly error: unknown } | null = null;
    for (let step = 0; step < steps && failure === null; step++) {
      this.step();
      if (running === null && this.random.chance(0.03)) {
        running = this.checkpoint().then(
          () => {
            running = null;
          },
          (error) => {
            failure = { error };
          },
        );
      }
      // Lets a running checkpoint go on for a bit, in between changes.
      if (this.random.chance(0.3)) await (turns ? turn() : null);
    }
    await running;
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
    return this;
  }

  #insert(path: readonly number[], node: PageModel, slot: number): void {
    if (node.children[slot] !== null || path.length > DEEPEST) return;
    const { maxSizeClass } = this.pages;
    const sizeClass =
      maxSizeClass > 0 && this.random.chance(0.1) ? this.random.between(1, Math.min(maxSizeClass, 4)) : 0;
    this.tree.insert(path, slot, this.#next, sizeClass);
    node.children[slot] = newModel(this.#next++, sizeClass, this.tree.fanout);
  }

  #move(path: readonly number[], node: PageModel, slot: number, child: PageModel): void {
    const other = this.#somewhere();
    const toSlot = this.random.below(this.tree.fanout);
    const isBelow = [...path, slot].every((step, at) => other.path[at] === step);
    if (isBelow || other.node === node || other.node.children[toSlot] !== null || other.path.length >= DEEPEST) return;
    this.tree.move(path, slot, other.path, toSlot);
    other.node.children[toSlot] = child;
    node.children[slot] = null;
  }

  /** A page that may have children. */
  #somewhere(): { readonly path: number[]; readonly node: PageModel } {
    let node = this.model as PageModel;
    const path: number[] = [];
    while (this.random.chance(0.8)) {
      const inner = node.children.flatMap((child, slot) => (child?.sizeClass === 0 ? [slot] : []));
      if (inner.length === 0) break;
      const slot = this.random.pick(inner);
      path.push(slot);
      node = node.children[slot] as PageModel;
    }
    return { path, node };
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
