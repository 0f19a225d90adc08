/** Rows of a report as tables for people, in Markdown. */
import { FORMS } from './parts.mjs';

/** All tables: of each form of one committer, of each number of threads, and of the loads under open loop. */
export function tablesOf(rows) {
  const ofPart = (part) => rows.filter((row) => row.part === part);
  const tables = [];
  const [flushes, one, inFlight, open] = ['flushes', 'one', 'in-flight', 'open-loop'].map(ofPart);
  for (const [form, title] of Object.entries(FORMS)) {
    const ofForm = (some) => some.filter((row) => row.form === form);
    if (one.length + flushes.length > 0) tables.push(oneTable(ofForm(one), ofForm(flushes), title));
  }
  for (const threads of new Set(inFlight.map((row) => row.threads)))
    tables.push(inFlightTable(inFlight.filter((row) => row.threads === threads)));
  if (open.length > 0) tables.push(openTable(open));
  return tables.join('\n');
}

/** Why something is not in the tables, each reason once. */
export function reasonsOf(rows) {
  const reasons = new Map();
  for (const { part, engine, notThere, failed, ...setting } of rows) {
    if (failed !== undefined) reasons.set(`${engine} has FAILED at ${part}, ${JSON.stringify(setting)}: ${failed}`);
    else if (notThere !== undefined) reasons.set(`${engine} is left out where ${settingText(setting)}: ${notThere}`);
  }
  return [...reasons.keys()];
}

function settingText({ form, threads, inFlight, share }) {
  if (form !== undefined) return `commits are ${FORMS[form]}`;
  if (share !== undefined) return `${share} % are offered`;
  return `${inFlight} are in flight in ${threads === 1 ? 'one thread' : `${threads} threads`}`;
}

function oneTable(rows, flushes, title) {
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
  const heads = ['p50', 'p99', 'p99.9', 'commits/s', 'against the peer', 'against the machine', 'flushes a commit'];
  return tableOf([`One committer, ${title}`, ...heads], lines);
}

function flushText(counted) {
  if (counted?.perCommit === undefined) return '–';
  const { perCommit, without, commits, kinds, usesRing } = counted;
  const which = Object.entries(kinds).map(([kind, count]) => `${(count / commits).toFixed(2)} ${kind}`);
  const none = without > 0 ? `; ${without} of ${commits} WITHOUT` : '';
  return `${perCommit.toFixed(2)}${which.length > 0 ? ` (${which.join(', ')})` : ''}${none}${usesRing ? '; io_uring is not seen' : ''}`;
}

function inFlightTable(rows) {
  const depths = [...new Set(rows.map(({ inFlight }) => inFlight))];
  const lines = [...new Set(rows.map(({ engine }) => engine))].map((engine) => [
    engine,
    ...depths.map((depth) => {
      const row = rows.find((one) => one.engine === engine && one.inFlight === depth);
      if (row?.perSecond === undefined) return row?.failed === undefined ? '–' : 'failed';
      return `${spread(row.perSecond, rate)}, ${percentileText(row)}; ${ratios(row).join(', ')}`;
    }),
  ]);
  const { threads } = rows[0];
  const title = `Commits/s, and p50 / p99 / p99.9; against the peer, against the machine. In flight in ${threads === 1 ? 'one thread' : `${threads} threads`}`;
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
  return [timesPeer, timesLimit].map((times) => (Number.isNaN(times) ? '–' : `× ${times.toFixed(2)}`));
}

function ms(value) {
  if (value < 1) return `${(1000 * value).toFixed(0)} µs`;
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function rate(perSecond) {
  return perSecond < 9950 ? perSecond.toFixed(0) : `${(perSecond / 1000).toFixed(1)} k`;
}
