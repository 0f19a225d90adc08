/** Rows of a report as tables for people, in Markdown: engines across, what was measured down. */

const UNITS = { ns: timeText, bytes: (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB` };

/** Two tables for each data set: by the clock, with sizes, and by the processor's time, which others on the machine disturb less. */
export function tablesOf(rows, peer, titles) {
  const tables = [];
  for (const data of new Set(rows.map((row) => row.data))) {
    const ofData = rows.filter((row) => row.data === data);
    tables.push(tableOf(ofData, peer, titles[data], 'clock'));
    tables.push(tableOf(ofData.filter(hasProcessorTime), peer, `${titles[data]}, processor time`, 'cpu'));
  }
  return tables.join('\n');
}

function hasProcessorTime({ engines }) {
  return engines.some(({ cpu }) => cpu !== undefined);
}

function tableOf(rows, peer, title, cost) {
  const names = rows[0]?.engines.map(({ engine }) => engine) ?? [];
  const lines = [
    [title, ...names, 'wanted'],
    ['---', ...names.map(() => '---'), '---'],
    ...rows.map((row) => [row.title, ...row.engines.map((one) => cell(one, cost, row.unit, peer)), wanted(row, cost)]),
  ];
  return `${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`;
}

/** As in `1.21 µs (1.20 to 1.25), × 4.10`: less is better, and the more times the peer takes the better. */
function cell(figures, cost, unit, peer) {
  if (figures.failed !== undefined) return 'failed';
  if (figures[cost] === undefined) return '–';
  const { median, least, most, timesPeer } = figures[cost];
  const text = UNITS[unit];
  const spread = text(least) === text(most) ? '' : ` (${text(least)} to ${text(most)})`;
  const against = figures.engine === peer || !isMeasured(timesPeer) ? '' : `, × ${timesPeer.toFixed(2)}`;
  return `${text(median)}${spread}${against}`;
}

function wanted({ target, engines }, cost) {
  const own = engines.find(({ engine }) => engine === 'pagewright')?.[cost];
  const limit =
    own === undefined || !isMeasured(own.timesLimit) ? '' : `${own.timesLimit.toFixed(1)} times the machine's`;
  // Of two threads against one the clock alone tells: both take the same of the processor.
  if (target === undefined || (target.measure !== undefined && cost === 'cpu')) return limit;
  const reached = target[cost];
  const verdict = !isMeasured(reached) ? 'not measured' : reached >= target.times ? 'reached' : 'missed';
  return [`× ${target.times.toFixed(2)}: ${verdict}`, limit].filter(Boolean).join('; ');
}

/** What was not measured is NaN, and null in a report that was written down. */
function isMeasured(times) {
  return times !== null && !Number.isNaN(times);
}

function timeText(ns) {
  if (ns < 1000) return `${ns.toFixed(0)} ns`;
  if (ns < 1e6) return `${(ns / 1000).toFixed(2)} µs`;
  return `${(ns / 1e6).toFixed(1)} ms`;
}
