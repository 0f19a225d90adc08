/** The benchmark of durable commits runs, with Pagewright alone, and does not count what a store has lost or made up. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'pagewright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLiar } from './bench-liar.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HONEST = new URL('../bench/commits/engines/pagewright.mjs', import.meta.url).href;
const PARTS = new URL('../bench/commits/parts.mjs', import.meta.url).href;
const FLUSHES = new URL('../bench/commits/flushes.mjs', import.meta.url).href;

interface Row {
  readonly part: string;
  readonly engine: string;
  readonly form?: string;
  readonly threads?: number;
  readonly perCommit?: number;
  readonly without?: number;
  readonly p50?: { readonly median: number };
}

interface Report {
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
}

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-bench-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs it for a moment. */
function compare(...options: string[]) {
  const json = join(directory, 'report.json');
  rmSync(json, { force: true });
  const short = ['--rounds', '1', '--seconds', '0.2', '--commits', '5', '--json', json, '--directory', directory];
  const program = join(ROOT, 'bench', 'commits.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...short, ...options], { encoding: 'utf8' });
  const report = (): Report => JSON.parse(readFileSync(json, 'utf8')) as Report;
  return { status, output: stdout + stderr, report };
}

/** What has a latency, as part, form or threads, and who it was. */
function measuredOf({ rows }: Report): string[] {
  return rows.flatMap(({ part, form, threads, engine, p50 }) =>
    p50 !== undefined && p50.median > 0 ? [[part, form ?? threads, engine].filter(Boolean).join(' ')] : [],
  );
}

/** An engine that is Pagewright, except for what the given code does to its store. */
const liar = (name: string, code: string): string => writeLiar(directory, name, HONEST, code);

const LIARS = [
  {
    what: 'has lost what it acknowledged',
    code: 'let commits = 0; return { ...store, commit: async (key, value) => { if (++commits !== 10) await store.commit(key, value); } };',
    says: /1 of \d+ commits that were acknowledged are gone/,
  },
  {
    what: 'has another value than was committed',
    code: 'return { ...store, commit(key, value) { value[50] ^= 1; return store.commit(key, value); } };',
    says: /has not the value that was committed/,
  },
  {
    what: 'gives an entry twice',
    code: 'return { ...store, scan(visit) { store.scan(visit); store.scan((key, value) => visit(key, value)); } };',
    says: /is there twice/,
  },
];

describe('the benchmark of durable commits', () => {
  it('measures one committer, commits in flight and an open loop, beside the machine', () => {
    const some = ['--parts', 'one,in-flight,open-loop', '--threads', '2', '--in-flight', '4'];
    const { status, output, report } = compare(
      ...['--engines', 'pagewright,machine', '--policies', 'pipelined', ...some],
      ...['--offered', '20', '--best', '2000'],
    );
    expect(output).toContain('| One committer, each awaited before the next | p50 | p99 |');
    expect(status).toBe(0);
    for (const engine of ['pagewright pipelined', 'machine fdatasync', 'machine O_DSYNC']) {
      if (engine === 'machine O_DSYNC' && output.includes('this system has no O_DSYNC')) continue;
      expect(measuredOf(report())).toContain(`one awaited ${engine}`);
      expect(measuredOf(report())).toContain(`one sync ${engine}`);
    }
    expect(measuredOf(report())).toContain('in-flight 2 pagewright pipelined');
    expect(measuredOf(report())).toContain('open-loop pagewright pipelined');
  });

  it('has the machine write as many bytes as a record of the log has', async () => {
    const { RECORD_BYTES } = (await import(PARTS)) as { RECORD_BYTES: number };
    await using db = await open(join(directory, 'record.pw'));
    const index = await db.index('bench', { key: 'u32', value: 'buffer' });
    const before = db.stats().log!.appendedBytes;
    await db.batch([{ type: 'put', index, key: 1, value: new Uint8Array(100) }]);
    expect(db.stats().log!.appendedBytes - before).toBe(RECORD_BYTES);
  });

  it('counts a flush for each commit of every policy, or says why it cannot', () => {
    const { status, report } = compare('--engines', 'pagewright', '--parts', 'flushes');
    expect(status).toBe(0);
    const { notes, rows } = report();
    if (rows.length === 0) expect(notes.join()).toMatch(/^Flushes were not counted: strace/);
    for (const { without, perCommit } of rows) {
      expect(without).toBe(0);
      expect(perCommit).toBeGreaterThanOrEqual(1);
    }
  });

  it('sees that a commit came back without a flush of its own', async () => {
    const { countFlushes } = (await import(FLUSHES)) as { countFlushes(file: string): Row };
    const file = join(directory, 'strace');
    const mark = '7 openat(AT_FDCWD</x>, "/x/committed.mark", O_WRONLY|O_CREAT, 0666) = 9</x/committed.mark>';
    const calls = [
      '7 openat(AT_FDCWD</x>, "/x/O_DSYNC", O_RDWR|O_CREAT, 0666) = 3</x/O_DSYNC>',
      '8 openat(AT_FDCWD</x>, "/x/b", O_WRONLY|O_DSYNC <unfinished ...>',
      '7 fdatasync(3</x/O_DSYNC>) = 0',
      '8 <... openat resumed>) = 4</x/b>',
      mark,
      '7 pwrite64(3</x/O_DSYNC>, ""..., 4096, 0) = 4096',
      '8 fdatasync(3</x/O_DSYNC> <unfinished ...>',
      '8 <... fdatasync resumed>) = 0',
      mark,
      '7 pwrite64(4</x/b>, ""..., 100, 0) = 100',
      '8 fdatasync(3</x/O_DSYNC> <unfinished ...>',
      mark,
      '8 <... fdatasync resumed>) = 0',
      '7 msync(0x7f, 4096, MS_ASYNC) = 0',
      '7 fdatasync(3</x/O_DSYNC>) = -1 EIO (Input/output error)',
      '7 close(4</x/b>) = 0',
      '7 eventfd2(0, 0) = 4',
      '7 write(4<anon_inode:[eventfd]>, ""..., 8) = 8',
      mark,
    ];
    writeFileSync(file, calls.join('\n'));
    expect(countFlushes(file)).toMatchObject({
      commits: 3,
      flushes: 2,
      without: 1,
      kinds: { fdatasync: 1, O_DSYNC: 1 },
    });
  });

  it.each(LIARS)('fails a cell whose store $what', ({ code, says }) => {
    const engine = liar('liar', code);
    const { status, output, report } = compare(
      '--engines',
      engine,
      '--parts',
      'in-flight',
      '--threads',
      '1',
      '--in-flight',
      '4',
    );
    expect(output).toMatch(says);
    expect(status).toBe(1);
    expect(measuredOf(report())).toEqual([]);
  });

  it('lists what there is when it is asked for something else', () => {
    const { status, output } = compare(
      ...['--engines', 'oracle', '--policies', 'hope', '--parts', 'two', '--seconds', '0', '--offered', '120'],
    );
    expect(status).toBe(1);
    expect(output).toMatch(/no engine "oracle".*pagewright.*lmdb.*better-sqlite3.*machine/);
    expect(output).toMatch(/no commit policy "hope".*pipelined.*sync/);
    expect(output).toMatch(/no part "two".*one, in-flight, open-loop/);
    expect(output).toContain('--seconds is a number above 0');
    expect(output).toContain('--offered is numbers above 0 and up to 100');
  });
});
