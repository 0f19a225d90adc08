import { ycsb } from '../mixes/ycsb.mjs';

export const workload = ycsb('YCSB E: 95 % scans of 1 to 100 entries, 5 % inserts', { scan: 0.95, insert: 0.05 });
