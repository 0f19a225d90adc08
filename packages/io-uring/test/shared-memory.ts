/** Shared memory that is aligned for direct transfers, as the arena's is; a plain `SharedArrayBuffer` is not. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** What is used of WebAssembly; its types come with the browser's otherwise. */
declare const WebAssembly: {
  readonly Memory: new (options: { initial: number; maximum: number; shared: true }) => SharedMemory;
};

/** At least so many bytes. Can be posted to another thread. */
export function sharedMemory(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / 65_536);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
