/**
 * Latency over throughput, as SVG: a line for each contestant; in the upper row the median of commits, in the lower one 99 in a hundred; from left to right the closed loop with each
 * number of threads, where more and more are in flight, and the open loop, where more and more are offered.
 */
import { NotThere } from '../comparison/not-there.mjs';

const PANEL = { width: 400, height: 300 };
const MARGIN = { left: 75, top: 90, between: 70 };
const PERCENTILES = { p50: 'p50', p99: 'p99' };

/** Panels from left to right, each with lines, each with points in their order: `throughput`, `p50` and `p99` in milliseconds. What was overloaded is no point. */
export function panelsOf(rows) {
  const inFlight = rows.filter(({ part, p50 }) => part === 'in-flight' && p50 !== undefined);
  const open = rows.filter(({ part, p50, isOverloaded }) => part === 'open-loop' && p50 !== undefined && !isOverloaded);
  const panels = [...new Set(inFlight.map(({ threads }) => threads))].map((threads) => ({
    title: `closed loop, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
    lines: linesOf(inFlight.filter((row) => row.threads === threads)),
  }));
  if (open.length > 0) panels.push({ title: 'open loop, one thread', lines: linesOf(open) });
  return panels;
}

/** Errors: {@link NotThere} if there is nothing to draw, or nothing to draw it with. */
export async function drawChart(rows) {
  const panels = panelsOf(rows);
  if (panels.length === 0) throw new NotThere('nothing was measured with commits in flight or under open loop');
  const echarts = await import('echarts').catch((error) => {
    throw new NotThere(`echarts cannot be loaded: ${error.message.split('\n')[0]}`);
  });
  const width = MARGIN.left + panels.length * (PANEL.width + MARGIN.between);
  const height = MARGIN.top + Object.keys(PERCENTILES).length * (PANEL.height + MARGIN.between);
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption(optionsOf(panels));
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function optionsOf(panels) {
  const points = panels.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  const throughput = decades(points.map((point) => point.throughput));
  const latency = decades(points.flatMap(({ p50, p99 }) => [p50, p99]));
  const engines = [...new Set(panels.flatMap(({ lines }) => lines.map(({ engine }) => engine)))];
  const options = { animation: false, backgroundColor: '#fff', legend: { top: 10, itemGap: 30, data: engines } };
  Object.assign(options, { title: [], grid: [], xAxis: [], yAxis: [], series: [] });
  for (const [row, percentile] of Object.keys(PERCENTILES).entries()) {
    for (const [column, { title, lines }] of panels.entries()) {
      const gridIndex = options.grid.length;
      const left = MARGIN.left + column * (PANEL.width + MARGIN.between);
      const top = MARGIN.top + row * (PANEL.height + MARGIN.between);
      options.grid.push({ left, top, ...PANEL });
      options.title.push({
        text: `${PERCENTILES[percentile]}, ${title}`,
        left,
        top: top - 28,
        textStyle: { fontSize: 13 },
      });
      const axis = { type: 'log', gridIndex, nameLocation: 'middle', minorSplitLine: { show: true } };
      options.xAxis.push({ ...axis, ...throughput, name: 'commits a second', nameGap: 25 });
      options.yAxis.push({ ...axis, ...latency, name: 'latency, ms', nameGap: 45 });
      for (const { engine, points: ofLine } of lines) {
        const data = ofLine.map((point) => [point.throughput, point[percentile]]);
        const itemStyle = { color: COLORS[engines.indexOf(engine) % COLORS.length] };
        const place = { xAxisIndex: gridIndex, yAxisIndex: gridIndex };
        options.series.push({
          type: 'line',
          name: engine,
          data,
          itemStyle,
          lineStyle: itemStyle,
          ...place,
          symbolSize: 6,
        });
      }
    }
  }
  return options;
}

/** Told apart by those who see colours otherwise, too (Okabe and Ito). */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999', '#f0e442'];

function linesOf(rows) {
  return [...new Set(rows.map(({ engine }) => engine))].map((engine) => ({
    engine,
    points: rows
      .filter((row) => row.engine === engine)
      .map(({ perSecond, p50, p99 }) => ({ throughput: perSecond.median, p50: p50.median, p99: p99.median })),
  }));
}

/** The powers of ten that all of them lie between. */
function decades(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return { min: 10 ** Math.floor(Math.log10(least)), max: 10 ** Math.ceil(Math.log10(most)) };
}
