import { ycsb } from '../mixes/ycsb.mjs';

export const workload = ycsb('YCSB F: half reads, half reads that write', { read: 0.5, modify: 0.5 });
