import type { LatencySeries } from '../../protocol';
import { bounds, latencyText, logScale, tickText, ticks } from './scale';
import { listed, t } from '../shared';

const WIDTH = 500;
const HEIGHT = 220;
const LEFT = 48;
const RIGHT = 412;
const TOP = 12;
const BOTTOM = 184;
const ENOUGH = 10; // requests that are slower than a percentile that says something
const SHARES: [number, string][] = [[1, '0 %'], [2, '50 %'], [10, '90 %'], [100, '99 %'], [1000, '99.9 %'], [10_000, '99.99 %']];

/** The letter of a series in the style sheet: its colour and dash. */
export const letter = (at: number) => 'abcd'[at % 4]!;

/** A marker of a series; each has a shape of its own. */
export function Marker({ at, x, y }: { at: number; x: number; y: number }) {
  const shapes = [`M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0`, `M${x - 3} ${y - 3}h6v6h-6z`, `M${x} ${y - 4}l4 4l-4 4l-4 -4z`, `M${x} ${y - 4}l4 7h-8z`];
  return <path class="pt" d={shapes[at % 4]!} />;
}

/** The key of a series: a piece of its line. */
export function Swatch({ at }: { at: number }) {
  return <svg class="mld-Swatch mld-Chart" viewBox="0 0 24 10" aria-hidden="true"><g class={letter(at)}><path d="M0 5h24" /><Marker at={at} x={12} y={5} /></g></svg>;
}

/** Latency over 1 / (1 - share), both on log scales: each further nine has the same room. */
export function Spectrum({ series }: { series: LatencySeries[] }) {
  const shown = series.filter(one => one.points.length);
  const most = Math.max(20, ...shown.map(one => one.points.at(-1)![0]));
  const x = logScale(1, most * 1.05, LEFT, RIGHT);
  const [low, high] = bounds(shown.flatMap(one => one.points.map(([, ms]) => ms)));
  const y = logScale(low, high, BOTTOM, TOP);
  const labels = spread(shown.map(one => y.at(one.points.at(-1)![1])));
  const enough = x.at(most / ENOUGH);
  return (
    <svg class="mld-Chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={describe(shown)}>
      <rect class="few" x={enough} y={TOP} width={Math.max(0, RIGHT - enough)} height={BOTTOM - TOP} />
      {ticks(y).map(ms => <g key={ms}><line class="grid" x1={LEFT} x2={RIGHT} y1={y.at(ms)} y2={y.at(ms)} /><text x={LEFT - 6} y={y.at(ms) + 4} text-anchor="end">{tickText(ms)}</text></g>)}
      <line class="axis" x1={LEFT} x2={RIGHT} y1={BOTTOM} y2={BOTTOM} />
      {SHARES.filter(([at]) => at <= most && (at > 1 || x.at(2) - LEFT > 34)).map(([at, text]) => <g key={at}><line class="axis" x1={x.at(at)} x2={x.at(at)} y1={BOTTOM} y2={BOTTOM + 4} /><text x={x.at(at)} y={BOTTOM + 17} text-anchor="middle">{text}</text></g>)}
      <text x={(LEFT + RIGHT) / 2} y={BOTTOM + 32} text-anchor="middle">{t`share of the requests that were as fast or faster`}</text>
      {shown.length > 0 && RIGHT - enough > 50 && <text x={RIGHT - 4} y={BOTTOM - 6} text-anchor="end">{t`too few`}</text>}
      {shown.map((one, at) => (
        <g class={letter(at)} key={one.name}>
          <path d={line(one.points.slice(0, cut(one)), x.at, y.at)} />
          <path class="thin" d={line(one.points.slice(Math.max(0, cut(one) - 1)), x.at, y.at)} />
          {one.percentiles.map(({ share, ms, low: least, high: greatest }) => (
            <g key={share}>
              {least !== null && greatest !== null && <path class="bar" d={`M${x.at(1 / (1 - share))} ${y.at(least)}V${y.at(greatest)}`} />}
              <Marker at={at} x={x.at(1 / (1 - share))} y={y.at(ms)} />
            </g>
          ))}
        </g>
      ))}
      {shown.map((one, at) => <text class="lab" key={one.name} x={RIGHT + 6} y={labels[at]! + 4}>{label(one)}</text>)}
    </svg>
  );
}

/** What stands at the end of a line: its highest percentile; the table has the names, beside each line's marker. */
function label({ percentiles, revision }: LatencySeries): string {
  const last = percentiles.at(-1);
  return last ? `${revision ? t`Rev. ${revision}` : last.name} ${latencyText(last.ms)}` : '';
}

/** From which point on too few requests stand behind the line. */
function cut({ points, requests }: LatencySeries): number {
  const at = points.findIndex(([share]) => share > Math.max(1, requests / ENOUGH) * 1.001);
  return at < 0 ? points.length : at;
}

/** Places that are at least a line apart, in the order of the given ones. */
export function spread(places: number[]): number[] {
  const found = [...places];
  let before = -Infinity;
  for (const at of places.map((_, index) => index).sort((a, b) => places[a]! - places[b]!)) before = found[at] = Math.max(places[at]!, before + 13);
  return found;
}

function line(points: [number, number][], x: (value: number) => number, y: (value: number) => number): string {
  return points.map(([share, ms], at) => `${at ? 'L' : 'M'}${x(share).toFixed(1)} ${y(ms).toFixed(1)}`).join('');
}

function describe(series: LatencySeries[]): string {
  const said = series.map(one => `${one.name}: ${listed(...one.percentiles.map(({ name, ms }) => `${name} ${latencyText(ms)}`)) || t`too few requests`}`);
  return t`Latency by percentile. ${said.join('; ') || t`Nothing is measured yet`}.`;
}
