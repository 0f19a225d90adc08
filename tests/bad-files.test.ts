/**
 * What people get wrong: files that are no store, of another format, or damaged by a copy that was cut short. Each
 * is refused with a code of its own and a message that says what to do, and nothing is lost.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { bufferPool } from '@pagewright/bufferpool';
import { type Engine, isPagewrightError } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { wal } from '@pagewright/wal';
import { open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import { LOG_FORMAT_VERSION } from '../packages/wal/src/format/segment-header.js';
import { recordsOf } from './log-anatomy.js';
import {
  DATA,
  directory,
  expectKept,
  filesIn,
  inDirectories,
  makeKilledStore,
  makeStore,
  path,
  picture,
  refusal,
  refusedUnchanged,
  SMALL,
} from './refused-store.js';

inDirectories();

describe('a store of another format', () => {
  const AT_VERSION = 8;
  const AT_CRC = 12;
  const AT_FEATURES = 16;
  /** Changes a field of a block and makes its checksum right again, as another release would have written it. */
  function rewrite(file: string, at: number, field: number, value: number): void {
    const bytes = fs.readFileSync(file);
    const block = bytes.subarray(at, at + 4096);
    block.writeUInt32LE(value, field);
    block.writeUInt32LE(0, AT_CRC);
    block.writeUInt32LE(crc32(block), AT_CRC);
    fs.writeFileSync(file, bytes);
  }

  it('in its version or its features is refused with what is known, also if it is one superblock alone', async () => {
    await makeStore();
    const original = fs.readFileSync(path);
    for (const slots of [[0], [1], [0, 1]]) {
      for (const slot of slots) rewrite(path, slot * 4096, AT_VERSION, 7);
      const version = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open it with a release that knows that version/);
      expect(version.details).toMatchObject({ version: 7, known: 1 });
      await refusedUnchanged({ readOnly: true }, 'PW_FORMAT_VERSION', /Open it with a release/);
      fs.writeFileSync(path, original);
      for (const slot of slots) rewrite(path, slot * 4096, AT_FEATURES, 4);
      const features = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open it with a newer release/);
      expect(features.details).toMatchObject({ features: 4 });
      fs.writeFileSync(path, original);
    }
    await expectKept();
  });

  it('in its log alone is refused, and the release that knows it finds everything', async () => {
    await makeKilledStore();
    const [segment] = [...filesIn(`${path}-wal`).keys()].sort();
    rewrite(segment!, 0, AT_VERSION, 9);
    const error = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open the store with the release that wrote it/);
    expect(error.details).toMatchObject({ path: segment, version: 9 });
    rewrite(segment!, 0, AT_VERSION, LOG_FORMAT_VERSION);
    await expectKept();
  });
});

