/** Rows of a report as tables for people, in Markdown. */
import { FORMS, PARTS } from './parts.mjs';

/** All tables: of each form of one committer, of each number of threads, and of the loads under open loop. Ratios are to the peer and to the machine. */
export function tablesOf(rows, peer) {
  const ofPart = (part) => rows.filter((row) => row.part === part);
  const tables = [];
  const [flushes, one, inFlight, open] = ['flushes', 'one', 'in-flight', 'open-loop'].map(ofPart);
  for (const [form, title] of Object.entries(FORMS)) {
    const ofForm = (some) => some.filter((row) => row.form === form);
    if (one.length + flushes.length > 0) tables.push(oneTable(ofForm(one), ofForm(flushes), title, peer));
  }
  for (const threads of new Set(inFlight.map((row) => row.threads)))
    tables.push(
      inFlightTable(
        inFlight.filter((row) => row.threads === threads),
        peer,
      ),
    );
  if (open.length > 0) tables.push(openTable(open));
  return tables.join('\n');
}

/** Why something is not in the tables, each reason once. */
export function reasonsOf(rows) {
  const reasons = new Set();
  for (const { part, engine, notThere, failed, form, ...setting } of rows) {
    const where = form === undefined ? PARTS[part].title : `one committer, ${FORMS[form]}`;
    if (failed !== undefined) reasons.add(`${engine} has FAILED: ${where}, ${JSON.stringify(setting)}: ${failed}`);
    else if (notThere !== undefined) reasons.add(`${engine} is left out: ${where}: ${notThere}`);
  }
  return [...reasons];
}

function oneTable(rows, flushes, title, peer) {
  const engines = [...new Set([...rows, ...flushes].map(({ engine }) => engine))];
  const lines = engines.map((engine) => {
    const row = rows.find((one) => one.engine === engine);
    const counted = flushes.find((one) => one.engine === engine);
    const figures =
      row?.p50 === undefined
        ? Array(6).fill(row?.failed === undefined ? '–' : 'failed')
        : [spread(row.p50, ms), ms(row.p99.median), ms(row.p999.median), rate(row.perSecond.median), ...ratios(row)];
    return [engine, ...figures, flushText(counted)];
  });
  const heads = ['p50', 'p99', 'p99.9', 'commits/s', `× ${peer}`, '× machine', 'flushes a commit'];
  return tableOf([`One committer, ${title}`, ...heads], lines);
}

function flushText(counted) {
  if (counted?.perCommit === undefined) return '–';
  const { perCommit, without, commits, kinds, usesRing } = counted;
  const which = Object.entries(kinds).map(([kind, count]) => `${(count / commits).toFixed(2)} ${kind}`);
  const none = without > 0 ? `; ${without} of ${commits} WITHOUT` : '';
  return `${perCommit.toFixed(2)}${which.length > 0 ? ` (${which.join(', ')})` : ''}${none}${usesRing ? '; io_uring is not seen' : ''}`;
}

function inFlightTable(rows, peer) {
  const depths = [...new Set(rows.map(({ inFlight }) => inFlight))];
  const lines = [...new Set(rows.map(({ engine }) => engine))].map((engine) => [
    engine,
    ...depths.map((depth) => {
      const row = rows.find((one) => one.engine === engine && one.inFlight === depth);
      if (row?.perSecond === undefined) return row?.failed === undefined ? '–' : 'failed';
      return `${spread(row.perSecond, rate)}, ${percentileText(row)}, ${ratios(row).join(', ')}`;
    }),
  ]);
  const { threads } = rows[0];
  const where = threads === 1 ? 'in one thread' : `in ${threads} threads`;
  const title = `In flight ${where}: commits/s, p50 / p99 / p99.9, × ${peer}, × machine`;
  return tableOf([title, ...depths], lines);
}

function openTable(rows) {
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  const lines = [...new Set(rows.map(({ share }) => share))].map((share) => {
    const ofShare = rows.filter((row) => row.share === share);
    return [
      `${share} %: ${rate(ofShare[0].offered)}`,
      ...engines.map((engine) => {
        const row = ofShare.find((one) => one.engine === engine);
        if (row?.p50 === undefined) return row?.failed === undefined ? '–' : 'failed';
        return row.isOverloaded ? `too much: ${rate(row.perSecond.median)}` : percentileText(row);
      }),
    ];
  });
  return tableOf(['Offered commits/s; p50 / p99 / p99.9 from when each was due', ...engines], lines);
}

function tableOf(heads, lines) {
  const all = [heads, heads.map(() => '---'), ...lines];
  return `${all.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`;
}

function percentileText({ p50, p99, p999 }) {
  return [p50, p99, p999].map((one) => ms(one.median)).join(' / ');
}

/** As in `1.21 ms (1.20 ms to 1.25 ms)`. */
function spread({ median, least, most }, text) {
  return text(least) === text(most) ? text(median) : `${text(median)} (${text(least)} to ${text(most)})`;
}

function ratios({ timesPeer, timesLimit }) {
  return [timesPeer, timesLimit].map((times) =>
    times === null || Number.isNaN(times) ? '–' : `× ${times.toFixed(2)}`,
  );
}

function ms(value) {
  if (value < 1) return `${(1000 * value).toFixed(0)} µs`;
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function rate(perSecond) {
  return perSecond < 9950 ? perSecond.toFixed(0) : `${(perSecond / 1000).toFixed(1)} k`;
}
