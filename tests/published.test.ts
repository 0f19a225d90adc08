/**
 * What users get is what `npm pack` takes, and no more: each package in a few files, with the programs that its threads run. Here it is unpacked beside what it depends on, and
 * used from there; the checkout's own `dist/`, which most tests run, is out of reach.
 */
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PACKAGES = readdirSync(join(ROOT, 'packages')).filter((name) => name !== 'testkit');
const directory = mkdtempSync(join(tmpdir(), 'pagewright-published-'));
const modules = join(directory, 'node_modules');

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly exports: Record<string, { readonly default: string } | string>;
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8')) as Manifest;
}

/** Unpacks a package as npm would install it, with links to what it depends on that is not ours. */
function install(name: string): void {
  const manifest = manifestOf(name);
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const from = join(ROOT, 'packages', name);
  const packed = execFileSync('npm', args, { cwd: from, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const target = join(modules, manifest.name);
  mkdirSync(target, { recursive: true });
  // Some npms give the name as it is registered, with its scope.
  const archive = join(directory, filename.replace('@', '').replace('/', '-'));
  execFileSync('tar', ['-xzf', archive, '-C', target, '--strip-components=1']);
  for (const dependency of Object.keys(manifest.dependencies ?? {})) link(from, dependency);
}

function link(from: string, dependency: string): void {
  const target = join(modules, dependency);
  if (dependency.includes('pagewright') || existsSync(target)) return;
  const own = join(from, 'node_modules', dependency);
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(existsSync(own) ? own : join(ROOT, 'node_modules', dependency), target);
}

async function run(program: string): Promise<unknown> {
  const file = join(directory, 'program.mjs');
  writeFileSync(file, program);
  const { NODE_OPTIONS, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: directory, env });
  return JSON.parse(stdout);
}

beforeAll(() => {
  for (const name of PACKAGES) install(name);
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('packages as they are published', () => {
  it.each(
    PACKAGES,
  )('%s has every way in, with its types and its source maps, and nothing that was not bundled', (name) => {
    const manifest = manifestOf(name);
    const place = join(modules, manifest.name);
    for (const entry of Object.values(manifest.exports)) {
      if (typeof entry === 'string') continue;
      expect(entry.default).toMatch(/^\.\/bundle\//);
      expect(existsSync(join(place, entry.default)), entry.default).toBe(true);
      expect(existsSync(join(place, entry.default.replace('bundle', 'dist').replace(/js$/, 'd.ts')))).toBe(true);
    }
    const files = readdirSync(place, { recursive: true, encoding: 'utf8' });
    const code = files.filter((file) => file.endsWith('.js'));
    expect(code.filter((file) => !file.startsWith('bundle'))).toEqual([]);
    for (const file of code) {
      const map = /\/\/# sourceMappingURL=(.+)/.exec(readFileSync(join(place, file), 'utf8'))?.[1];
      if (map === undefined) continue;
      const { sources } = JSON.parse(readFileSync(join(place, dirname(file), map), 'utf8')) as { sources: string[] };
      const missing = sources.filter((source) => !existsSync(join(place, dirname(file), source)));
      expect(missing, `sources of ${file}`).toEqual([]);
    }
  });

  it('are one engine: larger than its memory, with a page provider, and a thread, and all is there again', async () => {
    const result = await run(`
      import { subscribe } from 'node:diagnostics_channel';
      import { once } from 'node:events';
      import { fileURLToPath } from 'node:url';
      import { isMainThread, Worker, workerData } from 'node:worker_threads';
      import { bufferPool } from '@pagewright/bufferpool';
      import { isPagewrightError } from '@pagewright/core';
      import { art } from '@pagewright/index-art';
      import { btree } from '@pagewright/index-btree';
      import { attach, open } from 'pagewright';

      const indexes = [btree(), art()];
      const pages = bufferPool({ memory: '8MiB', pageProvider: true });
      const KEYS = { key: 'u32', value: 'buffer' };
      const WORDS = { type: 'art', key: 'utf8', value: 'utf8' };
      if (isMainThread) {
        const providers = [];
        subscribe('pagewright:pool:provider', ({ event, error }) => providers.push([event, error?.message]));
        const path = ${JSON.stringify(join(directory, 'store.pw'))};
        const db = await open(path, { pages, indexes });
        const keys = await db.index('keys', KEYS);
        const value = Buffer.alloc(1500, 7);
        for (let from = 0; from < 12000; from += 500) {
          await keys.batch(Array.from({ length: 500 }, (_, i) => ({ type: 'put', key: from + i, value })));
        }
        await (await db.index('words', WORDS)).put('a', 'b');
        await once(new Worker(fileURLToPath(import.meta.url), { workerData: db.share() }), 'exit');
        const { evictions } = db.stats().pages;
        const error = await keys.put('no number', value).catch((error) => error);
        const code = isPagewrightError(error, 'PW_ENCODING') ? error.code : String(error);
        const ofThread = new TextDecoder().decode(await keys.get(999999));
        const found = (await keys.get(11999)).length;
        await db.close();
        const again = await open(path, { pages, indexes });
        const { ok } = await again.verify();
        const word = await (await again.index('words', WORDS)).get('a');
        await again.close();
        console.log(JSON.stringify({ hasEvicted: evictions > 0, code, ofThread, found, word, ok, providers }));
      } else {
        const db = await attach(workerData, { pages, indexes });
        await (await db.index('keys', KEYS)).put(999999, Buffer.from('of a thread'));
        await db.close();
      }
    `);
    expect(result).toEqual({
      hasEvicted: true,
      code: 'PW_ENCODING',
      ofThread: 'of a thread',
      found: 1500,
      word: 'b',
      ok: true,
      providers: [
        ['started', null],
        ['ended', null],
      ],
    });
  });

  it('may be bundled into the program that uses them', async () => {
    const program = join(directory, 'to-bundle.mjs');
    writeFileSync(
      program,
      `
      import { open } from 'pagewright';
      const db = await open(${JSON.stringify(join(directory, 'bundled.pw'))}, { memory: '8MiB' });
      const index = await db.index('words', { key: 'utf8', value: 'utf8' });
      await index.put('a', 'b');
      console.log(JSON.stringify(await index.get('a')));
      await db.close();
      `,
    );
    const outDir = join(directory, 'elsewhere');
    await build({
      configFile: false,
      root: directory,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: { ssr: program, outDir, minify: false, rolldownOptions: { output: { entryFileNames: 'bundled.mjs' } } },
    });
    const bundled = readFileSync(join(outDir, 'bundled.mjs'), 'utf8');
    expect(bundled).not.toMatch(/(from|require\()\s*["'](pagewright|@pagewright|tsyringe)/);
    expect(await run(bundled)).toBe('b');
  });
});
