/** What becomes of pages that a checkpoint owes, whatever happens to them before it comes to them (C1, C2). */
import { driveSchedule, NO_LOG, PagewrightError, POINT, Threads } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { describe, expect, it, vi } from 'vitest';
import { EpochMemory } from '../src/epoch-memory.js';
import { Epochs } from '../src/epochs.js';
import { DIRTY_EPOCH, NO_FRAME, PARENT } from '../src/frames.js';
import { endThread } from './ending.js';
import { EpochRig, FANOUT, type Node } from './epoch-rig.js';

const PAGE = 4096;

/** A page with a leaf and a sibling of it below, and beside it a page to move things to. */
interface Family {
  readonly rig: EpochRig;
  readonly parent: Node;
  readonly child: Node;
  readonly sibling: Node;
  readonly other: Node;
}

async function family(): Promise<Family> {
  const rig = await EpochRig.create();
  const top = rig.insert(null, 0) as Node;
  const [parent, other] = [0, 1].map((slot) => rig.insert(top, slot) as Node) as [Node, Node];
  const [child, sibling] = [0, 1].map((slot) => rig.insert(parent, slot) as Node) as [Node, Node];
  // What is written below is not what was there first.
  rig.gate();
  rig.finish();
  return { rig, parent, child, sibling, other };
}

const CHILD_AT_THE_GATE: Record<string, (family: Family) => void> = {
  clean: () => {},
  dirty: ({ rig, child }) => void rig.change(child),
  'evicted and back': ({ rig, child }) => {
    rig.change(child);
    rig.evict(child);
    rig.bringIn(child);
  },
  'evicted after a change': ({ rig, child }) => {
    rig.change(child);
    rig.evict(child);
  },
};

const PARENT_AFTER_IT: Record<string, (family: Family) => void> = {
  live: () => {},
  aside: ({ rig, sibling }) => void rig.change(sibling),
  staged: ({ rig }) => void rig.stage(1e9),
  'in part staged': ({ rig }) => void rig.stage(PAGE),
  done: ({ rig }) => {
    rig.stage(1e9);
    rig.writeBatch();
  },
};

const WHAT_HAPPENS: Record<string, (family: Family) => void> = {
  'is changed': ({ rig, child }) => void rig.change(child),
  'is evicted': ({ rig, child }) => void rig.evict(child),
  'is evicted and changed': ({ rig, child }) => {
    rig.evict(child);
    rig.change(child);
  },
  'is changed and evicted': ({ rig, child }) => {
    rig.change(child);
    rig.evict(child);
  },
  'is changed while it is evicted': ({ rig, child }) => {
    if (child.frame === NO_FRAME || !rig.mayLeave(child) || !rig.epochs.isDirty(child.frame)) return;
    rig.beginEviction(child);
    rig.change(child);
    expect(rig.endEviction(0)).toBe(false);
  },
  'is freed': ({ rig, child, other }) => {
    rig.remove(child);
    // Its frame is used for something else at once.
    for (let slot = 0; slot < FANOUT; slot++) rig.insert(other, slot);
  },
  'is freed while it is evicted': ({ rig, child, other }) => {
    if (child.frame === NO_FRAME || !rig.mayLeave(child) || !rig.epochs.isDirty(child.frame)) return;
    rig.beginEviction(child);
    rig.remove(child);
    for (let slot = 0; slot < FANOUT; slot++) rig.insert(other, slot);
    expect(rig.endEviction(0)).toBe(false);
  },
  'is changed and freed': ({ rig, child, other }) => {
    rig.change(child);
    rig.remove(child);
    for (let slot = 0; slot < FANOUT; slot++) rig.insert(other, slot);
  },
  'gets another parent': ({ rig, child, other }) => rig.move(child, other, 0),
  'gets another parent, is changed and evicted': ({ rig, child, other }) => {
    rig.move(child, other, 0);
    rig.change(child);
    rig.evict(child);
  },
  'gets another parent, which is evicted': ({ rig, child, other }) => {
    rig.move(child, other, 0);
    rig.evict(child);
    rig.evict(other);
  },
  'goes to another frame': ({ rig, child, parent }) => {
    rig.relocate(child);
    rig.relocate(parent);
  },
  'goes to another frame and is changed': ({ rig, child, parent }) => {
    rig.relocate(parent);
    rig.relocate(child);
    rig.change(child);
    rig.relocate(child);
    rig.relocate(parent);
  },
  'goes to another frame while it is evicted': ({ rig, child }) => {
    if (child.frame === NO_FRAME || !rig.mayLeave(child) || !rig.epochs.isDirty(child.frame)) return;
    rig.beginEviction(child);
    rig.relocate(child);
    expect(rig.epochs.isBeingWritten(child.frame)).toBe(false);
    expect(rig.endEviction(0)).toBe(false);
  },
  'goes to another frame while it is evicted, and is evicted from there': ({ rig, child }) => {
    if (child.frame === NO_FRAME || !rig.mayLeave(child) || !rig.epochs.isDirty(child.frame)) return;
    rig.beginEviction(child);
    rig.relocate(child);
    rig.evict(child);
    expect(rig.endEviction(0)).toBe(false);
  },
  'gets a child': ({ rig, child }) => {
    const below = rig.insert(child, 0) as Node;
    rig.evict(below);
  },
};

