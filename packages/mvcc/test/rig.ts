/** Transactions with what they need around them. */
import { ConcurrencyRig } from '@pagewright/testkit/rig';
import { Mvcc, type MvccOptions } from '../src/index.js';

export { bytes, codeOf, RigTarget } from '@pagewright/testkit/rig';

export class Rig extends ConcurrencyRig {
  readonly mvcc: Mvcc;

  constructor(options: MvccOptions = {}, startAt = 0) {
    const mvcc = new Mvcc(options);
    super(mvcc, startAt);
    this.mvcc = mvcc;
  }
}
