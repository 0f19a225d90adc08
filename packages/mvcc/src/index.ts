/** Transactions with snapshot isolation for Pagewright. */
export { Mvcc } from './mvcc.js';
export type { MvccOptions } from './options.js';
export { default, mvcc } from './plugin.js';
