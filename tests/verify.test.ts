/**
 * `verify` finds each planted damage, says the way to it, and reports nothing else; it finds nothing wrong with stores of all
 * shapes, at rest and while others write.
 *
 * `VERIFY_SEED` repeats a run of the random tests.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { type Engine, PAGE_INDEX, PAGE_TIMESTAMP, type VerifyReport } from '@pagewright/core';
import { ioError, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { beforeAll, describe, expect, it } from 'vitest';
import { setBits } from '../packages/bufferpool/src/allocation-map.js';
import { SLOT_SIZE } from '../packages/bufferpool/src/superblock.js';
import { NODE_HEADER_SIZE } from '../packages/index-btree/src/node-layout.js';
import { engineOn } from './engine-on.js';
import { PageFileSurgery, type StoredPage } from './page-file-surgery.js';

const PATH = '/store/verified.pw';
const SMALL = { pageSize: 4096, memory: 2 ** 18 };
const ROOMY = { pageSize: 4096, memory: 2 ** 22 };
const SEED = Number(process.env.VERIFY_SEED ?? Date.now() % 2 ** 31);

const text = (report: VerifyReport): string =>
  report.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');

async function expectClean(db: Engine, what: string): Promise<VerifyReport> {
  const report = await db.verify();
  expect(text(report), what).toBe('');
  expect(report).toMatchObject({ ok: true, omitted: 0, unchecked: [] });
  return report;
}

/** Small and large entries in several indexes, deep enough for two levels of inner pages in one. */
async function fill(db: Engine, scale = 1): Promise<void> {
  const users = await db.index('users');
  const files = await db.index('files', { key: 'u32', value: 'buffer' });
  const long = await db.index('long', { key: 'utf8', value: 'buffer' });
  await db.index('empty');
  const puts: Promise<void>[] = [];
  for (let i = 0; i < 700 * scale; i++) puts.push(users.put(`user/${i * 7919}`, { i, text: 'x'.repeat(i % 90) }));
  for (let i = 0; i < 24; i++) puts.push(files.put(i, Buffer.alloc(i * 650, i)));
  for (let i = 0; i < 60; i++) puts.push(long.put(`${'k'.repeat(700)}${i}`, Buffer.alloc(300, i)));
  await Promise.all(puts);
  for (let i = 0; i < 100; i++) await users.delete(`user/${i * 7919}`);
}

describe('finds nothing wrong with', () => {
  it('a store that has just been created, and an empty one that was closed', async () => {
    const disk = new SimulatedDevice();
    const created = await engineOn(disk, PATH, SMALL);
    await expectClean(created, 'created');
    await created.close();
    const again = await engineOn(disk, PATH, SMALL);
    await expectClean(again, 'opened again');
    await again.close();
  });

  for (const [name, memory] of [
    ['all of it in memory', 2 ** 22],
    ['a pool much smaller than the data', 2 ** 18],
  ] as const) {
    it(`small and large entries in several indexes, with ${name}: filled, checkpointed, closed, opened again`, async () => {
      const disk = new SimulatedDevice();
      const db = await engineOn(disk, PATH, { pageSize: 4096, memory });
      await fill(db, 2);
      await expectClean(db, 'filled');
      await db.checkpoint();
      await expectClean(db, 'after a checkpoint');
      await db.checkpoint();
      const { pages } = await expectClean(db, 'after two');
      expect(pages).toBeGreaterThan(80);
      if (memory === 2 ** 18) expect(db.stats().pages.evictions).toBeGreaterThan(0);
      await db.close();
      for (const readOnly of [true, false]) {
        const again = await engineOn(disk, PATH, { pageSize: 4096, memory, opening: { readOnly } });
        await expectClean(again, readOnly ? 'opened for reading' : 'opened for writing');
        await again.close();
      }
    });
  }

  it('trees that are being given up: dropped and cleared indexes at every stage, also after a crash in between', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, ROOMY);
    await fill(db, 3);
    await db.checkpoint();
    const snapshot = db.snapshot();
    await (await db.index('users')).clear();
    await expectClean(db, 'cleared, and kept for a snapshot');
    await db.checkpoint();
    snapshot.release();
    await db.dropIndex('long');
    let stages = 0;
    for (; stages < 12; stages++) {
      await expectClean(db, `stage ${stages}`);
      await db.checkpoint();
    }
    const after = disk.copy().afterCrash(keepSome(SEED));
    await db.close();
    const recovered = await engineOn(after, PATH, ROOMY);
    await expectClean(recovered, `recovered, seed ${SEED}`);
    await recovered.close();
  });

  it('what recovery makes of a crash, in memory and in the file', async () => {
    for (let round = 0; round < 6; round++) {
      const seed = SEED + round;
      const disk = new SimulatedDevice();
      const db = await engineOn(disk, PATH, SMALL);
      await fill(db);
      await db.checkpoint();
      await (await db.index('users')).clear();
      await fill(db);
      const after = disk.copy().afterCrash(keepSome(seed));
      await db.close();
      const recovered = await engineOn(after, PATH, SMALL);
      await expectClean(recovered, `seed ${seed}`);
      await recovered.close();
    }
  });
});

