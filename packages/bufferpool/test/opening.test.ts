import { crc32 } from 'node:zlib';
import { type ErrorCode, NO_LOG } from '@pagewright/core';
import { keepSome, newModel, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { FrameTable, MOST_FRAMES } from '../src/frames.js';
import { BufferPool, type BufferPoolOptions } from '../src/index.js';

const PATH = '/store.pw';

interface Request {
  create?: boolean;
  errorIfExists?: boolean;
  readOnly?: boolean;
  options?: BufferPoolOptions;
}

async function open(files: SimulatedDevice, request: Request = {}): Promise<BufferPool> {
  const pool = new BufferPool({ memory: '1MiB', ...request.options });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false, ...request });
  return pool;
}

async function store(options?: BufferPoolOptions): Promise<SimulatedDevice> {
  const files = new SimulatedDevice();
  const pool = await open(files, { options: { pageSize: 4096, ...options } });
  const tree = new PageTree(pool);
  tree.plant(5);
  await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  await pool.close();
  return files;
}

function bytesOf(files: SimulatedDevice): Buffer {
  return Buffer.from(files.contentOf(PATH));
}

/** Changes what is stored, behind the back of everybody. */
function edit(files: SimulatedDevice, change: (bytes: Buffer) => void): void {
  const bytes = bytesOf(files);
  change(bytes);
  files.put(PATH, bytes);
}

async function expectRefusal(files: SimulatedDevice, code: ErrorCode, request: Request = {}): Promise<Error> {
  const before = files.files().includes(PATH) ? bytesOf(files) : null;
  const error = await open(files, request).then(
    () => Promise.reject(new Error('it was opened')),
    (error: Error) => error,
  );
  expect(error).toMatchObject({ name: 'PagewrightError', code });
  const same = before === null ? files.files().length === 0 : before.equals(bytesOf(files));
  expect(same, 'the file was changed').toBe(true);
  return error;
}

