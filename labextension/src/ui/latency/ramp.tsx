import type { LatencyRamp } from '../../protocol';
import { bounds, latencyText, linearTicks, logScale, tickText, ticks } from './scale';
import { listed, t, translated } from '../shared';
import { Marker, letter, spread } from './spectrum';

const WIDTH = 500;
const HEIGHT = 220;
const LEFT = 48;
const RIGHT = 394;
const TOP = 22;
const BOTTOM = 184;

/** Latency over the rate that was reached, with the knee marked: from there on more load buys more waiting than answers. */
export function Ramp({ ramp: { lines, marks } }: { ramp: LatencyRamp }) {
  const shown = lines.filter(one => one.points.length);
  const most = Math.max(1, ...shown.flatMap(one => one.points.map(([rate]) => rate))) * 1.08;
  const x = (rate: number) => LEFT + (rate / most) * (RIGHT - LEFT);
  const [low, high] = bounds(shown.flatMap(one => one.points.map(([, ms]) => ms)));
  const y = logScale(low, high, BOTTOM, TOP);
  const labels = spread(shown.map(one => y.at(one.points.at(-1)![1])));
  return (
    <svg class="mld-Chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={describe({ lines: shown, marks })}>
      {ticks(y).map(ms => <g key={ms}><line class="grid" x1={LEFT} x2={RIGHT} y1={y.at(ms)} y2={y.at(ms)} /><text x={LEFT - 6} y={y.at(ms) + 4} text-anchor="end">{tickText(ms)}</text></g>)}
      <line class="axis" x1={LEFT} x2={RIGHT} y1={BOTTOM} y2={BOTTOM} />
      {linearTicks(most).map(rate => <g key={rate}><line class="axis" x1={x(rate)} x2={x(rate)} y1={BOTTOM} y2={BOTTOM + 4} /><text x={x(rate)} y={BOTTOM + 17} text-anchor="middle">{rate.toLocaleString('en-US')}</text></g>)}
      <text x={(LEFT + RIGHT) / 2} y={BOTTOM + 32} text-anchor="middle">{t`answered requests a second`}</text>
      {marks.map(({ at, text }) => <g key={text}><line class="mark" x1={x(at)} x2={x(at)} y1={TOP} y2={BOTTOM} /><text class="lab" x={x(at) + (x(at) > 230 ? -4 : 4)} y={TOP - 8} text-anchor={x(at) > 230 ? 'end' : 'start'}>{translated(text)}</text></g>)}
      {shown.map(one => (
        <g class={letter(one.style)} key={one.name}>
          <path d={one.points.map(([rate, ms], at) => `${at ? 'L' : 'M'}${x(rate).toFixed(1)} ${y.at(ms).toFixed(1)}`).join('')} />
          {one.points.map(([rate, ms], at) => <Marker key={at} at={one.style} x={x(rate)} y={y.at(ms)} />)}
        </g>
      ))}
      {shown.map((one, at) => <text class="lab" key={one.name} x={RIGHT + 6} y={labels[at]! + 4}>{`${one.name.split(', ').at(-1)!} ${latencyText(one.points.at(-1)![1])}`}</text>)}
    </svg>
  );
}

function describe({ lines, marks }: Pick<LatencyRamp, 'lines' | 'marks'>): string {
  const said = lines.map(({ name, points }) => `${name}: ${listed(...points.map(([rate, ms]) => t`${latencyText(ms)} at ${Math.round(rate)} a second`))}`);
  return t`Latency over the rate. ${[...said, ...marks.map(({ text }) => translated(text))].join('; ') || t`Nothing is measured yet`}.`;
}
