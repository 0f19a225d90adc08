/** Bytes to write and memory to read into. */

/** Only what is used of it: Node's own types leave it out. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer };
};

/** Bytes that differ from place to place, so that what lands in the wrong place is seen. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + 1, 2654435761) >>> 13) ^ Math.imul(seed, 97);
  return bytes;
}

/** A view on shared memory, at an odd address. */
export function sharedView(length: number): Uint8Array {
  const pages = Math.ceil((length + 1) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 1, length);
}
