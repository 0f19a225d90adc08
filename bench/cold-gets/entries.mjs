/** What the store holds: so many values of 600 bytes, each of which says what its key is. */
export const SCHEMA = { key: 'u32', value: 'buffer' };

const BYTES = 600;

export function* entries(count) {
  for (let key = 0; key < count; key++) yield [key, bytesOf(key)];
}

/** Fails unless it is the value of the key. */
export function assertValue(value, key) {
  if (value?.length !== BYTES) throw new Error(`The value of ${key} is wrong`);
  const view = new DataView(value.buffer, value.byteOffset, BYTES);
  if (view.getUint32(0, true) !== key || view.getUint32(BYTES - 4, true) !== key)
    throw new Error(`The value of ${key} is wrong`);
}

function bytesOf(key) {
  const value = Buffer.alloc(BYTES, key & 0xff);
  value.writeUInt32LE(key, 0);
  value.writeUInt32LE(key, BYTES - 4);
  return value;
}
