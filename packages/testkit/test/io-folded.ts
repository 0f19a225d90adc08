/** Places far beyond what memory holds, folded onto near ones: a simulated device that takes files of many GiB, as long as little is written to them. */
import type { IoBackend, IoFile, IoOperation } from '@pagewright/core';
import { changed } from './io-fault.js';

const FAR = 2 ** 32;
/** Around so many bytes, times n, is what is around n times 4 GiB. */
const NEAR = 2 ** 24;

/** The backend with folded files. What is written below 8 MiB stays where it is. */
export function folded(sound: IoBackend): IoBackend {
  return changed(sound, { open: async (path, flags) => foldedFile(await sound.open(path, flags)) });
}

function foldedFile(file: IoFile): IoFile {
  const all = (operations: readonly IoOperation[]): IoOperation[] =>
    operations.map((operation) => ({ ...operation, offset: moved(operation.offset, FAR, NEAR) }));
  return changed(file, {
    size: () => moved(file.size(), NEAR, FAR),
    read: (buffer, offset) => file.read(buffer, moved(offset, FAR, NEAR)),
    readSync: (buffer, offset) => file.readSync(buffer, moved(offset, FAR, NEAR)),
    write: (buffer, offset) => file.write(buffer, moved(offset, FAR, NEAR)),
    writeSync: (buffer, offset) => file.writeSync(buffer, moved(offset, FAR, NEAR)),
    truncate: (size) => file.truncate(moved(size, FAR, NEAR)),
    truncateSync: (size) => file.truncateSync(moved(size, FAR, NEAR)),
    submit: (operations, options) => file.submit(all(operations), options),
    submitSync: (operations, options) => file.submitSync(all(operations), options),
  });
}

function moved(place: number, from: number, to: number): number {
  const times = Math.round(place / from);
  return times >= 1 ? times * to + (place - times * from) : place;
}
