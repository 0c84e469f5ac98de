import { describe, expect, it, vi } from 'vitest';
import { line, stages } from '../../testing/samples';
import { LogBuffer } from './log_buffer';
import { HEADING, Layout, ROW, findMatches, findRow, isLine, isStep, listRows } from './log_rows';
import { overwrite, parse, plain } from './log_text';

describe('the text of a line', () => {
  it('has the colours of SGR, and no other sequence acts', () => {
    expect(parse('\x1b[32mok\x1b[0m rest')).toEqual([
      { text: 'ok', colour: 'green', bold: false, dim: false },
      { text: ' rest', colour: '', bold: false, dim: false },
    ]);
    expect(plain('\x1b[1;38;5;196;4mred\x1b[m')).toBe('red');
    expect(plain('\x1b]8;;http://example.invalid\x07link\x1b]8;;\x1b\\ \x1b[2J\x1b[10;3Hhome \x1bPdevice\x1b\\end')).toBe('link home end');
    expect(plain('\x9b31mred\x9b0m \x9d0;title\x9c.')).toBe('red .');
    expect(plain('an open \x1b]8;;http')).toBe('an open ');
  });

  it('shows control characters and what would hide or reorder text', () => {
    expect(plain('a\x00b\x07\x7f\x85')).toBe('a\u2400b\u2407\u2421\ufffd');
    expect(plain('abc\u202egnp.exe\u200b')).toBe('abc<U+202E>gnp.exe<U+200B>');
    expect(plain('a\u2028b\u2029c')).toBe('a<U+2028>b<U+2029>c');
    expect(plain('a\tb \ud800 <img src=x>')).toBe('a\tb \ud800 <img src=x>');
  });

  it('is what a terminal shows after carriage returns', () => {
    expect(plain(' 10 %\r 50 %\r100 %')).toBe('100 %');
    expect(plain('long text\rhi')).toBe('hing text');
    expect(plain('done\r')).toBe('done');
    expect(plain('\x1b[31m10 %\r\x1b[32m100 %')).toBe('100 %');
  });

  it('is made of a line of 1 MB in one pass, whatever is in it', { timeout: 60_000 }, () => {
    for (const one of ['x'.repeat(1e6), `${'a'.repeat(5e5)}${'\rb'.repeat(2e5)}`, '\x1b]'.repeat(5e5), '\x1b[0'.repeat(3e5), '\x00'.repeat(1e6)]) plain(one);
    expect(overwrite(`${'a'.repeat(5)}${'\rb'.repeat(3)}`)).toBe('baaaa');
  });
});

describe('the buffer', () => {
  it('keeps the last state of a progress bar, beside the lines of others', () => {
    const buffer = new LogBuffer();
    const texts = [['a', '0%\r'], ['b', '0%\r'], ['a', 'between'], ['a', '\r50%\r'], ['b', '\rdone'], ['a', '\r100%'], ['a', '\rof a child']];
    buffer.append(texts.map(([source, text], at) => ({ ...line(at + 1, text!), source: source! })));
    expect(Array.from({ length: buffer.length }, (_, at) => plain(buffer.at(at).text))).toEqual(['between', 'done', '100%', 'of a child']);
  });

  it('tells of new lines at once, and of more at most five times a second', () => {
    vi.useFakeTimers();
    const buffer = new LogBuffer();
    let told = 0;
    buffer.onChange(() => (told += 1));
    for (let n = 1; n <= 100; n++) {
      buffer.append([line(n, 'flood')]);
      vi.advanceTimersByTime(20);
      if (n === 1) expect(told).toBe(1);
    }
    expect(told).toBeGreaterThan(5);
    expect(told).toBeLessThan(12); // in two seconds
    vi.useRealTimers();
  });

  it('keeps each line once and the last ones, and counts what is gone', () => {
    const buffer = new LogBuffer(100);
    buffer.append([line(1, 'a'), line(3, 'b'), line(3, 'b')]);
    buffer.append([line(2, 'late'), line(3, 'b'), line(4, 'c')], 7);
    expect([buffer.length, buffer.last, buffer.received, buffer.dropped]).toEqual([3, 4, 3, 7]);
    for (let n = 5; n < 1005; n++) buffer.append([line(n, `${n}`)]);
    expect([buffer.length, buffer.at(0).n, buffer.last, buffer.dropped]).toEqual([100, 905, 1004, 7 + 903]);
  });
});

