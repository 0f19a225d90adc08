/** The comparison with other engines runs, with Pagewright alone, and does not count what an engine gets wrong. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLiar } from './bench-liar.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HONEST = new URL('../bench/engines/pagewright.mjs', import.meta.url).href;
const KEYS = 300;

interface Report {
  readonly rows: readonly {
    readonly data: string;
    readonly measure: string;
    readonly engines: readonly { readonly engine: string; readonly clock?: { readonly median: number } }[];
  }[];
}

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-bench-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the comparison on a few hundred keys. */
function compare(...options: string[]) {
  const json = join(directory, 'report.json');
  rmSync(json, { force: true });
  const small = [
    '--keys',
    String(KEYS),
    '--operations',
    '500',
    '--rounds',
    '1',
    '--json',
    json,
    '--directory',
    directory,
  ];
  const program = join(ROOT, 'bench', 'engines.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...small, ...options], { encoding: 'utf8' });
  const report = (): Report => JSON.parse(readFileSync(json, 'utf8')) as Report;
  return { status, output: stdout + stderr, report };
}

/** What was measured of Pagewright, as data set and measure. */
function measuredOf({ rows }: Report): string[] {
  return rows.flatMap(({ data, measure, engines }) => {
    const own = engines.find(({ engine }) => engine === 'pagewright');
    return own?.clock !== undefined && own.clock.median > 0 ? [`${data} ${measure}`] : [];
  });
}

/** An engine that is Pagewright, except for what the given code does to its store. */
const liar = (name: string, code: string): string => writeLiar(directory, name, HONEST, code);

const changed = 'Uint8Array.from(value, (byte, at) => (at === 50 ? byte ^ 1 : byte))';
const LIARS = [
  {
    what: 'one wrong bit in a value that is read',
    workload: 'random-get',
    code: `return { ...store, get(key) { const value = store.get(key); return value && ${changed}; } };`,
  },
  {
    what: 'a value for a key that was never stored',
    workload: 'random-get',
    code: 'return { ...store, get: (key) => store.get(key) ?? new Uint8Array(100) };',
  },
  {
    what: 'another value after a while, when the clock runs',
    workload: 'random-get',
    code: 'let reads = 0; let first; return { ...store, get(key) { const value = store.get(key); first ??= value; return ++reads > 500 && value ? first : value; } };',
  },
  {
    what: 'one entry that a scan leaves out',
    workload: 'scan',
    code: 'return { ...store, scan(visit) { let at = 0; store.scan((key, value) => { if (++at !== 100) visit(key, value); }); } };',
  },
  {
    what: 'an entry that the second scan gives twice',
    workload: 'scan',
    code: 'let scans = 0; return { ...store, scan(visit) { const twice = ++scans === 2; store.scan((key, value) => { visit(key, value); if (twice) { visit(key, value); } }); } };',
  },
  {
    what: 'one wrong bit in a value that is scanned',
    workload: 'scan',
    code: `return { ...store, scan(visit) { store.scan((key, value) => visit(key, ${changed})); } };`,
  },
  {
    what: 'a put that is lost',
    workload: 'random-load',
    code: 'return { ...store, *some(batches) { for (const { keys, values } of batches) yield { keys: keys.slice(1), values: values.slice(1) }; }, put(batches) { store.put(this.some(batches)); } };',
  },
  {
    what: 'a value that was written over',
    workload: 'ycsb-a',
    code: 'const first = new Map(); return { ...store, get(key) { if (!first.has(key)) first.set(key, store.get(key)); return first.get(key); } };',
  },
  {
    what: 'no more what one write has written',
    workload: 'ycsb-a',
    code: 'let writes = 0; return { ...store, write: (key, value) => (++writes === 10 ? Promise.resolve() : store.write(key, value)) };',
  },
  {
    what: 'what another transaction has replaced, to one that writes it',
    workload: 'ycsb-f',
    code: 'let last; return { ...store, modify: (key, change) => store.modify(key, (value) => { const found = last?.key === key ? last.value : value; last = { key, value }; return change(found); }) };',
  },
  {
    what: 'a scan from the entry behind',
    workload: 'ycsb-e',
    code: 'return { ...store, scanFrom(key, length, visit) { let at = 0; store.scanFrom(key, length + 1, (k, v) => { if (at++ > 0) visit(k, v); }); } };',
  },
  {
    what: 'to a snapshot what was written after it began',
    workload: 'long-snapshot',
    code: 'return { ...store, snapshot: () => ({ get: store.get, release() {} }) };',
  },
];

describe('the comparison with other engines', () => {
  it('shows a report that was written down as it showed it when it was made', async () => {
    const cost = { median: 1200, least: 1000, most: 1300, timesPeer: Number.NaN, timesLimit: Number.NaN };
    const target = { times: 2, clock: Number.NaN, cpu: Number.NaN };
    const engines = ['pagewright', 'lmdb'].map((engine) => ({ engine, clock: cost, cpu: cost }));
    const rows = [{ data: 'decimal', title: 'random get', unit: 'ns', engines, target }];
    const { href } = pathToFileURL(join(ROOT, 'bench', 'comparison', 'table.mjs'));
    const { tablesOf } = (await import(href)) as { tablesOf(rows: unknown, peer: string, titles: unknown): string };
    const made = tablesOf(rows, 'lmdb', { decimal: 'decimal' });
    expect(made).toContain(
      '| random get | 1.20 µs (1.00 µs to 1.30 µs) | 1.20 µs (1.00 µs to 1.30 µs) | × 2.00: not measured |',
    );
    expect(tablesOf(JSON.parse(JSON.stringify(rows)), 'lmdb', { decimal: 'decimal' })).toBe(made);
  });

  it('measures every workload, and holds it against the machine', () => {
    const { status, output, report } = compare('--engines', 'pagewright,machine', '--data', 'decimal');
    expect(output).toContain('| pagewright | machine | wanted |');
    expect(status).toBe(0);
    const measured = measuredOf(report());
    const wanted = [
      'get',
      'scan',
      'put',
      'size',
      'open',
      'one',
      'two',
      'relaxedTwo',
      'snapshot',
      'beside',
      'durable',
      'relaxed',
    ];
    for (const measure of wanted) expect(measured).toContain(`decimal ${measure}`);
  });

  it('measures with keys that are numbers or paths', () => {
    const from = join(ROOT, 'packages');
    const some = ['--engines', 'pagewright', '--workloads', 'random-get,scan,ycsb-e'];
    const { status, report } = compare(...some, '--data', 'u64,path', '--paths-from', from);
    expect(status).toBe(0);
    const measures = ['get', 'scan', 'durable', 'relaxed'];
    expect(measuredOf(report())).toEqual(
      ['u64', 'path'].flatMap((data) => measures.map((measure) => `${data} ${measure}`)),
    );
  });

  it.each([
    ...new Set(LIARS.map(({ workload }) => workload)),
  ])('fails the cells that give something wrong in %s', (workload) => {
    const some = LIARS.filter((one) => one.workload === workload);
    const liars = some.map(({ code }, at) => liar(`liar${at}`, code));
    const engines = ['pagewright', ...liars].join(',');
    const { status, output, report } = compare('--engines', engines, '--data', 'decimal', '--workloads', workload);
    expect(status).toBe(1);
    for (const [at, { what }] of some.entries()) expect(output, what).toMatch(new RegExp(`liar${at}.*WrongAnswer`));
    const [honest, ...lying] = report().rows[0]!.engines;
    expect(honest!.clock).toBeDefined();
    for (const [at, { clock }] of lying.entries()) expect(clock, some[at]!.what).toBeUndefined();
  });

  it('says of a process that ends without a word that it failed, and goes on', () => {
    const engine = liar('silent', 'store.get = () => process.kill(process.pid, "SIGKILL"); return store;');
    const { status, output } = compare(
      '--engines',
      `${engine},pagewright`,
      '--data',
      'decimal',
      '--workloads',
      'random-get',
    );
    expect(output).toContain('SIGKILL');
    expect(output).toMatch(/round 1, pagewright: \{"get"/);
    expect(status).toBe(1);
  });

  it('leaves out an engine that cannot be loaded, and says why', () => {
    const engine = join(directory, 'absent.mjs');
    writeFileSync(engine, "import 'no-such-package';");
    const { status, output } = compare('--engines', `${engine},pagewright`, '--data', 'decimal', '--workloads', 'scan');
    expect(output).toContain("cannot be loaded: Cannot find package 'no-such-package'");
    expect(status).toBe(0);
  });

  it('lists what there is when it is asked for something else', () => {
    const { status, output } = compare('--engines', 'oracle', '--workloads', 'tpc-c', '--data', 'emoji', '--keys', '0');
    expect(status).toBe(1);
    expect(output).toMatch(/no engine "oracle".*pagewright.*better-sqlite3.*lmdb.*machine/);
    expect(output).toMatch(/no workload "tpc-c".*random-get.*scan/);
    expect(output).toMatch(/no data set "emoji".*decimal, u64, path/);
    expect(output).toContain('--keys is a whole number from 1 on');
  });
});
