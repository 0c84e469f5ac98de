import type { LatencyCells } from '../../protocol';
import { logScale, tickText, ticks } from './scale';
import { count, plural, t, translated } from '../shared';

const WIDTH = 500;
const LEFT = 64;
const RIGHT = 492;
const HEIGHT = 132; // of the cells
const STRIP = 13; // of what failed
const SHADES = 6;

/** Requests by time and latency, darker where there are more, by the root of their number; what failed stands above. */
export function Heatmap({ cells }: { cells: LatencyCells }) {
  const { times, latencies, counts, failures, marks } = cells;
  const [begin, end] = [times[0] ?? 0, times.at(-1) || 1];
  const x = (second: number) => LEFT + ((second - begin) / (end - begin || 1)) * (RIGHT - LEFT);
  const top = 8 + failures.length * STRIP;
  const y = logScale(latencies[0] ?? 1, latencies.at(-1) ?? 10, top + HEIGHT, top);
  const most = Math.max(1, ...counts.flat());
  const paths = Array.from({ length: SHADES }, () => '');
  counts.forEach((row, up) => {
    const [upper, lower] = [y.at(latencies[up + 1]!), y.at(latencies[up]!)];
    row.forEach((number, at) => {
      if (!number) return;
      const shade = Math.min(SHADES - 1, Math.floor(Math.sqrt(number / most) * SHADES));
      paths[shade] += `M${x(times[at]!).toFixed(1)} ${upper.toFixed(1)}H${x(times[at + 1]!).toFixed(1)}V${lower.toFixed(1)}H${x(times[at]!).toFixed(1)}z`;
    });
  });
  const answered = counts.flat().reduce((sum, one) => sum + one, 0);
  const failed = failures.map(({ title, counts: numbers }) => `${count(numbers.reduce((sum, one) => sum + one, 0))} ${translated(title)}`);
  const told = [plural(answered, 'answered request'), ...failed, ...marks.map(({ text, at }) => t`${translated(text)} at ${Math.round(at)} s`)];
  const label = t`Latency over time of ${cells.name}: ${told.join(', ')}.`;
  const middle = (begin + end) / 2;
  return (
    <svg class="mld-Chart" viewBox={`0 0 ${WIDTH} ${top + HEIGHT + 36}`} role="img" aria-label={label}>
      {failures.map(({ title, counts: numbers }, row) => (
        <g key={title}>
          <text x={LEFT - 6} y={8 + row * STRIP + 9} text-anchor="end">{translated(title)}</text>
          <path class="bad" d={numbers.map((number, at) => (number ? `M${x(times[at]!).toFixed(1)} ${8 + row * STRIP}H${x(times[at + 1]!).toFixed(1)}v${STRIP - 3}H${x(times[at]!).toFixed(1)}z` : '')).join('')} />
        </g>
      ))}
      {ticks(y).map(ms => <g key={ms}><line class="grid" x1={LEFT} x2={RIGHT} y1={y.at(ms)} y2={y.at(ms)} /><text x={LEFT - 6} y={y.at(ms) + 4} text-anchor="end">{tickText(ms)}</text></g>)}
      {paths.map((path, at) => path && <path key={at} class="cell" style={{ '--n': String((at + 1) / SHADES) }} d={path} />)}
      <line class="axis" x1={LEFT} x2={RIGHT} y1={top + HEIGHT} y2={top + HEIGHT} />
      {[begin, middle, end].map((second, at) => <text key={at} x={x(second)} y={top + HEIGHT + 15} text-anchor={['start', 'middle', 'end'][at] as 'start'}>{end - begin < 10 ? second.toFixed(1) : Math.round(second)} s</text>)}
      <text x={(LEFT + RIGHT) / 2} y={top + HEIGHT + 30} text-anchor="middle">{t`time since the run began`}</text>
      {marks.map(({ at, text }) => <g key={at}><line class="mark" x1={x(at)} x2={x(at)} y1={top} y2={top + HEIGHT} /><text class="lab" x={x(at) + (x(at) > 380 ? -4 : 4)} y={top + 10} text-anchor={x(at) > 380 ? 'end' : 'start'}>{translated(text)}</text></g>)}
    </svg>
  );
}