describe('a page that', () => {
  for (const [then, act] of Object.entries(WHAT_HAPPENS)) {
    it(`${then} after the gate is in the checkpoint as it was at the gate`, async () => {
      for (const [how, before] of Object.entries(CHILD_AT_THE_GATE)) {
        for (const [where, prepare] of Object.entries(PARENT_AFTER_IT)) {
          const all = await family();
          const { rig, other } = all;
          try {
            rig.change(other);
            before(all);
            rig.gate();
            prepare(all);
            act(all);
            rig.check();
            rig.checkDurable();
            rig.finish();
            rig.check();
            rig.gate();
            rig.finish();
          } catch (error) {
            throw new Error(`The page was ${how} at the gate, its parent ${where} after it`, { cause: error });
          }
        }
      }
    });
  }
});

describe('the gate', () => {
  it('looks at nothing but the root block, however much has changed', async () => {
    const { rig } = await family();
    for (const node of nodesOf(rig.top)) rig.change(node);
    const before = rig.frames.words.slice();
    rig.gate();
    const changed = [...rig.frames.words.keys()].filter((at) => rig.frames.words[at] !== before[at]);
    const frames = new Set(changed.map((at) => at >>> 4));
    expect([...frames].filter((frame) => frame !== 0 && frame !== rig.top?.frame)).toEqual([]);
    rig.finish();
  });

  it('takes the address of a topmost page that was written and has left, and an empty tree', async () => {
    const rig = await EpochRig.create();
    const top = rig.insert(null, 0) as Node;
    rig.evict(top);
    rig.gate();
    rig.finish();
    rig.change(top);
    rig.evict(top);
    rig.gate();
    rig.finish();
    rig.remove(top);
    rig.gate();
    rig.finish();
    expect(rig.epochs.topImage).toEqual({ address: 0, checksum: 0 });
  });

  it('passes while a page is on its way out: its image is the checkpoint’s then', async () => {
    const { rig, child } = await family();
    rig.change(child);
    rig.beginEviction(child);
    rig.gate();
    // The page above it waits for that.
    expect(rig.stage(1e9)).toBe(0);
    expect(rig.epochs.isStaged).toBe(false);
    expect(rig.endEviction(0)).toBe(true);
    rig.finish();
  });

  it('passes while a page is on its way out that is freed: its extent is in no map', async () => {
    const { rig, child } = await family();
    rig.change(child);
    rig.beginEviction(child);
    rig.remove(child);
    rig.gate();
    while (rig.stage(1e9) > 0) rig.writeBatch();
    expect(rig.epochs.isStaged).toBe(false);
    rig.finish();
  });
});

