import { ycsb } from '../mixes/ycsb.mjs';

export const workload = ycsb('YCSB C: reads', { read: 1 });
