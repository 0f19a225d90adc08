/** Estimates of ranges in which a few beginnings of keys have most of the entries. */
import { HostilePages, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { ArtType } from '../src/index.js';

it.each([
  3, 37, 61, 98,
])('an estimate is right within a third where one beginning of a hundred, the %i., has nearly all', (large) => {
  const pages = new HostilePages({ pageSize: 4096, frames: 8192, watch: false });
  const tree = new ArtType().create({ pages, number: 7, root: pages.root }, 1);
  const load = tree.bulkLoad!(2, 1);
  let count = 0;
  for (let tenant = 0; tenant < 100; tenant++)
    for (let i = 0; i < (tenant === large ? 50_000 : 100); i++, count++) {
      const name = String.fromCharCode(0x21 + (tenant >>> 3), 0x30 + (tenant & 7));
      load.add(Buffer.from(`${name}tenant/${String(i).padStart(8, '0')}`), valueBytes(i, 60));
    }
  load.finish();
  const estimate = tree.estimate!(null, null);
  expect(Math.abs(estimate / count - 1), `${estimate} of ${count}`).toBeLessThan(0.33);
});
