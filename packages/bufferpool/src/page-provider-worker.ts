/**
 * The program of the page provider's thread. An error is its end, and the pool's owner is told of it; what it held then, if it
 * held anything, its slot shows. It has the parts of the pool that evict pages, and loads no others: most of what a thread takes is the code in it.
 */
import { workerData } from 'node:worker_threads';
import type { IoBackend } from '@pagewright/core/contracts';
import type { PageProviderTask } from './page-provider.js';
import { provideFrames } from './page-provider-rounds.js';
import { PoolInThread } from './pool-in-thread.js';

const { handle, io } = workerData as PageProviderTask;
const module: { readonly default: (options: unknown) => IoBackend | Promise<IoBackend> } = await import(io.url);
const pool = await PoolInThread.attach(await module.default(io.options), handle);
provideFrames(pool.threads, pool.residency, pool.signal);
pool.signal.end();
await pool.leave();