describe('rows', () => {
  const buffer = new LogBuffer();
  buffer.append([line(1, 'one', { stage: 'check' }), line(2, 'two', { stage: 'probe' }), line(3, 'late', { stage: 'check' }), line(4, '\x1b[31mthr\x1b[0mee', { stage: 'probe', level: 'error', requestId: 'AbC' })]);
  const all = { stages: stages(5, 'failed', 'not-reached'), stage: '', revision: '', level: '', folds: {} };
  const text = (rows: ReturnType<typeof listRows>) => rows.map(row => (isLine(row) ? row.text : isStep(row) ? `- ${row.step.title}` : `${row.folded ? '>' : 'v'}${row.stage.id}`));

  it('stand below their stage, folded where nothing is to be seen', () => {
    expect(text(listRows(buffer, all))).toEqual(['>check', 'vprobe', 'two', '\x1b[31mthr\x1b[0mee']);
    expect(text(listRows(buffer, { ...all, folds: { check: false, probe: true } }))).toEqual(['vcheck', 'one', 'late', '>probe']);
    expect(text(listRows(buffer, { ...all, stage: 'check' }))).toEqual(['vcheck', 'one', 'late']);
    expect(text(listRows(buffer, { ...all, level: 'warning' }))).toEqual(['vprobe', '\x1b[31mthr\x1b[0mee']);
    expect(listRows(buffer, { ...all, stages: undefined })).toHaveLength(4);
  });

  it('of a build stand below the headings of its steps, which are there also without lines', () => {
    const built = new LogBuffer();
    const step = '2/3 Install';
    built.append([line(1, 'pulled', { stage: 'image' }), line(2, 'Resolved', { stage: 'image', step }), line(3, 'layer code', { stage: 'image' })]);
    const steps = ['1/3 Python', step, '3/3 Code'].map((title, at) => ({ title, state: at < 2 ? ('done' as const) : ('running' as const), seconds: at, fraction: null }));
    const image = { ...stages(2, 'running')[2]!, id: 'image', title: 'Build image', steps };
    const rows = listRows(built, { ...all, stages: [image] });
    expect(text(rows)).toEqual(['vimage', 'pulled', '- 1/3 Python', '- 2/3 Install', 'Resolved', '- 3/3 Code', 'layer code']);
    expect(new Layout(rows).total).toBe(HEADING + 6 * ROW);
    expect(findRow(rows, rows[3]!)).toBe(3);
    expect(text(listRows(built, { ...all, stages: [image], folds: { image: true } }))).toEqual(['>image']);
  });

  it('are found by the text that is shown, without letter case, or by their request', () => {
    const rows = listRows(buffer, all);
    expect(findMatches(rows, 'THREE')).toEqual([3]);
    expect(findMatches(rows, 'abc')).toEqual([3]);
    expect(findMatches(rows, '(t.')).toEqual([]);
  });

  it('are where the layout says, and a line that was folded away is at its heading', () => {
    const rows = listRows(buffer, { ...all, folds: { check: false } });
    const layout = new Layout(rows);
    expect(layout.total).toBe(2 * HEADING + 4 * ROW);
    expect([layout.at(0), layout.at(HEADING), layout.at(HEADING + ROW - 1), layout.at(1e9)]).toEqual([0, 1, 1, rows.length]);
    expect(findRow(listRows(buffer, all), rows[1]!)).toBe(0);
  });
});
