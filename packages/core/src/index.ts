/** Contracts, composition and engine façade of Pagewright. */
export * from './contracts/concurrency.js';
export * from './contracts/index-plugin.js';
export * from './contracts/io.js';
export * from './contracts/log.js';
export * from './contracts/page-layout.js';
export * from './contracts/pages.js';
export * from './errors.js';
export * from './tokens.js';