describe('a checkpoint', () => {
  it('stages no more at a time than it was asked for, and one image', async () => {
    const { rig } = await family();
    for (const node of nodesOf(rig.top)) rig.change(node);
    rig.gate();
    for (let count = 1; rig.stage(PAGE) > 0; count++) expect(rig.batch.length).toBe(count);
    expect(rig.batch.length).toBe(5);
    rig.finish();
  });

  it('does not count if a page has changed whose parent was not marked', async () => {
    const marked = await family();
    marked.rig.change(marked.child);
    marked.rig.frames.set(marked.parent.frame, DIRTY_EPOCH, 0);
    marked.rig.gate();
    expect(() => marked.rig.finish()).toThrow(/reaches 1 dirty units of 3/);
  });

  it('is told of a page out of reach when that changes, as its image would hide it', async () => {
    const { rig, parent, child } = await family();
    rig.change(child);
    rig.gate();
    rig.frames.set(parent.frame, DIRTY_EPOCH, 0);
    expect(() => rig.change(child)).toThrow(/out of reach/);
  });

  it('that fails leaves pages dirty that images name and that were not written, and all above them', async () => {
    const { rig, parent, child, sibling } = await family();
    rig.change(child);
    rig.change(sibling);
    rig.gate();
    rig.stage(PAGE);
    const [first] = rig.batch;
    expect(first).toBeDefined();
    // Room runs out, so a change writes the parent, which names a page that is on its way.
    const filler = rig.top as Node;
    while (rig.epochs.isDirty(parent.frame) && rig.frames.get(parent.frame, DIRTY_EPOCH) !== rig.epochs.open) {
      if (rig.stage(PAGE) === 0) break;
      const late = rig.batch.pop()!;
      rig.file.writeImagesSync([late]);
      rig.epochs.settleStaged(late);
    }
    expect(filler.frame).not.toBe(NO_FRAME);
    for (const staged of rig.batch.splice(0)) rig.epochs.unstage(staged);
    rig.check();
    for (const node of [child, sibling, parent]) {
      expect(rig.evict(node)).toBe(true);
      rig.check();
    }
    for (const node of nodesOf(rig.top)) rig.change(node);
    rig.check();
    rig.checkDurable();
  });
});

it('private images are given back when there is no extent for them', async () => {
  const { rig, child, sibling } = await family();
  const bytes = (): number => rig.threads.reduce((sum, epochs) => sum + epochs.bytes, 0);
  rig.change(child);
  rig.change(sibling);
  const full = vi.spyOn(rig.space, 'allocate').mockImplementation(() => {
    throw new PagewrightError('PW_FULL', 'No.');
  });
  const before = bytes();
  const refused = expect.objectContaining({ code: 'PW_FULL' });
  for (let times = 0; times < 600; times++) expect(() => rig.beginEviction(sibling)).toThrow(refused);
  rig.gate();
  for (let times = 0; times < 600; times++) expect(() => rig.stage(PAGE)).toThrow(refused);
  // What is kept for later is bounded.
  expect(bytes() - before).toBeLessThanOrEqual(2 * PAGE);
  full.mockRestore();
});