describe('what is no store', () => {
  const JPEG = Buffer.concat([
    Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'),
    Buffer.alloc(50_000, 0xa5),
  ]);
  const kinds: readonly (readonly [string, Buffer])[] = [
    ['a short text', Buffer.from('hello\n')],
    ['a long text', Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(5000))],
    ['a picture', JPEG],
    ['a database of another kind', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(30_000, 1)])],
    [
      'an image of a disc, which begins with 32 KiB of zeros',
      Buffer.concat([Buffer.alloc(32_768), Buffer.from('\x01CD001\x01'), Buffer.alloc(90_000, 3)]),
    ],
    ['a small file of zeros with something at its end', Buffer.concat([Buffer.alloc(10_000), Buffer.from('mine')])],
    ['a large file of zeros', Buffer.alloc(300_000)],
  ];
  for (const [what, bytes] of kinds) {
    it(`is refused and stays as it was: ${what}`, async () => {
      fs.writeFileSync(path, bytes);
      for (const options of [{}, { create: false }, { readOnly: true }]) {
        await refusedUnchanged(options, 'PW_NOT_A_STORE', /Check the path/);
      }
    });
  }

  it('is refused: a directory', async () => {
    fs.mkdirSync(path);
    fs.writeFileSync(join(path, 'inside'), 'mine');
    for (const options of [{}, { create: false }, { readOnly: true }]) {
      await refusedUnchanged(options, 'PW_NOT_A_STORE', /directory.*Check the path/);
    }
  });

  it('is refused without waiting for it: a pipe', async ({ skip }) => {
    skip(process.platform === 'win32', 'there are no pipes in the file system');
    execFileSync('mkfifo', [path]);
    for (const options of [{}, { create: false }, { readOnly: true }])
      await refusedUnchanged(options, 'PW_NOT_A_STORE', /Check the path/);
  }, 10_000);

  it('is not filled for ever: a device that swallows everything', async ({ skip }) => {
    skip(process.platform === 'win32', 'there is no such device');
    const device = await new NodeFiles().open('/dev/null', {});
    await refusal(() => device.allocate(0, 8192), 'PW_IO', /moves no bytes. Check the device/);
    await refusal(() => device.allocateSync(0, 8192), 'PW_IO', /moves no bytes. Check the device/);
    await device.close();
  }, 10_000);

  it('is refused: a path that leads nowhere', async () => {
    await refusal(() => open(path, { create: false }), 'PW_NOT_FOUND', /Check the path/);
    await refusal(() => open(path, { readOnly: true }), 'PW_NOT_FOUND', /Check the path/);
    await refusal(() => open(join(directory, 'no', 'app.pw')), 'PW_NOT_FOUND', /its directory exists/);
    fs.writeFileSync(path, 'a file');
    await refusal(() => open(join(path, 'app.pw')), 'PW_NOT_FOUND', /Check the path/);
  });

  it('is refused where there must be none: a store that exists', async () => {
    await makeStore();
    await refusedUnchanged({ errorIfExists: true }, 'PW_EXISTS', /Choose another path/);
    await expectKept();
  });

  it('is refused: an empty file, or none, beside the log of a store; with the file back nothing is lost', async () => {
    await makeKilledStore();
    const original = fs.readFileSync(path);
    fs.truncateSync(path);
    await refusedUnchanged({}, 'PW_CORRUPT_FILE', /Restore the file from a backup/);
    await refusedUnchanged({ create: false }, 'PW_NOT_FOUND', /create: true/);
    fs.rmSync(path);
    await refusedUnchanged({}, 'PW_CORRUPT_FILE', /Restore the file from a backup/);
    fs.writeFileSync(path, original);
    await expectKept();
  });
});

