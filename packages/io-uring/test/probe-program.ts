/** Says what the probe says, what an engine is composed of, and whether buffers could be registered. */
import fs from 'node:fs';
import path from 'node:path';
import { bufferPool } from '@pagewright/bufferpool';
import { compose, compositionOf } from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { ioPosix } from '@pagewright/io-posix';
import { mvcc } from '@pagewright/mvcc';
import { wal } from '@pagewright/wal';
import { ioUring, UringFiles } from '../src/index.js';
import { sharedMemory } from './shared-memory.js';

interface Work {
  readonly addon: string;
  readonly directory: string;
  readonly do: 'probe' | 'register';
}

const { addon, directory, do: what } = JSON.parse(process.argv[2]!) as Work;

function say(line: unknown): void {
  console.log(JSON.stringify(line));
}

if (what === 'probe') {
  const engine = await compose({
    io: [ioUring({ addon }), ioPosix()],
    pages: bufferPool({ memory: '1MiB' }),
    indexes: btree(),
    concurrency: mvcc(),
    log: wal(),
  }).open(path.join(directory, 'store'));
  const { io, skippedIo } = compositionOf(engine)!;
  await engine.close();
  const refusal = await new UringFiles({ addon }).open(path.join(directory, 'file'), { create: true }).then(
    () => null,
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  );
  say({ io, skippedIo, refusal });
} else {
  const backend = new UringFiles({ addon, registerBuffers: true });
  const file = backend.openSync(path.join(directory, 'file'), { create: true });
  const memory = sharedMemory(2 << 20);
  const buffer = new Uint8Array(memory.buffer).fill(7);
  await file.submit([{ kind: 'write', buffer, offset: 0 }], { sync: true });
  file.readSync(buffer, 0);
  say({ errno: backend.figures().registrationErrno, whole: fs.readFileSync(file.path).every((byte) => byte === 7) });
  await file.close();
}