describe('opening', () => {
  it('refuses a file that is no store, whatever its length, and leaves it as it is', async () => {
    for (const length of [1, 100, 4095, 8192, 100_000]) {
      const files = new SimulatedDevice();
      files.put(PATH, Buffer.alloc(length, 'some other file '));
      await expectRefusal(files, 'PW_NOT_A_STORE');
    }
  });

  it('tells another format version from damage, and names both versions', async () => {
    const files = await store();
    edit(files, (bytes) => {
      for (const slot of [0, 4096]) {
        const block = bytes.subarray(slot, slot + 4096);
        block.writeUInt32LE(99, 8);
        block.writeUInt32LE(0, 12);
        block.writeUInt32LE(crc32(block), 12);
      }
    });
    const error = await expectRefusal(files, 'PW_FORMAT_VERSION');
    expect(error.message).toMatch(/99.*1/);
  });

  it('refuses a store whose superblocks are both damaged', async () => {
    const files = await store();
    for (const slot of [0, 4096]) files.flip(PATH, slot + 50, 3);
    await expectRefusal(files, 'PW_CORRUPT_FILE');
  });

  it('refuses a store that was cut off, wherever', async () => {
    const whole = await store();
    const length = bytesOf(whole).length;
    for (const size of [8, 511, 4096, 8191, 8192, 8193, 12288, length - 4096, length - 1]) {
      const files = whole.copy();
      files.put(PATH, bytesOf(whole).subarray(0, size));
      await expectRefusal(files, 'PW_CORRUPT_FILE');
    }
  });

  it('uses the other superblock when any bit of the newer one is flipped, and refuses nothing else', async () => {
    const whole = await store();
    for (let bit = 0; bit < 4096 * 8; bit += 37) {
      for (const slot of [0, 4096]) {
        const files = whole.copy();
        files.flip(PATH, slot + (bit >>> 3), bit & 7);
        const pool = await open(files);
        // Creation leaves epochs 1 and 2; the tree came with epoch 3, in the first slot.
        new PageTree(pool).check(slot === 0 ? null : newModel(5));
        await pool.close();
      }
    }
  });

  it('says that it uses the older superblock also when the newer has lost its first bytes', async () => {
    const files = await store();
    edit(files, (bytes) => {
      bytes[0] = 0;
    });
    const pool = new BufferPool({ memory: '1MiB' });
    const state = await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
    expect(state).toMatchObject({ epoch: 2, usedOlderSlot: true });
    await pool.close();
  });

  it('refuses another page size than the store has, and takes the store’s own if none is asked for', async () => {
    const files = await store();
    await expectRefusal(files, 'PW_PAGE_SIZE', { options: { pageSize: '16KiB' } });
    expect((await open(files)).pageSize).toBe(4096);
  });

  it('refuses a missing store that may not be created, and an existing one that must be new', async () => {
    await expectRefusal(new SimulatedDevice(), 'PW_NOT_FOUND', { create: false });
    await expectRefusal(new SimulatedDevice(), 'PW_NOT_FOUND', { readOnly: true });
    await expectRefusal(await store(), 'PW_EXISTS', { errorIfExists: true });
  });

  it('says what is wrong with options before it touches a file', () => {
    const wrong: [BufferPoolOptions, RegExp][] = [
      [{ memory: '100KiB' }, /memory is 102400 bytes/],
      [{ memory: 'lots' }, /memory is no size/],
      [{ pageSize: 5000 }, /pageSize is 5000/],
      [{ pageSize: '128KiB' }, /pageSize is 131072/],
      [{ coolingFraction: 0 }, /coolingFraction is 0/],
      [{ coolingFraction: '0.1' as never }, /coolingFraction is of type string/],
      [{ memory: 2 ** 39 + 4096, pageSize: 4096 }, /at most 134217728 pages, 549755813888 bytes\./],
      [{ memory: 2 ** 43 + 1 }, /at most 134217728 pages, 8796093022208 bytes with the largest pages/],
      [{ pageProvider: 'no' as never }, /pageProvider is no/],
      [{ memory: '1MiB', pageSize: '64KiB' }, /at least 4194304/],
    ];
    for (const [options, message] of wrong) {
      expect(() => new BufferPool(options)).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
      expect(() => new BufferPool(options)).toThrow(message);
    }
  });

  it('takes as much memory as the numbers of frames and of words of 32 bits reach, and no more', async () => {
    for (const frames of [2 ** 25, 2 ** 26, MOST_FRAMES]) {
      expect(FrameTable.bytes(frames)).toBe(64 * frames);
      const last = FrameTable.prototype.at(frames - 1);
      expect(last).toBe(16 * (frames - 1));
    }
    expect(() => new BufferPool({ memory: 2 ** 39, pageSize: 4096 })).not.toThrow();
    // A new store has pages of 16 KiB.
    const error = await expectRefusal(new SimulatedDevice(), 'PW_OPTION_INVALID', { options: { memory: 2 ** 41 + 1 } });
    expect(error.message).toMatch(/has at most 2199023255552/);
  });

  it('starts anew after a crash at any write of a creation, and never takes half a store for one', async () => {
    const rehearsal = new SimulatedDevice();
    await (await open(rehearsal)).close();
    for (let crashAt = 1; crashAt <= rehearsal.operations; crashAt++) {
      for (let seed = 0; seed < 20; seed++) {
        const files = new SimulatedDevice();
        files.crashAt = crashAt;
        await expect(open(files)).rejects.toMatchObject({ code: 'PW_IO' });
        const pool = await open(files.afterCrash(keepSome(seed, (seed % 5) / 4)));
        new PageTree(pool).check(null);
        await pool.close();
      }
    }
  });

  it('of an empty store takes less than 256 KiB', async () => {
    const files = await store();
    expect(bytesOf(files).length).toBeLessThan(200 * 1024);
  });
});

it('tells its backend of all memory for pages once, before anything is in it', async () => {
  const told: { bytes: number; isUntouched: boolean }[] = [];
  class Told extends SimulatedDevice {
    prepareMemory(memory: Uint8Array): void {
      told.push({ bytes: memory.length, isUntouched: memory.every((byte) => byte === 0) });
    }
  }
  const files = new Told();
  for (const times of [1, 2]) {
    const pool = await open(files, { options: { memory: '3MiB' } });
    expect(told).toEqual(Array(times).fill({ bytes: 3 << 20, isUntouched: true }));
    await pool.close();
  }
});

describe('a full disk', () => {
  it('is met before a commit needs the space, and what is dirty can still be written', async () => {
    const files = new SimulatedDevice();
    const pool = await open(files, { options: { pageSize: 4096, memory: 64 * 4096 } });
    const tree = new PageTree(pool);
    const model = newModel(1);
    tree.plant(1);
    files.capacity = files.used + 40 * 4096;
    let number = 2;
    let refused = false;
    for (let a = 0; a < 16 && !refused; a++) {
      for (let b = -1; b < 16 && !refused; b++) {
        try {
          pool.secureSpace(2);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PW_FULL' });
          refused = true;
          continue;
        }
        if (b < 0) {
          tree.insert([], a, number, 0);
          model.children[a] = newModel(number++);
        } else {
          tree.insert([a], b, number, 0);
          (model.children[a] as { children: unknown[] }).children[b] = newModel(number++);
        }
        pool.giveSpace(2);
      }
    }
    expect(refused).toBe(true);
    tree.check(model);
    await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
    await pool.close();
    const again = await open(files.copy(), { options: { memory: 64 * 4096 } });
    new PageTree(again).check(model);
  });
});
