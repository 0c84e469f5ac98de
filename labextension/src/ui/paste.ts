/** A pasted block of cells: from a spreadsheet, a CSV file, or a printed DataFrame. Null where it is one value. */
export function parseBlock(text: string, columns: string[]): { header: string[] | null; rows: string[][] } | null {
  const lines = text.replace(/\r\n?/g, '\n').replace(/\n+$/, '').split('\n');
  const rows = text.includes('\t')
    ? lines.map(line => line.split('\t'))
    : lines.some(line => splitCsv(line).length > 1)
      ? lines.map(splitCsv)
      : lines.filter(line => line.trim()).map(line => line.trim().split(lines[0]!.trim().includes('  ') ? /\s{2,}/ : /\s+/));
  if (rows.length === 1 && rows[0]!.length === 1) return null;
  const known = new Set(columns);
  const first = rows[0]!.map(cell => cell.trim());
  const named = first.filter(cell => known.has(cell)).length;
  if (!named || named < first.filter(Boolean).length / 2) return { header: null, rows };
  // A printed frame has its index in front of every row but the first.
  const index = rows[1] && rows[1].length === first.length + 1 ? 1 : first[0] === '' ? 1 : 0;
  const header = first[0] === '' ? first.slice(1) : first;
  return { header, rows: rows.slice(1).map(row => row.slice(index)) };
}

function splitCsv(line: string): string[] {
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const here = line[at]!;
    if (quoted) {
      if (here === '"' && line[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else if (here === '"') quoted = false;
      else cell += here;
    } else if (here === '"') quoted = true;
    else if (here === ',' || here === ';') {
      cells.push(cell.trim());
      cell = '';
    } else cell += here;
  }
  return [...cells, cell.trim()];
}
