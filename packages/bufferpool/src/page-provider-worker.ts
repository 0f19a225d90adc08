/**
 * The program of the page provider's thread. An error is its end, and the pool's owner is told of it; what it held then, if it
 * held anything, its slot shows.
 */
import { workerData } from 'node:worker_threads';
import type { IoBackend } from '@pagewright/core';
import { BufferPool } from './buffer-pool.js';
import type { PageProviderTask } from './page-provider.js';

const { handle, io } = workerData as PageProviderTask;
const module: { readonly default: (options: unknown) => IoBackend | Promise<IoBackend> } = await import(io.url);
const pool = new BufferPool();
await pool.attach({ io: await module.default(io.options), handle });
pool.provideFrames();
await pool.close();
