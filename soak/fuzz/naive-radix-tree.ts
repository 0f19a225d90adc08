/**
 * The entries of a radix tree, read from its pages as `docs/format/art.md` describes them, slowly and with none of the code of the index: what the index gives for
 * sound pages must be the same.
 */
import { type NaiveEntry, ownValue } from './naive-tree.js';
import type { PageRig } from './page-rig.js';

const LEAF = 1;
const LINK = 2;
const SLICE = 3;
const NODE4 = 4;
const NODE16 = 5;
const NODE48 = 6;
const OWN_PAGE = 0x8000;
const MOST_LEVELS = 200;

/** All entries of the tree whose root the rig's own root names, in the order in which they stand. */
export function naiveRadixEntries(rig: PageRig): NaiveEntry[] {
  const entries: NaiveEntry[] = [];
  const visitPage = (frame: number, above: Buffer, level: number): void => {
    if (level > MOST_LEVELS) throw new Error('the tree has no end');
    const page = rig.bytesOf(frame);
    const swipAt = (number: number) => page.length - 8 * (number + 1);
    const visit = (reference: number, path: Buffer): void => {
      const kind = reference & 7;
      const at = reference - kind;
      if (reference === 0) return;
      if (kind === LINK || kind === SLICE) {
        // The byte by which a slice is reached is looked for in it once more.
        visitPage(rig.child(frame, swipAt(at / 8)), kind === SLICE ? path.subarray(0, -1) : path, level + 1);
        return;
      }
      if (kind === LEAF) {
        const suffix = page.readUInt16LE(at);
        const field = page.readUInt16LE(at + 2);
        const key = Buffer.concat([path, page.subarray(at + 5, at + 5 + suffix)]);
        const unit = field > 512 ? 8 : 4;
        const start = Math.ceil((at + 5 + suffix) / unit) * unit;
        const value =
          field >= OWN_PAGE ? ownValue(rig, frame, swipAt(field - OWN_PAGE)) : page.subarray(start, start + field);
        entries.push({ key, tag: page[at + 4]!, value: Buffer.from(value) });
        return;
      }
      const prefixAt = at + (kind === NODE4 ? 16 : kind === NODE16 ? 52 : kind === NODE48 ? 360 : 520);
      const below = Buffer.concat([path, page.subarray(prefixAt, prefixAt + page.readUInt16LE(at))]);
      visit(page.readUInt16LE(at + 2), below);
      let last = 0;
      for (const [byte, child] of childrenOf(page, kind, at)) {
        if ((child & 7) === SLICE && child === last) continue;
        last = child;
        visit(child, Buffer.concat([below, Buffer.of(byte)]));
      }
    };
    visit(page.readUInt16LE(32), above);
  };
  visitPage(rig.child(rig.root.frame, rig.root.offset), Buffer.alloc(0), 0);
  return entries;
}

/** Bytes and references, by byte. A slice stands there for its first byte, and for others. */
function childrenOf(page: Buffer, kind: number, at: number): [number, number][] {
  const children: [number, number][] = [];
  if (kind === NODE4 || kind === NODE16) {
    const places = kind === NODE4 ? 4 : 16;
    for (let place = 0; place < places; place++)
      children.push([page[at + 4 + place]!, page.readUInt16LE(at + 4 + places + 2 * place)]);
  } else {
    for (let byte = 0; byte < 256; byte++) {
      const place = page[at + 8 + byte]!;
      if (kind !== NODE48) children.push([byte, page.readUInt16LE(at + 8 + 2 * byte)]);
      else if (place > 0) children.push([byte, page.readUInt16LE(at + 264 + 2 * (place - 1))]);
    }
  }
  return children.filter(([, reference]) => reference !== 0);
}
