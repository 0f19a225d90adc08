import { crc32 } from 'node:zlib';
import { type ErrorCode, NO_LOG } from '@pagewright/core';
import { newModel, PageTree } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { BufferPool, type BufferPoolOptions } from '../src/index.js';
import { randomFrom, VolatileFiles } from './volatile-files.js';

const PATH = '/store.pw';

interface Request {
  create?: boolean;
  errorIfExists?: boolean;
  readOnly?: boolean;
  options?: BufferPoolOptions;
}

async function open(files: VolatileFiles, request: Request = {}): Promise<BufferPool> {
  const pool = new BufferPool({ memory: '1MiB', ...request.options });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false, ...request });
  return pool;
}

async function store(options?: BufferPoolOptions): Promise<VolatileFiles> {
  const files = new VolatileFiles();
  const pool = await open(files, { options: { pageSize: 4096, ...options } });
  const tree = new PageTree(pool);
  tree.plant(5);
  await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  await pool.close();
  return files;
}

function bytesOf(files: VolatileFiles): Buffer {
  return (files.contents.get(PATH) as { live: Buffer }).live;
}

async function expectRefusal(files: VolatileFiles, code: ErrorCode, request: Request = {}): Promise<Error> {
  const before = files.contents.has(PATH) ? Buffer.from(bytesOf(files)) : null;
  const error = await open(files, request).then(
    () => Promise.reject(new Error('it was opened')),
    (error: Error) => error,
  );
  expect(error).toMatchObject({ name: 'PagewrightError', code });
  expect(before === null ? !files.contents.has(PATH) : before.equals(bytesOf(files)), 'the file was changed').toBe(
    true,
  );
  return error;
}

describe('opening', () => {
  it('refuses a file that is no store, whatever its length, and leaves it as it is', async () => {
    for (const length of [1, 100, 4095, 8192, 100_000]) {
      const files = new VolatileFiles();
      const file = await files.open(PATH);
      file.writeSync(Buffer.alloc(length, 'some other file '), 0);
      await expectRefusal(files, 'PW_NOT_A_STORE');
    }
  });

  it('tells another format version from damage, and names both versions', async () => {
    const files = await store();
    for (const slot of [0, 4096]) {
      const block = bytesOf(files).subarray(slot, slot + 4096);
      block.writeUInt32LE(99, 8);
      block.writeUInt32LE(0, 12);
      block.writeUInt32LE(crc32(block), 12);
    }
    const error = await expectRefusal(files, 'PW_FORMAT_VERSION');
    expect(error.message).toMatch(/99.*1/);
  });

  it('refuses a store whose superblocks are both damaged', async () => {
    const files = await store();
    bytesOf(files)[50] = 0xee;
    bytesOf(files)[4096 + 50] = 0xee;
    await expectRefusal(files, 'PW_CORRUPT_FILE');
  });

  it('refuses a store that was cut off, wherever', async () => {
    const whole = await store();
    const length = bytesOf(whole).length;
    for (const size of [8, 511, 4096, 8191, 8192, 8193, 12288, length - 4096, length - 1]) {
      const files = whole.crash(() => 1);
      const content = files.contents.get(PATH) as { live: Buffer };
      content.live = content.live.subarray(0, size);
      await expectRefusal(files, 'PW_CORRUPT_FILE');
    }
  });

  it('uses the other superblock when any bit of the newer one is flipped, and refuses nothing else', async () => {
    const whole = await store();
    for (let bit = 0; bit < 4096 * 8; bit += 37) {
      for (const slot of [0, 4096]) {
        const files = whole.crash(() => 1);
        const bytes = bytesOf(files);
        bytes[slot + (bit >>> 3)] = (bytes[slot + (bit >>> 3)] as number) ^ (1 << (bit & 7));
        const pool = await open(files);
        // Creation leaves epochs 1 and 2; the tree came with epoch 3, in the first slot.
        new PageTree(pool).check(slot === 0 ? null : newModel(5));
        await pool.close();
      }
    }
  });

  it('says that it uses the older superblock also when the newer has lost its first bytes', async () => {
    const files = await store();
    bytesOf(files)[0] = 0;
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
    await expectRefusal(new VolatileFiles(), 'PW_NOT_FOUND', { create: false });
    await expectRefusal(new VolatileFiles(), 'PW_NOT_FOUND', { readOnly: true });
    await expectRefusal(await store(), 'PW_EXISTS', { errorIfExists: true });
  });

  it('says what is wrong with options before it touches a file', () => {
    const wrong: [BufferPoolOptions, RegExp][] = [
      [{ memory: '100KiB' }, /memory is 102400 bytes/],
      [{ memory: 'lots' }, /memory is no size/],
      [{ pageSize: 5000 }, /pageSize is 5000/],
      [{ pageSize: '128KiB' }, /pageSize is 131072/],
      [{ coolingFraction: 0 }, /coolingFraction is 0/],
      [{ replacement: 'lru' }, /no replacement policy "lru"; there are: cooling, clock/],
      [{ memory: '1MiB', pageSize: '64KiB' }, /at least 4194304/],
    ];
    for (const [options, message] of wrong) {
      expect(() => new BufferPool(options)).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
      expect(() => new BufferPool(options)).toThrow(message);
    }
  });

  it('starts anew after a crash at any write of a creation, and never takes half a store for one', async () => {
    const rehearsal = new VolatileFiles();
    await (await open(rehearsal)).close();
    for (let failAt = 0; failAt < rehearsal.operations; failAt++) {
      for (let seed = 0; seed < 20; seed++) {
        const files = new VolatileFiles();
        files.failAt = failAt;
        await expect(open(files)).rejects.toMatchObject({ code: 'PW_IO' });
        const pool = await open(files.crash(randomFrom(seed)));
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

describe('a full disk', () => {
  it('is met before a commit needs the space, and what is dirty can still be written', async () => {
    const files = new VolatileFiles();
    const pool = await open(files, { options: { pageSize: 4096, memory: 64 * 4096 } });
    const tree = new PageTree(pool);
    const model = newModel(1);
    tree.plant(1);
    files.fullFrom = files.operations + 40;
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
      }
    }
    expect(refused).toBe(true);
    tree.check(model);
    await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
    await pool.close();
    const again = await open(
      files.crash(() => 1),
      { options: { memory: 64 * 4096 } },
    );
    new PageTree(again).check(model);
  });
});
