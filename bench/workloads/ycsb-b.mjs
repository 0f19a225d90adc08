import { ycsb } from '../mixes/ycsb.mjs';

export const workload = ycsb('YCSB B: 95 % reads, 5 % updates', { read: 0.95, update: 0.05 });
