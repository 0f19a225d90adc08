/** Bytes that are lent may be a `Buffer`, whose `slice` is a view: what is kept of them is copied by `copyOf` or by a new `Uint8Array`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

it('takes no copy by slice(), which of a Buffer is none', () => {
  const found: string[] = [];
  for (const part of readdirSync(join(ROOT, 'packages'))) {
    const sources = join(ROOT, 'packages', part, 'src');
    for (const file of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const lines = readFileSync(join(sources, file), 'utf8').split('\n');
      for (const [at, line] of lines.entries())
        if (/\.slice\(\)/.test(line)) found.push(`packages/${part}/src/${file}:${at + 1}`);
    }
  }
  expect(found).toEqual([]);
});
