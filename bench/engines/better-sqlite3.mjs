/**
 * SQLite by better-sqlite3: one table, keys in the primary key, statements prepared once. Whole numbers are the rowid, everything else
 * is a table without one, as its documentation advises. In WAL mode a commit is durable with `synchronous = FULL`. Locks are taken once
 * (`locking_mode = EXCLUSIVE`), not for each read, and pages are read in the mapped file.
 */
import { join } from 'node:path';
import { versionOf } from '../comparison/peers.mjs';

// What has binaries in its package works from Node.js 22 on; for 20, an older one is built: `npm run build-sqlite` in this directory.
const PACKAGE = Number(process.versions.node.split('.')[0]) >= 22 ? 'better-sqlite3' : 'better-sqlite3-node20';
export const { default: Database } = await import(PACKAGE);
// Without its binary it can be imported, but not used.
new Database(':memory:').close();
const CACHE_KIB = 512 * 1024;
const MAPPED_BYTES = 2 ** 31 - 2 ** 16;

export const engine = {
  name: 'better-sqlite3',

  version: () => versionOf(PACKAGE),

  async open(directory, data, durability = 'durable') {
    const db = new Database(join(directory, 'bench.db'));
    db.pragma('journal_mode = WAL');
    // OFF: what is committed survives the process, but not the machine.
    db.pragma(`synchronous = ${durability === 'relaxed' ? 'OFF' : 'FULL'}`);
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma(`mmap_size = ${MAPPED_BYTES}`);
    db.exec(
      data.kind === 'u64'
        ? 'CREATE TABLE IF NOT EXISTS entries (key INTEGER PRIMARY KEY, value BLOB NOT NULL)'
        : 'CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
    );
    const insert = db.prepare('INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)');
    const select = db.prepare('SELECT value FROM entries WHERE key = ?').pluck();
    const all = db.prepare('SELECT key, value FROM entries ORDER BY key').raw();
    const some = db.prepare('SELECT key, value FROM entries WHERE key >= ? ORDER BY key LIMIT ?').raw();
    const modify = db.transaction((key, change) => {
      insert.run(key, change(select.get(key)));
    });
    const put = db.transaction((batches) => {
      for (const { keys, values } of batches) {
        for (let at = 0; at < keys.length; at++) insert.run(keys[at], values[at]);
      }
    });
    return {
      settings: `WAL, synchronous FULL, locking_mode EXCLUSIVE, cache of ${CACHE_KIB / 1024} MiB, mmap_size of 2 GiB`,

      put: (batches) => put(batches),

      load: (batches) => put(batches),

      write(key, value) {
        insert.run(key, value);
      },

      /** `immediate`: it will write, so it takes the lock at once. */
      modify(key, change) {
        modify.immediate(key, change);
      },

      scanFrom(from, limit, visit) {
        for (const [key, value] of some.iterate(from, limit)) visit(key, value);
      },

      get: (key) => select.get(key),

      scan(visit) {
        for (const [key, value] of all.iterate()) visit(key, value);
      },

      close: () => db.close(),
    };
  },
};
