/** Transactions with what they need around them. */
import { ConcurrencyRig } from '@pagewright/testkit';
import { Mvcc, type MvccOptions } from '../src/index.js';

export { bytes, codeOf, RigTarget } from '@pagewright/testkit';

export class Rig extends ConcurrencyRig {
  readonly mvcc: Mvcc;

  constructor(options: MvccOptions = {}, startAt = 0) {
    const mvcc = new Mvcc(options);
    super(mvcc, startAt);
    this.mvcc = mvcc;
  }
}
