// Changes the files of the directory that it is given by what Node.js has for it: now, by callback, by promise, by stream.
import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const below = (name) => join(process.argv[2], name);
const write = promisify(fs.write);
const writev = promisify(fs.writev);

const fd = fs.openSync(below('random access'), 'w+');
fs.writeSync(fd, Buffer.alloc(1000, 1), 0, 1000, 0);
fs.writevSync(fd, [Buffer.alloc(10, 2), Buffer.alloc(20, 3)], 500);
fs.writevSync(fd, [Buffer.alloc(10, 4), Buffer.alloc(20, 5)]);
await Promise.all([
  writev(fd, [Buffer.alloc(300, 6), Buffer.alloc(400, 7)], 5000),
  write(fd, Buffer.alloc(300, 8), 0, 300, 7000),
  promisify(fs.fdatasync)(fd),
]);
fs.ftruncateSync(fd, 6000);
fs.fdatasyncSync(fd);
fs.fsyncSync(fd);
fs.closeSync(fd);

fs.writeFileSync(below('text'), 'hello');
fs.appendFileSync(below('text'), ' world');
await fs.promises.writeFile(below('large'), Buffer.alloc(200_000, 9));
await fs.promises.appendFile(below('large'), 'x');
const handle = await fs.promises.open(below('by handle'), 'w');
await handle.writev([Buffer.from('abc'), Buffer.from('def')], 3);
await handle.datasync();
await handle.truncate(5);
await handle.close();
const stream = fs.createWriteStream(below('by stream'));
for (let line = 0; line < 50; line++) stream.write(`line ${line}\n`);
await new Promise((resolve) => stream.end(resolve));

fs.linkSync(below('text'), below('linked'));
fs.unlinkSync(below('text'));
fs.renameSync(below('large'), below('renamed'));
fs.mkdirSync(below('a/b'), { recursive: true });
fs.writeFileSync(below('a/b/moved'), 'moved');
fs.renameSync(below('a/b/moved'), below('moved'));
fs.rmdirSync(below('a/b'));
fs.mkdirSync(below('removed'));
fs.writeFileSync(below('removed/with this'), '');
fs.rmSync(below('removed'), { recursive: true });
