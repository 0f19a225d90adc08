/** SQLite by better-sqlite3, with the settings that `engines` has. A statement by itself is a transaction; in WAL mode it is durable with `synchronous = FULL`. */
import { join } from 'node:path';
import { engine as compared, Database } from '../../engines/better-sqlite3.mjs';

export const engine = {
  name: 'better-sqlite3',

  version: compared.version,

  async open(directory) {
    const db = new Database(join(directory, 'bench.db'));
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('CREATE TABLE IF NOT EXISTS entries (key INTEGER PRIMARY KEY, value BLOB NOT NULL)');
    const insert = db.prepare('INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)');
    const all = db.prepare('SELECT key, value FROM entries').raw();
    return {
      settings: 'WAL, synchronous FULL, locking_mode EXCLUSIVE; one put a transaction',

      whyNotAwaited:
        'all its calls are synchronous, so that only one commit is ever in flight, and two connections wait for one lock',

      commitSync: (key, value) => insert.run(key, value),

      scan(visit) {
        for (const [key, value] of all.iterate()) visit(key, value);
      },

      close: () => db.close(),
    };
  },
};
