/** Writes beyond what a process may write into a file. */
import { isPagewrightError } from '@pagewright/core';
import { UringFiles } from '../src/index.js';

process.on('SIGXFSZ', () => {}); // else it ends the process

const { addon, path } = JSON.parse(process.argv[2]!) as { addon: string; path: string };
const file = new UringFiles({ addon }).openSync(path, { create: true });
const buffer = new Uint8Array(100_000).fill(1);

async function faultOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    if (!isPagewrightError(error)) throw error;
    return { code: error.code, errno: error.details.errno, offset: error.details.offset };
  }
}

const inPlace = await faultOf(() => file.writeSync(buffer, 0));
const later = await faultOf(() => file.write(buffer, 100));
const chain = await faultOf(() =>
  file.submit(
    [
      { kind: 'write', buffer: buffer.subarray(0, 10), offset: 0 },
      { kind: 'write', buffer, offset: 1000 },
      { kind: 'write', buffer: buffer.subarray(0, 10), offset: 20 },
    ],
    { sync: true },
  ),
);
console.log(JSON.stringify({ inPlace, later, chain }));
