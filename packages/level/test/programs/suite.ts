/** Runs abstract-level's suite, as it ships, over databases in the directory that is given, and writes what tape says of it. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type OpenOptions, PagewrightLevel } from '../../src/index.js';

interface SuiteOptions {
  readonly test: unknown;
  factory(options?: object): unknown;
}

const require = createRequire(import.meta.url);
const tape = require('tape') as { createStream(options: { objectMode: true }): NodeJS.ReadableStream };
const suite = require('abstract-level/test') as (options: SuiteOptions) => void;

const directory = process.argv[2] as string;
let databases = 0;

const totals = { tests: 0, assertions: 0, passed: 0 };
tape
  .createStream({ objectMode: true })
  .on('data', (row: { type: string; name: string; ok?: boolean }) => {
    if (row.type === 'test') totals.tests++;
    if (row.type !== 'assert') return;
    totals.assertions++;
    if (row.ok === true) totals.passed++;
    else console.error(row);
  })
  .on('end', () => console.log(JSON.stringify(totals)));

/** Some thousand databases, each with little memory: as an option of theirs the suite's hooks would see it. */
class SmallLevel extends PagewrightLevel {
  override _open(options: OpenOptions): Promise<void> {
    return super._open({ memory: '4MiB', ...options });
  }
}

suite({
  test: tape,
  factory: (options) => new SmallLevel(join(directory, `${databases++}.pw`), options),
});
