/** What the store holds: so many values of 600 bytes, each of which says what its key is. */
export const SCHEMA = { key: 'u32', value: 'buffer' };

const BYTES = 600;

export function* entries(count) {
  for (let key = 0; key < count; key++) yield [key, bytesOf(key)];
}

/** Fails unless it is the value of the key. */
export function assertValue(value, key) {
  if (value?.length !== BYTES || value.readUInt32LE(0) !== key || value.readUInt32LE(BYTES - 4) !== key)
    throw new Error(`The value of ${key} is wrong`);
}

function bytesOf(key) {
  const value = Buffer.alloc(BYTES, key & 0xff);
  value.writeUInt32LE(key, 0);
  value.writeUInt32LE(key, BYTES - 4);
  return value;
}
