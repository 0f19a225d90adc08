import { ycsb } from '../mixes/ycsb.mjs';

export const workload = ycsb('YCSB A: half reads, half updates', { read: 0.5, update: 0.5 });
