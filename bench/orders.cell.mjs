/** The orders and payments of one engine, in a process of its own. Sends its parent one message: what was measured, or that it is not there, or what failed. */
import { mkdirSync } from 'node:fs';
import { answerWith } from './comparison/cell-process.mjs';
import { loadEngine } from './comparison/choices.mjs';
import { Stopwatch } from './comparison/stopwatch.mjs';
import { checkTables } from './orders/check.mjs';
import { inputsOf } from './orders/inputs.mjs';
import { filledTables } from './orders/rows.mjs';
import { Terminals } from './orders/terminals.mjs';

const TERMINALS = { durable: 64, relaxed: 1 };
const WARM_UP_MS = 1000;

answerWith(run);

async function run({ module, warehouses, seed, operations, seconds, directory }) {
  const engine = await loadEngine(module);
  mkdirSync(directory, { recursive: true });
  const loading = await engine.open(directory, 'relaxed');
  for (const [table, rows] of filledTables(warehouses, seed)) await loading.load(table, rows);
  await loading.close();
  const measured = {};
  const settings = [];
  let counted;
  let first = 0;
  for (const [durability, terminals] of Object.entries(TERMINALS)) {
    const store = await engine.open(directory, durability);
    const running = new Terminals(store, counted);
    for (const isTimed of [false, true]) {
      const inputs = inputsOf(operations, warehouses, seed + first, first);
      first += operations;
      globalThis.gc?.();
      const watch = new Stopwatch();
      watch.start();
      const done = await running.run(terminals, inputs, isTimed ? seconds * 1000 : WARM_UP_MS);
      watch.stop();
      if (isTimed) measured[durability] = watch.each(done);
    }
    checkTables(store, running);
    const { payments, orders, mistaken } = running;
    counted = { payments, orders, mistaken };
    settings.push(`${durability}: ${store.settings}`);
    await store.close();
  }
  return { version: engine.version(), settings: settings.join('; '), measured };
}
