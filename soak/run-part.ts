/** The process of one part: runs it, and tells its parent how far it is and what came of it. */
import type { Counts, PartResult } from './part.js';
import { PARTS } from './parts.js';

export type FromPart = { readonly progress: Counts } | { readonly result: PartResult };

const [, , name, minutes, seed] = process.argv;
const part = PARTS.find((known) => known.name === name);
if (part === undefined || process.send === undefined)
  throw new Error('This is started by the soak, with a part that it knows.');

const tell = (message: FromPart): void => void process.send?.(message);
const result = await part.run({
  minutes: Number(minutes),
  seed: Number(seed),
  onProgress: (progress) => tell({ progress }),
});
process.send({ result } satisfies FromPart, undefined, undefined, () => process.disconnect());
