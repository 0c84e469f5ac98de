/** Turns a raw line of output into runs of text to draw. Whatever it holds, it stays text. */

export interface Run { text: string; colour: string; bold: boolean; dim: boolean }

const COLOURS = ['', 'red', 'green', 'yellow', 'blue', 'blue', 'blue', '']; // of 31 to 37, and of 91 to 97

// CSI, OSC (ended by BEL, ST or the end of the line), other strings, and two-character sequences.
// eslint-disable-next-line no-control-regex
const ESCAPES = /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]?/g;

// What would reorder or hide text: bidi controls, and characters without width.
const INVISIBLE = /[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]/g;

// eslint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;

/** Makes control characters visible, so that nothing acts and nothing hides. Tabs stay. */
function visible(text: string): string {
  return text
    .replace(CONTROLS, found => {
      const code = found.charCodeAt(0);
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd';
    })
    .replace(INVISIBLE, found => `<U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`);
}

/** Whether a line's plain text may differ from what it is. */
// eslint-disable-next-line no-control-regex
export const ESCAPED = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

/** A terminal's last picture of a line that was overwritten with carriage returns, as progress bars are. */
export function overwrite(text: string): string {
  if (!text.includes('\r')) return text;
  const parts = text.replace(/\r+\n?$/, '').split(/\r+/);
  // Colours make lengths unknown; with them the last part wins, as it does on a screen that erases the line first.
  if (text.includes('\x1b') || text.includes('\x9b')) return parts.filter(Boolean).at(-1) ?? '';
  // From the last part to the first: of an earlier one only what stands beyond the later ones is still seen.
  let seen = '';
  for (let at = parts.length - 1; at >= 0; at--) {
    if (parts[at]!.length > seen.length) seen += parts[at]!.slice(seen.length);
  }
  return seen;
}

export function parse(raw: string): Run[] {
  const text = overwrite(raw);
  // eslint-disable-next-line no-control-regex
  if (!/[\x1b\x90\x98\x9b\x9d-\x9f]/.test(text)) return [{ text: visible(text), colour: '', bold: false, dim: false }];
  const runs: Run[] = [];
  let style = { colour: '', bold: false, dim: false };
  let at = 0;
  const push = (end: number) => {
    if (end > at) runs.push({ text: visible(text.slice(at, end)), ...style });
  };
  for (const match of text.matchAll(ESCAPES)) {
    push(match.index);
    at = match.index + match[0].length;
    if (match[2] === 'm') style = applySgr(style, match[1] ?? '');
  }
  push(text.length);
  return runs;
}

function applySgr(style: { colour: string; bold: boolean; dim: boolean }, parameters: string) {
  const codes = parameters.split(/[;:]/).map(Number);
  const next = { ...style };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at]!;
    if (code === 0) Object.assign(next, { colour: '', bold: false, dim: false });
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 39) next.colour = '';
    else if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4; // 256 and true colours follow no theme
    else if (code === 90) next.colour = 'dim';
    else if (/^[39][1-7]$/.test(String(code))) next.colour = COLOURS[code % 10]!;
  }
  return next;
}

/** The line as plain text, for search and copy. */
export function plain(raw: string): string {
  return parse(raw).map(run => run.text).join('');
}
