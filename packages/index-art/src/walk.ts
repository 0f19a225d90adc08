/**
 * The way of a key through the nodes of one page. Runs on pages that another thread may be changing, and on damaged ones: it ends, because each node
 * takes a byte of the key, and reads nothing outside the page (M3). What it answers counts only once the page was validated.
 */
import type { Segment } from '@pagewright/core';
import {
  LEAF,
  LEAF_SUFFIX,
  LEAST_LEAF,
  NODE_KEYS,
  NODE4,
  NODE4_REFERENCES,
  NODE4_SIZE,
  NODE16,
  NODE16_SIZE,
  NODE48_SIZE,
  NODE256,
  NODE256_REFERENCES,
  NODE256_SIZE,
  REFERENCE_KIND,
  REFERENCE_OFFSET,
} from './node-layout.js';
import { childFor } from './node-search.js';
import { HEAP_START, PAGE_DEPTH, ROOT_REFERENCE } from './page-layout.js';

/** There is no entry with the key, and this page would have it. */
export const MISSING = 0;
/** The bytes cannot be those of a page of nodes: they are torn, or the page is damaged. */
export const DAMAGED = -1;

/** The reference of the key's leaf, or of the page where its way goes on; else {@link MISSING} or {@link DAMAGED}. */
export function walkPage(segment: Segment, base: number, pageSize: number, key: Uint8Array): number {
  const { u8, u16, u32 } = segment;
  const { length } = key;
  let depth = u16[(base + PAGE_DEPTH) >>> 1]!;
  if (depth > length) return DAMAGED;
  let reference = u16[(base + ROOT_REFERENCE) >>> 1]!;
  for (;;) {
    const kind = reference & REFERENCE_KIND;
    const offset = reference & REFERENCE_OFFSET;
    if (kind < NODE4) {
      if (kind === 0) return offset === 0 ? MISSING : DAMAGED;
      if (kind !== LEAF) return reference;
      if (offset < HEAP_START || offset + LEAST_LEAF > pageSize) return DAMAGED;
      const suffix = u16[(base + offset) >>> 1]!;
      if (suffix !== length - depth) return MISSING;
      if (offset + LEAF_SUFFIX + suffix > pageSize) return DAMAGED;
      const from = base + offset + LEAF_SUFFIX - depth;
      while (depth < length) {
        if (u8[from + depth] !== key[depth]) return MISSING;
        depth++;
      }
      return reference;
    }
    const size =
      kind === NODE256 ? NODE256_SIZE : kind === NODE4 ? NODE4_SIZE : kind === NODE16 ? NODE16_SIZE : NODE48_SIZE;
    if (offset < HEAP_START || offset + size > pageSize) return DAMAGED;
    const at = base + offset;
    const head = u32[at >>> 2]!;
    const prefix = head & 0xffff;
    if (prefix !== 0) {
      if (offset + size + prefix > pageSize) return DAMAGED;
      const end = depth + prefix;
      if (end > length) return MISSING;
      const from = at + size - depth;
      while (depth < end) {
        if (u8[from + depth] !== key[depth]) return MISSING;
        depth++;
      }
    }
    if (depth === length) {
      reference = head >>> 16;
      continue;
    }
    const byte = key[depth++]!;
    // The two kinds that most ways lead through are looked at here: a call takes as long as they do.
    if (kind === NODE256) {
      reference = u16[(at + NODE256_REFERENCES + 2 * byte) >>> 1]!;
      continue;
    }
    if (kind === NODE4) {
      const keys = u32[(at + NODE_KEYS) >>> 2]!;
      const references = (at + NODE4_REFERENCES) >>> 1;
      // Of two equal keys the first is that of a child: those behind the last one are 0.
      if ((keys & 0xff) === byte) reference = u16[references]!;
      else if (((keys >>> 8) & 0xff) === byte) reference = u16[references + 1]!;
      else if (((keys >>> 16) & 0xff) === byte) reference = u16[references + 2]!;
      else if (keys >>> 24 === byte) reference = u16[references + 3]!;
      else reference = 0;
      if (reference !== 0) continue;
    }
    reference = childFor(segment, at, kind, byte);
  }
}