describe('a checkpointer', () => {
  const steps = { gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} };

  it('waits for a page that is being evicted, and takes what came of it', async () => {
    const { rig, child, sibling } = await family();
    const checkpointer = rig.checkpointer(8 * PAGE);
    rig.change(child);
    rig.change(sibling);
    rig.beginEviction(child);
    let isOver = false;
    const running = checkpointer.run(steps).finally(() => {
      isOver = true;
    });
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(isOver).toBe(false);
    expect(rig.endEviction(0)).toBe(true);
    expect(await running).toMatchObject({ pagesWritten: 4, bytesWritten: 3 * PAGE });
    rig.check();
  });

  it('looks for the end of an eviction now and then, and not in every turn of the event loop', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const { rig, child } = await family();
    const stage = vi.spyOn(Epochs.prototype, 'stage');
    try {
      rig.change(child);
      rig.beginEviction(child);
      const running = rig.checkpointer(8 * PAGE).run(steps);
      const looks = stage.mock.calls.length;
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
      expect(stage.mock.calls.length).toBe(looks);
      await vi.advanceTimersByTimeAsync(5);
      expect(stage.mock.calls.length).toBeGreaterThan(looks);
      expect(rig.endEviction(0)).toBe(true);
      await vi.advanceTimersByTimeAsync(5);
      expect(await running).toMatchObject({ pagesWritten: 3 });
    } finally {
      stage.mockRestore();
      vi.useRealTimers();
    }
  });

  it('does not wait for a thread that ended while it evicted a page', async () => {
    const { rig, child } = await family();
    const memory = new SharedArrayBuffer(Threads.bytes());
    const checkpointer = rig.checkpointer(8 * PAGE, new Threads(memory));
    const evicting = new Threads(memory);
    rig.change(child);
    rig.beginEviction(child);
    const running = checkpointer.run(steps);
    await new Promise(setImmediate);
    Atomics.store(evicting.words, evicting.at('transfers'), 1);
    endThread(memory, evicting.slot);
    new Threads(memory).sweep();
    await expect(running).rejects.toMatchObject({ code: 'PW_THREAD_LOST' });
  });

  it('learns that a change could not write what it had to, and is the last one', async () => {
    const rig = await EpochRig.create(64);
    const top = rig.insert(null, 0) as Node;
    const large = rig.insert(top, 0, 4) as Node;
    const checkpointer = rig.checkpointer(8 * PAGE);
    const before = driveSchedule((point) => {
      if (point !== POINT.gateClosed) return;
      const fault = { kind: 'error', errno: 'EIO' } as const;
      const takeBack = rig.files.inject({ fault, kinds: ['write'], from: 0, times: 1e9 });
      expect(() => rig.change(large)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
      takeBack();
    });
    try {
      await expect(checkpointer.run(steps)).rejects.toMatchObject({ code: 'PW_IO' });
    } finally {
      driveSchedule(before);
    }
    await expect(checkpointer.run(steps)).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    rig.change(large);
    rig.check();
    rig.checkDurable();
  });
});

