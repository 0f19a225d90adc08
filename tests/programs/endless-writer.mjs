// Does the work of the endless script until it is killed. Each line of what it tells is a synchronous write to standard
// output, so that what the reader has seen was acknowledged. If the device fails it tells what the store says, and waits to
// be killed all the same. Its one argument is JSON:
//   path, commit, pageSize, durability
//   forget: 'sync', 'syncDirectory', or 'wait', once the work has begun: syncs, of files or directories, answer without having
//     been done, or before they are done
//   killAt: { during, operation, number, begun }: kills itself at the operation of this number, from 1, of all those (or
//     those of this name) that come while the work is at this point; with `begun` it has just been handed to the system
import { writeSync } from 'node:fs';
import { definePlugin, IO } from '@pagewright/core';
import { PosixFiles } from '@pagewright/io-posix';
import { EndlessWork } from '@pagewright/testkit';
import { wal } from '@pagewright/wal';
import { open } from 'pagewright';
import { hooked } from './hooked-files.mjs';

const { path, commit, pageSize, durability = 'durable', forget, killAt } = JSON.parse(process.argv[2]);
let point = 'opening';
let operations = 0;

function tell(line) {
  writeSync(1, `${line}\n`);
  const [word, what] = line.split(' ');
  if (word === 'ready' || word === 'done') point = 'writing';
  else if (word === 'begun') point = what;
}

function isTheOne(operation) {
  if (killAt === undefined || (killAt.during !== undefined && killAt.during !== point)) return false;
  if (killAt.operation !== undefined && killAt.operation !== operation) return false;
  return ++operations === killAt.number;
}

const hook = (operation, perform) => {
  if (point !== 'opening' && operation === forget) return Promise.resolve();
  if (point !== 'opening' && operation === 'sync' && forget === 'wait') {
    Promise.resolve(perform()).catch(() => undefined);
    return Promise.resolve();
  }
  if (!isTheOne(operation)) return perform();
  if (killAt.begun) perform();
  process.kill(process.pid, 'SIGKILL');
};
// What is forgotten, and where it dies, is a write or a sync.
const files = hooked(new PosixFiles(), hook, { splits: forget !== undefined || killAt !== undefined });
const hookedIo = definePlugin({
  name: 'files-with-hooks',
  kind: 'io',
  contract: 1,
  provides: [IO],
  setup: (container) => container.register(IO, { useValue: files }),
});

const db = await open(path, {
  memory: '4MiB',
  pageSize,
  io: hookedIo(),
  log: wal({ commit, durability, segmentSize: '256KiB' }),
  checkpoint: { logBytes: 400_000 },
}).catch((error) => error);
if (!('state' in db)) tell(`unopened ${db.code}`);
else {
  try {
    await (await EndlessWork.on(db, tell)).forever();
  } catch (error) {
    // The device has failed: what the store says of itself, and what it does with another commit.
    tell(`failed ${error.code}`);
    tell(`state ${db.state}`);
    tell(`then ${await db.index('one more').catch((refused) => refused.code)}`);
  }
}
setInterval(() => undefined, 1000); // until it is killed