// ── Planted damage ───────────────────────────────────────────────────────────────────────────────────────────────

describe('finds damage in a closed file:', () => {
  let sound: Uint8Array;

  beforeAll(async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db, 2);
    await db.close();
    sound = disk.contentOf(PATH);
  });

  /** Verifies the file as it is after the operation; with what it reports, path and message. */
  async function reportOf(operate: (surgery: PageFileSurgery) => void): Promise<string[]> {
    const surgery = new PageFileSurgery(sound);
    operate(surgery);
    const disk = new SimulatedDevice();
    disk.put(PATH, surgery.file);
    const db = await engineOn(disk, PATH, { memory: 2 ** 22, opening: { readOnly: true } });
    const report = await db.verify();
    await db.close();
    expect(report.ok).toBe(report.problems.length === 0);
    for (const { path, offset } of report.problems) {
      if (offset !== undefined) expect(path).toMatch(new RegExp(`at byte ${offset}$|slot [01]$`));
    }
    return report.problems.map(({ path, message, code }) => `${code} ${path}: ${message}`);
  }

  /** The same, with the damage done while the store is open: for what it cannot be opened without. */
  async function reportBeneath(operate: (surgery: PageFileSurgery) => void): Promise<string[]> {
    const disk = new SimulatedDevice();
    disk.put(PATH, sound);
    const db = await engineOn(disk, PATH, { memory: 2 ** 22, opening: { readOnly: true } });
    const surgery = new PageFileSurgery(sound);
    operate(surgery);
    for (const [offset, byte] of surgery.file.entries()) {
      for (let bit = 0; bit < 8; bit++) if (((byte ^ sound[offset]!) >>> bit) & 1) disk.flip(PATH, offset, bit);
    }
    const report = await db.verify();
    await db.close();
    return report.problems.map(({ path, message, code }) => `${code} ${path}: ${message}`);
  }

  const escaped = (s: string): string => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

  /** The path to a page, as a report has it. */
  function pathTo(page: StoredPage): string {
    const names = ['users', 'files', 'long', 'empty'];
    const steps: string[] = [];
    for (let at: StoredPage | null = page; at !== null; at = at.parent) {
      const label =
        at.parent === null
          ? 'catalog, '
          : at.parent.index === 0 && at.index > 0
            ? `index '${names[at.index - 1]}', `
            : '';
      steps.unshift(`${label}page at byte ${at.start}`);
    }
    return steps.join(' → ');
  }

  const oneAt = (page: StoredPage, message: RegExp, code = 'PW_CORRUPT_PAGE') => [
    expect.stringMatching(new RegExp(`^${code} checkpoint \\d+ → ${escaped(pathTo(page))}: .*${message.source}`)),
  ];
  const pageOf = (surgery: PageFileSurgery, what: string, index?: number): StoredPage => {
    const pages = surgery.pages(what).filter((page) => index === undefined || page.index === index);
    return pages[Math.floor(pages.length / 2)]!;
  };

  it('none, if there is none', async () => {
    expect(await reportOf(() => undefined)).toEqual([]);
  });

  it.each(['inner page', 'leaf', 'value page'])('a flipped bit in an %s, wherever it is', async (what) => {
    const { start, size } = pageOf(new PageFileSurgery(sound), what);
    for (const offset of [0, 20, 40, size >>> 1, size - 1]) {
      const page = pageOf(new PageFileSurgery(sound), what);
      expect(await reportOf((surgery) => surgery.flip(start + offset))).toEqual(oneAt(page, /checksum/));
    }
  });

  it.each(['catalog root', 'catalog entries'])('a flipped bit in the %s, with the store open', async (what) => {
    const page = pageOf(new PageFileSurgery(sound), what);
    expect(await reportBeneath((surgery) => surgery.flip(page.start + 100))).toEqual(oneAt(page, /checksum/));
  });

  it('a flipped bit in the allocation map, with the store open', async () => {
    const report = await reportBeneath((surgery) => {
      surgery.flip(
        surgery.pageSize * ((surgery.superblock.mapAddress & (surgery.superblock.mapAddress - 1)) >>> 1) + 20,
      );
    });
    expect(report).toEqual([
      expect.stringMatching(/^PW_CORRUPT_FILE checkpoint \d+ → allocation map at byte \d+: .*checksum/),
    ]);
  });

  it.each([0, 1])('a flipped bit in the superblock of slot %i', async (slot) => {
    expect(await reportOf((surgery) => surgery.flip(slot * SLOT_SIZE + 60))).toEqual([
      expect.stringMatching(new RegExp(`^PW_CORRUPT_FILE superblock in slot ${slot}: .*checksum`)),
    ]);
  });

  it('two leaves that were swapped', async () => {
    const [a, b] = new PageFileSurgery(sound).pages('leaf').filter(({ index }) => index === 1) as [
      StoredPage,
      StoredPage,
    ];
    const report = await reportOf(({ file }) => {
      const first = Buffer.from(file.subarray(a.start, a.start + a.size));
      file.copy(file, a.start, b.start, b.start + b.size);
      first.copy(file, b.start);
    });
    expect(report).toEqual([...oneAt(a, /checksum/), ...oneAt(b, /checksum/)]);
  });

  it('two leaves whose swips were exchanged, with checksums that are right: each violates the bounds that its parent sets', async () => {
    const [a, b] = new PageFileSurgery(sound).pages('leaf').filter(({ index }) => index === 1) as [
      StoredPage,
      StoredPage,
    ];
    const report = await reportOf((surgery) => {
      const { file } = surgery;
      const first = Buffer.from(file.subarray(a.swip, a.swip + 8));
      file.copy(file, a.swip, b.swip, b.swip + 8);
      first.copy(file, b.swip);
      surgery.seal(a.parent!);
    });
    const bounds = /fence|bound|prefix/;
    expect(report.length).toBeGreaterThan(1);
    for (const line of report) {
      expect([pathTo(a), pathTo(b)]).toContain(line.replace(/^\S+ checkpoint \d+ → /, '').replace(/: .*/, ''));
      expect(line).toMatch(bounds);
    }
    for (const page of [a, b]) expect(report.some((line) => line.includes(`${pathTo(page)}:`))).toBe(true);
  });

  it('keys outside the bounds of their page', async () => {
    // The head of the first key: its first bytes behind the prefix, of which a key that is the prefix has none.
    const untouched = new PageFileSurgery(sound);
    const hasHead = ({ start }: StoredPage): boolean => untouched.file.readUInt32LE(start + NODE_HEADER_SIZE) > 0;
    const page = untouched.pages('leaf').slice(1).find(hasHead)!;
    const report = await reportOf((surgery) => {
      surgery.file.writeUInt32LE(0, page.start + NODE_HEADER_SIZE);
      surgery.seal(page);
    });
    expect(report).toEqual(expect.arrayContaining(oneAt(page, /below the page's lower bound/)));
    for (const line of report) expect(line).toContain(`${pathTo(page)}:`);
  });

  it('a page that is named twice, and the extent that lost its name', async () => {
    const [a, b] = new PageFileSurgery(sound).pages('leaf').filter(({ index }) => index === 1) as [
      StoredPage,
      StoredPage,
    ];
    const report = await reportOf((surgery) => {
      surgery.file.copy(surgery.file, b.swip, a.swip, a.swip + 8);
      surgery.seal(b.parent!);
    });
    expect(report).toEqual([
      ...oneAt(a, /reached by another way/),
      expect.stringMatching(
        new RegExp(
          `^PW_CORRUPT_FILE checkpoint \\d+ → allocation map at byte \\d+: The 4096 bytes at byte ${b.start} .*leaked`,
        ),
      ),
    ]);
  });

  it('a leaked extent', async () => {
    let unit = 0;
    const report = await reportOf((surgery) => {
      const map = surgery.map();
      unit = surgery.freeUnit();
      setBits(map.bits, unit, 1, true);
      surgery.writeMap(map);
    });
    expect(report).toEqual([
      expect.stringMatching(
        new RegExp(
          `^PW_CORRUPT_FILE checkpoint \\d+ → allocation map at byte \\d+: The 4096 bytes at byte ${unit * 4096} .*leaked`,
        ),
      ),
    ]);
  });

  it('an extent in use that is marked free: by the map, and therefore in memory too', async () => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 2);
    const report = await reportOf((surgery) => {
      const map = surgery.map();
      setBits(map.bits, page.start / 4096, 1, false);
      surgery.writeMap(map);
    });
    expect(report).toEqual([
      expect.stringMatching(
        new RegExp(
          `allocation map at byte \\d+: The 4096 bytes at byte ${page.start} are in use, and the map says that they are free$`,
        ),
      ),
      expect.stringMatching(
        /^PW_INTERNAL memory → catalog, frame \d+ → frame \d+: .* names an extent that is free to be used again$/,
      ),
      expect.stringMatching(
        new RegExp(`^PW_CORRUPT_FILE checkpoint \\d+: The 4096 bytes at byte ${page.start} are reached, and free`),
      ),
    ]);
  });

  it('an extent in use that is said to be given up', async () => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 2);
    const report = await reportOf((surgery) => {
      const map = surgery.map();
      surgery.writeMap({
        ...map,
        givenUp: [...map.givenUp, { address: page.address, epoch: surgery.superblock.epoch }],
      });
    });
    expect(report.filter((line) => !line.includes(': The 4096 bytes'))).toEqual([]);
    expect(report).toContainEqual(expect.stringMatching(/were given up, and are reached all the same/));
  });

  it('a stamp above the last commit', async () => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 1);
    const report = await reportOf((surgery) => {
      surgery.file.writeDoubleLE(2 ** 50, page.start + PAGE_TIMESTAMP);
      surgery.seal(page);
    });
    expect(report).toEqual(oneAt(page, /stamp 1125899906842624/));
  });

  it.each([
    ['another index', PAGE_INDEX, 3, /belongs to index 3 instead of 1/],
    ['no kind', 0, 0, /no kind/],
  ] as const)('a header of %s', async (_, at, value, message) => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 1);
    const report = await reportOf((surgery) => {
      surgery.file.writeUInt16LE(value, page.start + at);
      surgery.seal(page);
    });
    expect(report).toEqual(oneAt(page, message));
  });

  it('a size class that is not the extent’s, a swip table beyond the page, an epoch to come', async () => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 1);
    const written: readonly [(file: Buffer) => unknown, RegExp][] = [
      [(file) => file.writeUInt8(3, page.start + 2), /class 3/],
      [(file) => file.writeDoubleLE(1e6, page.start + 24), /epoch 1000000/],
      [
        (file) => {
          file.writeUInt32LE(4088, page.start + 16);
          file.writeUInt16LE(2, page.start + 20);
          file.writeUInt16LE(8, page.start + 22);
        },
        /beyond the end/,
      ],
    ];
    for (const [write, message] of written) {
      const report = await reportOf((surgery) => {
        write(surgery.file);
        surgery.seal(page);
      });
      expect(report).toEqual(oneAt(page, message));
    }
  });

  it('a swip that leads beyond the end of the file, or to a frame', async () => {
    const page = pageOf(new PageFileSurgery(sound), 'leaf', 1);
    for (const [word, message] of [
      [((2 * 2 ** 27 + 1) << 2) | 3, /names an extent that cannot be/],
      [(5 << 2) | 1, /names no page of the file/],
    ] as const) {
      const report = await reportOf((surgery) => {
        surgery.file.writeUInt32LE(word >>> 0, page.swip);
        surgery.seal(page.parent!);
      });
      expect(report).toEqual(oneAt(page.parent!, message));
    }
  });

  it('more than the report lists, and tells of each of them', async () => {
    const disk = new SimulatedDevice();
    const writer = await engineOn(disk, PATH, SMALL);
    await fill(writer, 5);
    await writer.close();
    const surgery = new PageFileSurgery(disk.contentOf(PATH));
    const pages = surgery.pages('leaf');
    expect(pages.length).toBeGreaterThan(110);
    for (const { start } of pages) surgery.flip(start + 1000);
    disk.put(PATH, surgery.file);
    const db = await engineOn(disk, PATH, { memory: 2 ** 22, opening: { readOnly: true } });
    const told: string[] = [];
    const { ok, problems, omitted } = await db.verify({ onProblem: ({ path }) => told.push(path) });
    expect(ok).toBe(false);
    expect(problems.length).toBe(100);
    expect(told.slice(0, 100)).toEqual(problems.map(({ path }) => path));
    // What is behind a leaf that cannot be read is not found.
    expect(told.length).toBe(100 + omitted);
    expect(omitted).toBeGreaterThan(0);
    const reason = new Error('enough');
    const throwing = db.verify({
      onProblem() {
        throw reason;
      },
    });
    await expect(throwing).rejects.toBe(reason);
    await db.close();
  });

  it('many at once, each with its own way', async () => {
    const leaves = new PageFileSurgery(sound).pages('leaf');
    const some = leaves.filter((_, at) => at % 3 === 0);
    const report = await reportOf((surgery) => {
      for (const { start } of some) surgery.flip(start + 1000);
    });
    expect(report).toEqual(some.flatMap((page) => oneAt(page, /checksum/)));
  });

  it('an inner page, and does not take what is below it for leaked', async () => {
    const page = new PageFileSurgery(sound).pages('inner page').find(({ parent }) => parent!.index === 0)!;
    expect(await reportOf((surgery) => surgery.flip(page.start + 2000))).toEqual(oneAt(page, /checksum/));
  });

  it('a page that cannot be read, with the error that kept it from that', async () => {
    const disk = new SimulatedDevice();
    disk.put(PATH, sound);
    const db = await engineOn(disk, PATH, { memory: 2 ** 22, opening: { readOnly: true } });
    let reads = 0;
    disk.onOperation = ({ kind }) => {
      if (kind === 'read' && ++reads === 9) throw ioError('EIO', PATH);
    };
    const { problems } = await db.verify();
    expect(problems).toEqual([
      {
        code: 'PW_IO',
        path: expect.stringMatching(/^checkpoint \d+ → catalog, /),
        message: expect.stringContaining('EIO'),
        offset: expect.any(Number),
      },
    ]);
    disk.onOperation = null;
    await expectClean(db, 'when it can be read again');
    await db.close();
  });
});

