/** Descriptions of indexes in the log: one that is taken, encoded again, gives the same bytes. */
import { assertSurroundingsUntouched, type FuzzTarget, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat, sameBytes } from './agreement.js';
import { description as format } from './internals.js';

const DESCRIPTIONS = [
  { type: 'btree', keyEncoding: 'utf8', valueEncoding: 'json', name: 'users' },
  { type: 'btree', keyEncoding: 'ordered', valueEncoding: 'msgpack', name: '漢'.repeat(42) },
  { type: 't', keyEncoding: 'k'.repeat(32), valueEncoding: 'custom', name: '\ufeffn' },
];

export const descriptions: FuzzTarget<null> = {
  name: 'descriptions of indexes',
  resizes: true,
  refusals: new Set(['PW_CORRUPT_LOG']),
  seeds: () => DESCRIPTIONS.map((one) => ({ bytes: Uint8Array.from(format.encodeDescription(one)), context: null })),
  run(bytes) {
    const found = decode(bytes, 0);
    expectSame(decode(bytes, 1), found, 'what lies around a description changes it');
    expectThat(sameBytes(format.encodeDescription(found), bytes), 'other bytes give the same description');
    return 'taken';
  },
};

function decode(bytes: Uint8Array, pattern: 0 | 1) {
  const view = surrounded(bytes, pattern);
  const found = format.decodeDescription(view);
  assertSurroundingsUntouched(view, pattern);
  return found;
}