describe('images put aside', () => {
  it('never want for room, however large the tree: what is complete is written, else the page itself', async () => {
    const rig = await EpochRig.create(512);
    expect(EpochMemory.imageBytes(512, PAGE)).toBe(64 * PAGE);
    const top = rig.insert(null, 0) as Node;
    for (let a = 0; a < FANOUT; a++) {
      const inner = rig.insert(top, a) as Node;
      for (let b = 0; b < FANOUT; b++) {
        const lower = rig.insert(inner, b) as Node;
        for (let c = 0; c < FANOUT; c++) rig.insert(lower, c);
      }
    }
    for (const order of ['down', 'up', 'shuffled'] as const) {
      for (const node of nodesOf(rig.top)) rig.change(node);
      rig.gate();
      const nodes = nodesOf(rig.top);
      if (order === 'up') nodes.reverse();
      for (const node of order === 'shuffled' ? new Random(3).shuffle(nodes) : nodes) rig.change(node);
      rig.check();
      rig.finish();
    }
  });

  it('may be larger than all the room there is: then they are written at once, after what is below them', async () => {
    const rig = await EpochRig.create(64);
    const top = rig.insert(null, 0) as Node;
    const large = rig.insert(top, 0, 4) as Node;
    expect(PAGE << 4).toBeGreaterThan(EpochMemory.imageBytes(64, PAGE));
    const below = rig.insert(large, 0) as Node;
    rig.gate();
    rig.change(large);
    expect(rig.frames.get(below.frame, DIRTY_EPOCH)).toBe(0);
    rig.check();
    rig.finish();
  });

  it('are put aside before anything is marked when they cannot be written, and the checkpoint has failed', async () => {
    const rig = await EpochRig.create(64);
    const top = rig.insert(null, 0) as Node;
    const large = rig.insert(top, 0, 4) as Node;
    const below = rig.insert(large, 0) as Node;
    rig.gate();
    const takeBack = rig.files.inject({
      fault: { kind: 'error', errno: 'EIO' },
      kinds: ['write'],
      from: 0,
      times: 1e9,
    });
    expect(() => rig.change(below)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    takeBack();
    expect(rig.epochs.hasFailed).toBe(true);
    rig.check();
    rig.change(below);
    rig.evict(below);
    rig.check();
    rig.checkDurable();
  });
});

it('whatever happens between the steps of checkpoints and evictions, by two threads, each checkpoint is right', async () => {
  const rounds = Number(process.env.EPOCH_ROUNDS ?? 25);
  const first = Number(process.env.EPOCH_SEED ?? 1);
  for (let seed = first; seed < first + rounds; seed++) {
    try {
      await playRandomly(new Random(seed));
    } catch (error) {
      throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

async function playRandomly(random: Random): Promise<void> {
  const rig = await EpochRig.create(random.pick([64, 64, 128, 256]));
  const nodes = (): Node[] => nodesOf(rig.top);
  const anyNode = (): Node => random.pick(nodes());
  for (let step = 0; step < 600; step++) {
    const choice = rig.top === null ? 0 : random.below(100);
    if (rig.top === null) rig.insert(null, 0, 0);
    else if (choice < 25) {
      const parent = anyNode();
      const slot = random.below(FANOUT);
      const sizeClass = random.chance(0.05) ? random.between(1, 4) : 0;
      if (parent.children[slot] === null) rig.insert(parent, slot, sizeClass);
    } else if (choice < 45) rig.change(anyNode());
    else if (choice < 52) {
      const node = anyNode();
      if (node.children.every((child) => child === null)) rig.remove(node);
    } else if (choice < 58) {
      const [node, to] = [anyNode(), anyNode()];
      const slot = random.below(FANOUT);
      if (node.parent !== null && !isBelow(to, node) && to.children[slot] === null) rig.move(node, to, slot);
    } else if (choice < 68) rig.evict(anyNode());
    else if (choice < 72) {
      const node = anyNode();
      if (node.frame !== NO_FRAME && rig.mayLeave(node) && rig.epochs.isDirty(node.frame)) rig.beginEviction(node);
    } else if (choice < 76) {
      if (rig.inFlight.length > 0) rig.endEviction(random.below(rig.inFlight.length), random.chance(0.2));
    } else if (choice < 81) rig.relocate(anyNode());
    else if (choice < 84) rig.bringIn(anyNode());
    else if (!rig.isRunning) {
      if (choice < 90) rig.gate();
    } else if (choice < 93) {
      // One batch is in flight at a time, of a share of the pool.
      if (rig.batch.length < rig.frames.count / 8) rig.stage(PAGE * random.between(1, 3));
    } else if (choice < 98) rig.writeBatch();
    else rig.finish();
    if (random.chance(0.2)) rig.check();
  }
  if (!rig.isRunning) rig.gate();
  rig.finish();
  rig.check();
}

function nodesOf(node: Node | null): Node[] {
  return node === null ? [] : [node, ...node.children.flatMap(nodesOf)];
}

function isBelow(node: Node | null, above: Node): boolean {
  return node !== null && (node === above || isBelow(node.parent, above));
}

it('is the same for every thread', async () => {
  const { rig, child, sibling } = await family();
  const [one, other] = rig.threads as [Epochs, Epochs];
  one.markDirty(child.frame);
  expect(other.dirtyPages).toBe(4);
  expect(other.isDirty(rig.frames.get(child.frame, PARENT))).toBe(true);
  one.close(0);
  expect(other.open).toBe(one.open);
  expect(other.owedUnits).toBe(3);
  other.markDirty(sibling.frame);
  expect(one.dirtyPages).toBe(4);
});
