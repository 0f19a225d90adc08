/** Options as they can be shown: whatever JSON cannot hold is named instead of kept. */

/** A copy made of plain objects, lists, text, numbers, booleans and null alone. Anything else becomes text in brackets. */
export function toPlainData(value: unknown): unknown {
  return copy(value, []);
}

function copy(value: unknown, within: readonly object[]): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : `[${value}]`;
  if (typeof value === 'function') return `[function ${value.name || 'without name'}]`;
  if (typeof value !== 'object') return `[${String(value)}]`;
  if (within.includes(value)) return '[circular]';
  const inside = [...within, value];
  if (Array.isArray(value)) return value.map((item) => copy(item, inside));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return `[${value.constructor.name}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([key, field]) => [key, copy(field, inside)]));
}
