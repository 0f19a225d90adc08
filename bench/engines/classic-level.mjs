/**
 * LevelDB by classic-level. One batch is its transaction; with `sync` it is durable when it resolves. There is no synchronous way to scan:
 * `nextv` gives a thousand entries for one turn of the event loop. What is read from was compacted, as it would be after a while.
 */
import { ClassicLevel } from 'classic-level';
import { LevelKeys } from '../comparison/level-keys.mjs';
import { versionOf } from '../comparison/peers.mjs';

const ENTRIES_A_TURN = 1000;

export const engine = {
  name: 'classic-level',

  version: () => versionOf('classic-level'),

  async open(directory, data) {
    const { encoding, toEngine, least, most } = new LevelKeys(data);
    const db = new ClassicLevel(directory, {
      keyEncoding: encoding,
      valueEncoding: 'buffer',
      cacheSize: 512 * 2 ** 20,
      writeBufferSize: 64 * 2 ** 20,
      compression: false,
    });
    await db.open();
    const put = async (batches) => {
      const batch = db.batch();
      for (const { keys, values } of batches) {
        for (let at = 0; at < keys.length; at++) batch.put(toEngine(keys[at]), values[at]);
      }
      await batch.write({ sync: true });
    };
    return {
      settings: 'cache of 512 MiB, write buffer of 64 MiB, no compression',

      put,

      load: put,

      /** So that reads meet what there is after a while, not what a load leaves behind. */
      settle: () => db.compactRange(least, most),

      get: (key) => db.getSync(toEngine(key)),

      async scan(visit) {
        const iterator = db.iterator({ highWaterMarkBytes: 2 ** 20 });
        for (;;) {
          const entries = await iterator.nextv(ENTRIES_A_TURN);
          if (entries.length === 0) break;
          for (const [key, value] of entries) visit(key, value);
        }
        await iterator.close();
      },

      close: () => db.close(),
    };
  },
};
