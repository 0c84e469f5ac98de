/** From values to places in a drawing, and the ticks between. */
import { milliseconds } from '../shared';

export interface Scale { at: (value: number) => number; low: number; high: number }

/** A log scale from `low` to `high`, both positive, between two places. */
export function logScale(low: number, high: number, from: number, to: number): Scale {
  const [least, most] = [Math.log(low), Math.log(high)];
  return { low, high, at: value => from + ((Math.log(Math.max(value, 1e-9)) - least) / (most - least)) * (to - from) };
}

/** Bounds of a log axis for these values, with some room; half a decade at least. */
export function bounds(values: number[]): [number, number] {
  const known = values.filter(value => value > 0);
  let low = Math.min(...known, Infinity) / 1.15;
  let high = Math.max(...known, 0) * 1.15;
  if (!known.length) [low, high] = [1, 10];
  if (high / low < 3.2) {
    const middle = Math.sqrt(low * high);
    [low, high] = [middle / Math.sqrt(3.2), middle * Math.sqrt(3.2)];
  }
  return [low, high];
}

/** Ticks at 1, 2 and 5 of each decade; fewer where there are many decades. */
export function ticks({ low, high }: Scale): number[] {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const steps = last - first <= 2 ? [1, 2, 5] : last - first <= 4 ? [1, 3] : [1];
  return Array.from({ length: last - first + 1 }, (_, at) => steps.map(step => step * 10 ** (first + at)))
    .flat()
    .filter(value => value >= low && value <= high);
}

/** Round values from 0 to `high`, six at most. */
export function linearTicks(high: number): number[] {
  const power = 10 ** Math.floor(Math.log10(high / 6));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => high / size < 6) ?? 10 * power;
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, at) => +(at * step).toPrecision(6));
}

/** `0.5 ms`, `20 ms`, `1 s`: a round value. */
export function tickText(ms: number): string {
  return ms >= 1000 ? `${+(ms / 1000).toPrecision(3)} s` : `${+ms.toPrecision(3)} ms`;
}

/** A latency with three figures: `0.84 ms`, `12.3 ms`, `1.20 s`. */
export function latencyText(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 59_950) return milliseconds(ms);
  const [value, unit] = ms >= 999.5 ? [ms / 1000, 's'] : [ms, 'ms'];
  return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${unit}`;
}
