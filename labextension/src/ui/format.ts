/** Human units, as `core/journal/wording.py` writes them: a space between figure and unit. */
import { language, t } from './translation';

export function duration(seconds: number | null): string {
  if (seconds === null) return '';
  if (seconds <= 0) return '0.0 s';
  if (seconds < 0.00995) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A time that counts up: whole seconds at first, so that the figure is calm. */
export function elapsed(seconds: number): string {
  return seconds < 60 ? `${Math.floor(Math.max(0, seconds))} s` : duration(seconds);
}

export function milliseconds(ms: number): string {
  return duration(ms / 1000);
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1000;
    unit += 1;
  } while (value >= 999.5 && unit < units.length - 1);
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

/** `1,234`: thousands separators in the page's language would differ from the rest of the words. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Those of the words that there are, with commas. */
export function listed(...words: (string | false | undefined)[]): string {
  return words.filter(Boolean).join(', ');
}

const two = (value: number) => String(value).padStart(2, '0');

/** `14:02`, in the reader's time zone. */
export function clock(time: string, seconds = false): string {
  return withDate(time, date => date.toTimeString().slice(0, seconds ? 8 : 5));
}

/** What `write` makes of a time; nothing of what is none. */
function withDate(time: string, write: (date: Date) => string): string {
  const date = new Date(time);
  return Number.isNaN(+date) ? '' : write(date);
}

/** Under ten minutes `4 s ago`; later as `moment`. */
export function ago(time: string, now: Date = new Date()): string {
  return withDate(time, date => {
    const seconds = Math.max(0, (now.getTime() - date.getTime()) / 1000);
    if (seconds < 60) return t`${Math.floor(seconds)} s ago`;
    return seconds < 600 ? t`${Math.floor(seconds / 60)} min ago` : moment(time, now);
  });
}

/** `14:01` today, `Yesterday, 09:22`, `2 June, 16:40`, `2 June 2025, 16:40`. */
export function moment(time: string, now: Date = new Date()): string {
  return withDate(time, date => {
    const at = clock(time);
    const midnight = (of: Date) => new Date(of.getFullYear(), of.getMonth(), of.getDate()).getTime();
    const days = Math.round((midnight(now) - midnight(date)) / 86_400_000);
    if (days === 0) return at;
    if (days === 1) return t`Yesterday, ${at}`;
    const year = date.getFullYear() === now.getFullYear() ? undefined : 'numeric';
    return `${date.toLocaleDateString(language(), { day: 'numeric', month: 'long', year })}, ${at}`; // in the words of all the rest
  });
}

/** The exact time, for titles: `2026-06-02 14:02:07`, as Swedes write it. */
export function exact(time: string): string {
  return withDate(time, date => date.toLocaleString('sv'));
}

/** `0:36.418`, `1:02:03.000`: the time of a log line since the deployment began. */
export function offset(seconds: number): string {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const rest = `${two(Math.floor(ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`;
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** Sentence case for the parts of an error, which begin with a small letter; code keeps its own. */
export function capital(text: string): string {
  return /^[a-z][a-z]*[ ,]/.test(text) ? text[0]!.toUpperCase() + text.slice(1) : text;
}
