/**
 * RocksDB by @nxtedition/rocksdb. One batch is its transaction; with `sync` it is durable. Its synchronous forms, which begin with an
 * underscore, are several times faster than its promises, so they are what is measured: one key at a time for reads, a thousand
 * entries at a time for scans.
 */
import { RocksLevel } from '@nxtedition/rocksdb';
import { versionOf } from '../comparison/peers.mjs';

const ENTRIES_A_TURN = 1000;
const NO_OPTIONS = {};
const BUFFERS = { valueEncoding: 'buffer' };

export const engine = {
  name: 'rocksdb',

  version: () => versionOf('@nxtedition/rocksdb'),

  async open(directory, data) {
    const toEngine = data.kind === 'u64' ? bytesOf : (key) => Buffer.from(key, 'latin1');
    const keyEncoding = data.kind === 'u64' ? 'buffer' : 'utf8';
    const db = new RocksLevel(directory, {
      keyEncoding,
      valueEncoding: 'buffer',
      cacheSize: 1024 * 2 ** 20,
      compression: false,
      parallelism: 2,
    });
    await db.open();
    const put = (batches) => {
      const batch = db.batch();
      for (const { keys, values } of batches) {
        for (let at = 0; at < keys.length; at++) batch._put(toEngine(keys[at]), values[at], NO_OPTIONS);
      }
      batch._writeSync({ sync: true });
      batch._closeSync();
    };
    return {
      settings: 'cache of 1 GiB, no compression, parallelism 2',

      put,

      load: put,

      get: (key) => db._getManySync([toEngine(key)], BUFFERS)[0],

      scan(visit) {
        const iterator = db._iterator({ keyEncoding, valueEncoding: 'buffer', highWaterMarkBytes: 2 ** 20 });
        for (let finished = false; !finished; ) {
          const result = iterator._nextvSync(ENTRIES_A_TURN);
          for (let at = 0; at < result.rows.length; at += 2) visit(result.rows[at], result.rows[at + 1]);
          finished = result.finished;
        }
        iterator._closeSync();
      },

      close: () => db.close(),
    };
  },
};

function bytesOf(number) {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(Math.floor(number / 2 ** 32), 0);
  bytes.writeUInt32BE(number % 2 ** 32, 4);
  return bytes;
}
