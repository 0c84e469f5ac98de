/** A pasted block of cells: from a spreadsheet, a CSV file, or a printed DataFrame. */
export interface Block { header: string[] | null; rows: string[][] }

const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^(nan|null|none|true|false)?$/i;
const DATE_TIME = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d\S*$/;

/** Null where the text is one value, such as a sentence with commas. */
export function parseBlock(text: string, columns: string[]): Block | null {
  const clean = text.replace(/\r\n?/g, '\n').replace(/\n+$/, '');
  if (clean.includes('\t')) return withHeader(parseDelimited(clean, '\t'), columns);
  const printed = parsePrinted(clean, columns);
  if (printed) return printed;
  const lines = clean.split('\n');
  const delimiter = splitCount(lines[0]!, ';') ? ';' : splitCount(lines[0]!, ',') ? ',' : '';
  let rows: string[][];
  if (delimiter) {
    rows = parseDelimited(clean, delimiter);
    // Where semicolons separate, the comma is the decimal one.
    if (delimiter === ';') rows = rows.map(row => row.map(cell => (/^[+-]?\d+,\d+$/.test(cell) ? cell.replace(',', '.') : cell)));
  } else {
    const filled = lines.filter(line => line.trim());
    const wide = filled.every(line => line.trim().includes('  '));
    rows = filled.map(line => line.trim().split(wide ? /\s{2,}/ : /\s+/));
  }
  if (!rows.length || (rows.length === 1 && rows[0]!.length === 1)) return null;
  const block = withHeader(rows, columns);
  return rows.length > 1 || block.header || rows[0]!.every(cell => NUMERIC.test(cell)) ? block : null;
}

function withHeader(rows: string[][], columns: string[]): Block {
  const first = (rows[0] ?? []).map(cell => cell.trim());
  if (!isHeader(first, columns)) return { header: null, rows };
  // An index stands in front of every row: under an empty cell, or under none.
  const shift = rows[1] && rows[1].length === first.length + 1 ? 1 : 0;
  return { header: first, rows: rows.slice(1).map(row => row.slice(shift)) };
}

/** At least half of the words are columns. */
function isHeader(words: string[], columns: string[]): boolean {
  const named = words.filter(word => columns.includes(word)).length;
  return named > 0 && named * 2 >= words.filter(Boolean).length;
}

const splitCount = (line: string, delimiter: string) => parseDelimited(line, delimiter)[0]!.length - 1;

/** Quoted cells may hold the delimiter, line ends, and quotes that are doubled. */
function parseDelimited(text: string, delimiter: string): string[][] {
  const rows: string[][] = [[]];
  let cell = '';
  let quoted = false;
  const end = () => {
    rows.at(-1)!.push(cell.trim());
    cell = '';
  };
  for (let at = 0; at < text.length; at++) {
    const here = text[at]!;
    if (quoted) {
      if (here === '"' && text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else if (here === '"') quoted = false;
      else cell += here;
    } else if (here === '"' && !cell.trim()) quoted = true;
    else if (here === delimiter) end();
    else if (here === '\n') {
      end();
      rows.push([]);
    } else cell += here;
  }
  end();
  return rows;
}

/** What print(frame) writes: cells end below the end of their column's name; wide frames come in several parts. */
function parsePrinted(text: string, columns: string[]): Block | null {
  const parts = text.replace(/\n*\[\d+ rows x \d+ columns\]\s*$/, '').split(/\n\s*\n/).filter(part => part.trim());
  const blocks: Block[] = [];
  for (const part of parts) {
    const block = parsePart(part.split('\n').map(line => line.replace(/\s*\\?\s*$/, '')).filter(line => line.trim()), columns);
    if (!block) return null;
    blocks.push(block);
  }
  const [first, ...rest] = blocks;
  if (!first || rest.some(block => block.rows.length !== first.rows.length)) return null;
  return {
    header: blocks.flatMap(block => block.header!),
    rows: first.rows.map((_, at) => blocks.flatMap(block => block.rows[at]!)).filter(row => !row.every(cell => /^\.{2,}$/.test(cell))),
  };
}

function parsePart(lines: string[], columns: string[]): Block | null {
  const names: string[] = [];
  const ends: number[] = [];
  const header = lines[0] ?? '';
  const longest = [...columns].sort((a, b) => b.length - a.length);
  for (let at = 0; at < header.length; at++) {
    if (header[at] === ' ') continue;
    const known = longest.find(name => header.startsWith(name, at) && (header[at + name.length] ?? ' ') === ' ');
    const name = known ?? /^\S+/.exec(header.slice(at))![0];
    names.push(name);
    at += name.length;
    ends.push(at);
  }
  if (lines.length < 2 || !isHeader(names, columns)) return null;
  let body = lines.slice(1);
  // An index with a name has a line of its own below the header.
  if (body.length > 1 && body[0]!.length < ends[0]! && body[0]!.trim() && body[1]!.length >= ends.at(-1)!) body = body.slice(1);
  // All cells end where their names do, or it is no printed frame.
  if (body.some(line => line.length !== ends.at(-1) || ends.slice(0, -1).some(end => line[end] !== ' ' || line[end - 1] === ' '))) return null;
  const firsts = body.map(line => line.slice(0, ends[0]));
  const indexed = firsts.every(cell => cell.trim().includes(' ') && !DATE_TIME.test(cell.trim()));
  let start = 0;
  if (indexed) {
    // The index ends at the first column of spaces, with something of every row before it.
    start = Math.max(...firsts.map(cell => cell.trimEnd().search(/\S/) + 1));
    while (start < ends[0]! && !firsts.every(cell => cell[start] === ' ' && cell.slice(0, start).trim())) start += 1;
    if (start >= ends[0]!) return null;
  }
  return { header: names, rows: body.map(line => ends.map((end, at) => line.slice(at ? ends[at - 1] : start, end).trim())) };
}
