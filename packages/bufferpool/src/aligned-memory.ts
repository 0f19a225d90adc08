/**
 * Memory that begins on a page of the system, for transfers past the page cache (`O_DIRECT`): a `WebAssembly.Memory`, as JavaScript has no other way to ask for it. It is taken from the
 * system as it is touched.
 */

/** What is used of WebAssembly; its types come with the browser's otherwise. */
declare const WebAssembly: {
  Memory: {
    new (descriptor: {
      readonly initial: number;
      readonly maximum: number;
      readonly shared: true;
    }): { readonly buffer: SharedArrayBuffer };
    new (descriptor: { readonly initial: number; readonly maximum: number }): { readonly buffer: ArrayBuffer };
  };
};

const WASM_PAGE = 65536;

/** Memory of all threads; at least so many bytes. @throws RangeError if there is no address space for it */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}

/** Memory of this thread alone; at least so many bytes. @throws RangeError if there is no address space for it */
export function privateMemory(bytes: number): ArrayBuffer {
  const pages = Math.ceil(bytes / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
}