describe('what was cut short', () => {
  it('a page file of any length is refused, and with the rest back nothing is lost', async () => {
    for (const make of [makeStore, makeKilledStore]) {
      await make();
      const original = fs.readFileSync(path);
      const log = filesIn(`${path}-wal`);
      const end = original.length;
      const lengths = [1, 7, 8, 87, 88, 500, 4095, 4096, 4100, 8191, 8192, 8193, 12_288, 20_000];
      for (let at = 0; at < 12; at++) lengths.push(Math.floor((end * (at + 1)) / 13));
      lengths.push(end - 70_000, end - 4096, end - 1);
      const codes = new Set<string>();
      for (const length of lengths) {
        fs.writeFileSync(path, original.subarray(0, length));
        for (const options of [{}, { readOnly: true }]) {
          const before = picture();
          const error = await open(path, { memory: '4MiB', ...options }).catch((error) => error);
          if (!isPagewrightError(error)) {
            // Nothing that counts was cut off: the file is longer than what is in use.
            await (error as Engine).close();
            await expectKept();
            if (log.size > 0) fs.mkdirSync(`${path}-wal`);
            for (const [segment, bytes] of log) fs.writeFileSync(segment, bytes);
            fs.writeFileSync(path, original.subarray(0, length));
            continue;
          }
          codes.add(error.code);
          expect(error.message, `${length} bytes`).toMatch(/Restore the file from a backup|Check the path/);
          expect(picture()).toEqual(before);
        }
      }
      expect([...codes].sort()).toEqual(['PW_CORRUPT_FILE', 'PW_NOT_A_STORE']);
      fs.writeFileSync(path, original);
      await expectKept();
      fs.rmSync(path);
    }
  });

  it('to nothing is not taken for a store that may be opened without creating it', async () => {
    await makeStore();
    fs.truncateSync(path);
    await refusedUnchanged({ create: false }, 'PW_NOT_FOUND', /create: true/);
    await refusedUnchanged({ readOnly: true }, 'PW_NOT_FOUND', /create: true/);
  });

  it('a log of any length is refused or has everything, and with the rest back nothing is lost', async () => {
    await makeKilledStore();
    const segments = filesIn(`${path}-wal`);
    const pageFile = fs.readFileSync(path);
    let refused = 0;
    for (const [segment, bytes] of segments) {
      const lengths = [0, 1, 8, 72, 4095, 4096, 4097, 4144, 5000, bytes.length - 1];
      for (let at = 1; at < 10; at++) lengths.push(Math.floor((bytes.length * at) / 10));
      for (const length of lengths) {
        fs.writeFileSync(segment, bytes.subarray(0, length));
        const before = picture();
        const opened = await open(path, { memory: '4MiB' }).catch((error) => error);
        if (isPagewrightError(opened)) {
          expect(opened).toMatchObject({
            code: 'PW_CORRUPT_LOG',
            message: expect.stringMatching(/bring back the log's directory/),
          });
          expect(picture()).toEqual(before);
          refused++;
        } else {
          const found = [...(await (opened as Engine).index<string, unknown>('data')).rangeSync()];
          expect(found, `${segment} cut to ${length}`).toEqual(DATA);
          await (opened as Engine).close();
          fs.writeFileSync(path, pageFile);
          fs.mkdirSync(`${path}-wal`, { recursive: true });
        }
        for (const [name, content] of segments) fs.writeFileSync(name, content);
      }
    }
    expect(refused).toBeGreaterThan(5);
    await expectKept();
  });

  it('a log of which any segment is missing, or all of it, is refused, and with it back nothing is lost', async () => {
    await makeKilledStore({
      ...SMALL,
      memory: undefined,
      pageSize: undefined,
      pages: bufferPool({ memory: '4MiB', pageSize: '4KiB' }),
      log: wal({ segmentSize: '64KiB' }),
    });
    const segments = filesIn(`${path}-wal`);
    expect(segments.size).toBeGreaterThan(1);
    for (const [segment, bytes] of segments) {
      // One that was prepared for later may go.
      if (recordsOf(segment, bytes).length === 0) continue;
      fs.rmSync(segment);
      await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
      fs.writeFileSync(segment, bytes);
    }
    fs.renameSync(`${path}-wal`, join(directory, 'elsewhere'));
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    fs.mkdirSync(`${path}-wal`);
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    fs.rmdirSync(`${path}-wal`);
    fs.renameSync(join(directory, 'elsewhere'), `${path}-wal`);
    await expectKept();
  });

  it('a log of another store in place of its own is refused', async () => {
    await makeKilledStore();
    fs.renameSync(`${path}-wal`, join(directory, 'own-log'));
    fs.renameSync(path, join(directory, 'own.pw'));
    await makeKilledStore();
    fs.renameSync(join(directory, 'own.pw'), path);
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    const [foreign] = fs.readdirSync(`${path}-wal`).sort();
    const [own] = fs.readdirSync(join(directory, 'own-log')).sort();
    fs.renameSync(join(`${path}-wal`, foreign!), join(`${path}-wal`, own!));
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /belongs to another store.*bring back the log's directory/);
    fs.rmSync(`${path}-wal`, { recursive: true });
    fs.renameSync(join(directory, 'own-log'), `${path}-wal`);
    await expectKept();
  });
});
