/** The log on real files: nothing here loses power, but sizes, names and contents are the operating system's. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogOpenRequest, NO_LOG, type StoreState, Threads } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { assertSameRecord, newSuperblock, readAll, recordOf, stateOf } from '@pagewright/testkit/rig';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WriteAheadLog } from '../src/write-ahead-log.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pagewright-wal-'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

function request(state: StoreState): LogOpenRequest {
  return {
    directory: join(home, 'app.pw-wal'),
    io: new NodeFiles(),
    state,
    threads: Threads.alone(),
    readOnly: false,
    onFailure: () => undefined,
  };
}

test('what was committed on real files is there for the next process, and a clean close leaves nothing', async () => {
  const superblock = newSuperblock();
  const sizes = [10, 70_000, 0, 300_000, 5, 1000];
  const first = new WriteAheadLog({ segmentSize: '64KiB' });
  await readAll(await first.open(request(stateOf(superblock))));
  superblock.mark = { timestamp: 0, log: first.begin() };
  await first.secure(superblock.mark.log);
  await first.discardOld();
  for (const [i, size] of sizes.entries()) {
    const record = recordOf(i + 1, 0, size);
    await first.reserve(first.sizeOf(record.operations));
    first.reserveSync(first.sizeOf(record.operations));
    const position = first.append(record);
    if (i % 2 === 0) await first.commit(position);
    else first.commitSync(position);
  }
  await first.close({ discard: false });

  const second = new WriteAheadLog();
  const replay = await second.open(request(stateOf(superblock)));
  const records = await readAll(replay);
  expect(records).toHaveLength(sizes.length);
  for (const [i, record] of records.entries()) assertSameRecord(record, recordOf(i + 1, 0, sizes[i]!));
  expect(replay.tornBytes()).toBe(0);
  await second.secure(second.begin());
  await second.discardOld();
  expect(readdirSync(join(home, 'app.pw-wal'))).toHaveLength(1);
  await second.secure(NO_LOG);
  await second.close({ discard: true });
  expect(readdirSync(home)).toEqual([]);
});