// ── Beside other work ────────────────────────────────────────────────────────────────────────────────────────────

/** Changes of all kinds in indexes of its own, until it is told to stop. */
class Writer {
  running = true;
  changes = 0;
  readonly #random: Random;

  constructor(
    private readonly db: Engine,
    private readonly name: string,
    seed: number,
  ) {
    this.#random = new Random(seed).fork(name);
  }

  async work(): Promise<void> {
    while (this.running) {
      await this.#change();
      this.changes++;
      await new Promise(setImmediate); // Others get their turn, also on a device that never waits.
    }
  }

  async #change(): Promise<void> {
    const { db } = this;
    const random = this.#random;
    const name = `${this.name} ${random.below(3)}`;
    const index = await db.index<string, Uint8Array>(name, { key: 'utf8', value: 'buffer' });
    const key = (): string => `${'k'.repeat(random.below(20))}${random.below(3000)}`;
    const some = Array.from({ length: 1 + random.below(20) }, key);
    const dice = random.fraction();
    if (dice < 0.005) await index.clear();
    else if (dice < 0.008) await db.dropIndex(name);
    else if (dice < 0.02) await db.checkpoint();
    else if (dice < 0.3) await Promise.all(some.map((one) => index.delete(one)));
    else if (dice < 0.4) await index.put(key(), Buffer.alloc(1000 + random.below(9000), 1));
    else await Promise.all(some.map((one) => index.put(one, Buffer.alloc(random.below(300), 2))));
  }
}

