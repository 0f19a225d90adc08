/** The layer sees what a process does to its files: the journal alone gives the same directory as the process left. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  everythingSurvives,
  type LayerSettings,
  lossOfPower,
  nothingSurvives,
  VolatileLayer,
} from '../../src/index.js';
import { compile } from '../../src/power-cut/native-programs.js';

const layer = VolatileLayer.build();
let home: string;

beforeEach((context) => {
  context.skip(layer.missing !== undefined, layer.missing ?? '');
  home = mkdtempSync(join(realpathSync(tmpdir()), 'pagewright-layer-'));
  for (const directory of ['before', 'live']) mkdirSync(join(home, directory));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function run(command: string, args: readonly string[], faults: Partial<LayerSettings> = {}) {
  const settings = { directory: join(home, 'live'), journal: join(home, 'journal'), ...faults };
  const environment = layer.missing === undefined ? layer.is.environment(settings) : {};
  return spawnSync(command, args, { env: { ...process.env, ...environment }, encoding: 'utf8' });
}

/** All names below, with the text of files; of larger ones length and digest, which is what a person can compare. */
function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(directory.length), entry.isDirectory() ? 'directory' : textOf(readFileSync(path))];
    }),
  );
}

function textOf(bytes: Buffer): string {
  if (bytes.length <= 200) return bytes.toString('latin1');
  return `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`;
}

function contentAfter(loss: typeof nothingSurvives): Record<string, string> {
  const after = join(home, 'after');
  rmSync(after, { recursive: true, force: true });
  lossOfPower(join(home, 'before'), readFileSync(join(home, 'journal')), [loss])[0]!.writeTo(after);
  return contentOf(after);
}

/** The program of all calls, compiled when it is first asked for. */
function everyCall(): string {
  program ??= compile(join(import.meta.dirname, 'every-call.c'), 'every-call');
  if (program.missing !== undefined) throw new Error(program.missing);
  return program.is;
}

let program: ReturnType<typeof compile> | undefined;

describe('the preloaded layer', () => {
  it('sees every way in which Node.js changes a file', () => {
    const { status, stderr } = run(process.execPath, [
      join(import.meta.dirname, 'every-file-call.mjs'),
      join(home, 'live'),
    ]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const live = contentOf(join(home, 'live'));
    expect(Object.keys(live)).toHaveLength(7);
    expect(contentAfter(everythingSurvives)).toEqual(live);
  });

  it('sees every call of the C library, on files that were there before as well', () => {
    for (const directory of ['before', 'live']) {
      writeFileSync(join(home, directory, 'by-creat'), 'was there before');
      writeFileSync(join(home, directory, 'again'), 'was there, too');
    }
    const { status, stderr } = run(everyCall(), [join(home, 'live')]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(contentAfter(everythingSurvives)).toEqual(contentOf(join(home, 'live')));
  });

  it.each([
    'mmap',
    'O_TMPFILE',
    'truncate',
    'rename',
    'exchange',
    'fallocate',
    'pwritev2',
    'sendfile',
    'copy_file_range',
  ])('ends a process that does what it does not see: %s', (what) => {
    const { signal, stderr } = run(everyCall(), [join(home, 'live'), what]);
    expect(stderr).toMatch(/^power-cut layer: .* not modelled\n$/);
    expect(signal).toBe('SIGABRT');
  });

  it('leaves alone what is not below the directory, and processes that the process starts', () => {
    const script = `
      const { spawnSync } = require('node:child_process');
      const fs = require('node:fs');
      fs.writeFileSync('${home}/elsewhere', 'x');
      fs.mkdirSync('${home}/live-not');
      const write = (text) => 'require("node:fs").writeFileSync(process.argv[1], ' + JSON.stringify(text) + ')';
      spawnSync(process.execPath, ['-e', write('by a child'), '${home}/live/child']);`;
    expect(run(process.execPath, ['-e', script]).status).toBe(0);
    expect(readFileSync(join(home, 'journal'))).toHaveLength(0);
    expect(contentOf(join(home, 'live'))).toEqual({ '/child': 'by a child' });
  });

  const stepsBy = (write: string): string => `
    const fs = require('node:fs');
    const fd = fs.openSync('HOME/live/file', 'w');
    fs.fsyncSync(fs.openSync('HOME/live', 'r'));
    const durable = fs.openSync('/proc/self/fd/' + fd, fs.constants.O_RDWR | fs.constants.O_DSYNC);
    for (const [at, letter] of [...'abc'].entries()) {
      try { ${write} fs.writeSync(1, letter); } catch (error) { fs.writeSync(1, error.code); }
    }`;
  const WAYS = [
    ['a write and a sync', stepsBy('fs.writeSync(fd, letter, at); fs.fdatasyncSync(fd);')],
    ['a write that is durable when it returns', stepsBy('fs.writeSync(durable, letter, at);')],
  ] as const;

  it.each(WAYS)('counts as durable exactly what was told to be, wherever the process is killed: by %s', (_, STEPS) => {
    const whole = run(process.execPath, ['-e', STEPS.replaceAll('HOME', home)]);
    expect(whole.stdout).toBe('abc');
    let killed = 0;
    for (let killAt = 1; ; killAt++) {
      rmSync(join(home, 'journal'));
      rmSync(join(home, 'live', 'file'), { force: true });
      const { signal, stdout } = run(process.execPath, ['-e', STEPS.replaceAll('HOME', home)], { killAt });
      if (signal === null) break;
      expect(signal).toBe('SIGKILL');
      expect(contentAfter(nothingSurvives)['/file'] ?? '').toBe(stdout);
      killed++;
    }
    expect(killed).toBe(12); // the name, its sync and the answer, and for each letter the write, the sync, the answer
  });

  it.each(WAYS)('fails the sync that it is told to fail, whose data then may be lost for good: by %s', (_, STEPS) => {
    expect(run(process.execPath, ['-e', STEPS.replaceAll('HOME', home)], { failSync: 2 }).stdout).toBe('aEIOc');
    expect(contentAfter(everythingSurvives)['/file']).toBe('abc');
    expect(contentAfter(nothingSurvives)['/file']).toBe('a\0c');
  });
});
