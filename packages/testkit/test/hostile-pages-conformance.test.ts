/** The hostile page store is a page store: what an index author tests against keeps the contract that it is a stand-in for. */
import { describe, it } from 'vitest';
import { HostilePages, pageStoreConformance } from '../src/index.js';

/** There is no file below it: clauses that need one are not worth a line each. */
const runner = { describe, it: Object.assign((name: string, body: () => void) => it(name, body), { skip() {} }) };

for (const [how, chances] of [
  ['at peace', {}],
  ['moving and evicting', { relocate: 0.2, evict: 0.2 }],
] as const) {
  describe(`the hostile page store, ${how}`, () => {
    const make = (frames: number) => new HostilePages({ frames, ...chances });
    pageStoreConformance(runner, { create: () => ({ make }) }, { sizeClasses: true });
  });
}