/** Verifies again and again until so many changes were made. */
async function verifyBesideWriters(db: Engine, seed: number, changes: number): Promise<void> {
  await fill(db);
  const writers = [new Writer(db, 'first', seed), new Writer(db, 'second', seed)];
  const working = Promise.all(writers.map((writer) => writer.work()));
  let failed = false;
  working.catch(() => {
    failed = true;
  });
  try {
    for (let round = 0; !failed && writers.some((writer) => writer.changes < changes); round++)
      await expectClean(db, `round ${round}, VERIFY_SEED=${seed}`);
  } finally {
    for (const writer of writers) writer.running = false;
    await working;
  }
  await expectClean(db, `at rest, VERIFY_SEED=${seed}`);
}

describe('beside other work', () => {
  it('finds nothing wrong while writers change, clear, drop and checkpoint a store larger than its pool', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await verifyBesideWriters(db, SEED, 400);
    expect(db.stats().pages.evictions).toBeGreaterThan(0);
    expect(db.stats().pages.checkpoints).toBeGreaterThan(4);
    await db.close();
  });

  it('finds nothing wrong while writers are at work on real files', async () => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-verify-'));
    try {
      const db = await open(join(directory, 'app.pw'), SMALL);
      await verifyBesideWriters(db, SEED, 100);
      await db.close();
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });

  it('two at a time find nothing wrong, and give back what they held', async () => {
    const db = await engineOn(new SimulatedDevice(), PATH, SMALL);
    await fill(db);
    await db.checkpoint();
    const both = Promise.all([db.verify(), db.verify()]);
    await fill(db);
    await db.checkpoint();
    await db.checkpoint();
    for (const report of await both) expect(text(report)).toBe('');
    await (await db.index('empty')).put('k', 1);
    await db.checkpoint();
    await db.checkpoint();
    expect(db.stats().pages.retainedFileBytes).toBeLessThan(16 * 4096);
    await db.close();
  });

  it('finds what decayed of the pages that eviction wrote since the last checkpoint', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db);
    await db.checkpoint();
    await db.checkpoint();
    await fill(db, 4);
    const surgery = new PageFileSurgery(disk.contentOf(PATH));
    const { epoch } = surgery.superblock;
    for (let start = 8192; start < surgery.file.length; start += 4096) {
      if (surgery.file.readDoubleLE(start + 24) === epoch + 1) disk.flip(PATH, start + 2000, 0);
    }
    const report = await db.verify();
    expect(report.problems.length).toBeGreaterThan(0);
    for (const { path, message } of report.problems) {
      expect(path).toMatch(
        /^memory → catalog, frame \d+ → frame \d+ → index '(users|files|long)', (.* → )?page at byte \d+$/,
      );
      expect(message).toContain('checksum');
    }
    disk.cutPower();
    await db.close().catch(() => undefined);
  });

  it('finds what decayed of the checkpoint before the last, and nothing else', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, ROOMY);
    await fill(db);
    await db.checkpoint();
    const older = new PageFileSurgery(disk.contentOf(PATH));
    await (await db.index('long')).put(`${'k'.repeat(700)}7`, Buffer.alloc(10));
    await db.checkpoint();
    const newer = new Set(new PageFileSurgery(disk.contentOf(PATH)).pages().map(({ start }) => start));
    const page = older.pages('leaf').find(({ start }) => !newer.has(start))!;
    disk.flip(PATH, page.start + 999, 3);
    const { problems } = await db.verify();
    expect(problems).toEqual([
      {
        code: 'PW_CORRUPT_PAGE',
        path: expect.stringMatching(
          /^checkpoint \d+, the one before → catalog, .* → index 'long', .*page at byte \d+$/,
        ),
        message: expect.stringContaining('checksum'),
        offset: page.start,
      },
    ]);
    await db.close();
  });

  it('tells how far it is, and ends when its signal says so, or when the engine is closed', async () => {
    const db = await engineOn(new SimulatedDevice(), PATH, SMALL);
    await fill(db, 3);
    await db.checkpoint();
    const seen: number[] = [];
    const { pages, bytes } = await db.verify({
      onProgress: (progress) => {
        seen.push(progress.pages);
        expect(progress.totalBytes).toBeGreaterThan(100 * 4096);
      },
    });
    expect(seen.length).toBeGreaterThan(2);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen[seen.length - 1]).toBe(pages);
    expect(bytes).toBeGreaterThanOrEqual(pages * 4096);
    const controller = new AbortController();
    const reason = new Error('enough');
    await expect(db.verify({ signal: controller.signal, onProgress: () => controller.abort(reason) })).rejects.toBe(
      reason,
    );
    await expect(db.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const running = db.verify();
    const closing = db.close();
    await expect(running).rejects.toMatchObject({ code: 'PW_CLOSED' });
    await closing;
    await expect(db.verify()).rejects.toMatchObject({ code: 'PW_CLOSED' });
  });

  it('refuses what is no option', async () => {
    const db = await engineOn(new SimulatedDevice(), PATH, SMALL);
    for (const options of [null, 7, { depth: 1 }, { signal: {} }, { onProgress: 1 }, { onProblem: 1 }]) {
      await expect(db.verify(options as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    await db.close();
  });
});
