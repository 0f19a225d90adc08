/** The comparison by orders and payments runs, with Pagewright alone, and finds what an engine gets wrong. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLiar } from './bench-liar.js';

const PROGRAM = fileURLToPath(new URL('../bench/orders.mjs', import.meta.url));
const HONEST = new URL('../bench/orders/engines/pagewright.mjs', import.meta.url).href;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-orders-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function compare(...options: string[]) {
  const json = join(directory, 'report.json');
  rmSync(json, { force: true });
  const small = ['--warehouses', '1', '--operations', '300', '--rounds', '1', '--json', json, '--directory', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...small, ...options], { encoding: 'utf8' });
  return { status, output: stdout + stderr, report: () => JSON.parse(readFileSync(json, 'utf8')) };
}

const LIARS = [
  {
    what: 'a payment that is lost',
    code: 'let at = 0; return { ...store, payment: (input) => (++at === 20 ? undefined : store.payment(input)) };',
  },
  {
    what: 'a payment that is made twice',
    code: 'let at = 0; return { ...store, payment(input) { if (++at === 20) store.payment({ ...input, h: -1 }); return store.payment(input); } };',
  },
  {
    what: 'an order without one of its lines',
    code: 'let at = 0; return { ...store, *rows(table) { for (const row of store.rows(table)) if (table !== "line" || ++at !== 7) yield row; } };',
  },
];

describe('the comparison by orders', () => {
  it('measures, and fails the cells of engines that do it wrong', () => {
    const liars = LIARS.map(({ code }, at) => writeLiar(directory, `liar${at}`, HONEST, code));
    const { status, output, report } = compare('--engines', ['pagewright', ...liars].join(','));
    expect(status).toBe(1);
    for (const [at, { what }] of LIARS.entries()) expect(output, what).toMatch(new RegExp(`liar${at}.*WrongAnswer`));
    for (const { measure, engines } of report().rows) {
      const [honest, ...lying] = engines;
      expect(honest.clock.median, measure).toBeGreaterThan(0);
      for (const [at, { clock }] of lying.entries()) expect(clock, `${LIARS[at]!.what}, ${measure}`).toBeUndefined();
    }
  });

  it('says what there is when it is asked for something else', () => {
    expect(compare('--engines', 'oracle').output).toMatch(/no engine "oracle".*pagewright, lmdb, better-sqlite3/);
    expect(compare('--warehouses', '0').output).toContain('--warehouses is a whole number from 1 on');
  });
});
