/** Engines of real parts on real files, in a directory of their own, with an I/O backend that can be made to fail. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BufferPool, type BufferPoolOptions } from '@pagewright/bufferpool';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { Mvcc, type MvccOptions } from '@pagewright/mvcc';
import { WriteAheadLog } from '@pagewright/wal';
import { TeardownStack } from '../../src/composition/teardown.js';
import { type Engine, type OpenOptions, openEngine } from '../../src/engine/index.js';
import { type ErrorCode, type IndexType, PagewrightError } from '../../src/index.js';
import { FailingFiles } from './failing-files.js';
import { FanIndexType } from './fan-index.js';

export interface RigOptions extends OpenOptions {
  readonly pool?: BufferPoolOptions;
  readonly mvcc?: MvccOptions;
  readonly types?: readonly IndexType[];
  /** Name of a file in the directory. Default: the store. */
  readonly file?: string;
}

export class Rig {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-engine-'));
  readonly file = path.join(this.directory, 'app.pw');
  readonly io = new FailingFiles(new NodeFiles());
  private readonly engines: Engine[] = [];

  async open(options: RigOptions = {}): Promise<Engine<'fan' | 'other' | 'btree'>> {
    const { pool, mvcc, types, file, ...rest } = options;
    const parts = {
      io: this.io,
      pages: new BufferPool({ memory: 8 << 20, pageSize: 4096, ...pool }),
      indexes: types ?? [new FanIndexType('fan'), new FanIndexType('other'), new BtreeType()],
      concurrency: new Mvcc(mvcc),
      log: new WriteAheadLog({ segmentSize: 1 << 20 }),
      teardown: new TeardownStack(),
    };
    const target = file === undefined ? this.file : path.join(this.directory, file);
    const engine = await openEngine<'fan' | 'other' | 'btree'>(parts, target, rest);
    this.engines.push(engine);
    return engine;
  }

  /** What a crash leaves: the files as they are now, under another name, without the process that wrote them. */
  crash(name: string, of = 'app.pw'): string {
    const from = path.join(this.directory, of);
    const copy = path.join(this.directory, name);
    fs.rmSync(`${copy}-wal`, { recursive: true, force: true });
    fs.copyFileSync(from, copy);
    if (fs.existsSync(`${from}-wal`)) fs.cpSync(`${from}-wal`, `${copy}-wal`, { recursive: true });
    return name;
  }

  logFiles(): string[] {
    return fs.existsSync(`${this.file}-wal`) ? fs.readdirSync(`${this.file}-wal`) : [];
  }

  async end(): Promise<void> {
    this.io.heal();
    for (const engine of this.engines) await engine.close().catch(() => {});
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The code of the error that the call throws, or its promise rejects with; 'none' if there is none. */
export async function codeOf(call: () => unknown): Promise<ErrorCode | 'none'> {
  try {
    await call();
  } catch (error) {
    if (error instanceof PagewrightError) return error.code;
    throw error;
  }
  return 'none';
}

/** All entries of an index, or of a range of it. */
export async function all<Item>(range: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of range) items.push(item);
  return items;
}
