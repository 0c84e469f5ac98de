import { describe, expect, it } from 'vitest';
import { parseBlock } from './paste';

const COLUMNS = ['age', 'sex', 'bmi'];

describe('parseBlock', () => {
  it('reads cells of a spreadsheet, with and without their header', () => {
    expect(parseBlock('1\t2\r\n3\t4\r\n', COLUMNS)).toEqual({ header: null, rows: [['1', '2'], ['3', '4']] });
    expect(parseBlock('age\tbmi\n1\t2', COLUMNS)).toEqual({ header: ['age', 'bmi'], rows: [['1', '2']] });
    expect(parseBlock('a\t"two\nlines"', COLUMNS)).toEqual({ header: null, rows: [['a', 'two\nlines']] });
    expect(parseBlock('\tage\tsex\n0\t1\t2', COLUMNS)).toEqual({ header: ['', 'age', 'sex'], rows: [['0', '1', '2']] });
  });

  it('reads CSV: quotes, commas within them, semicolons with decimal commas', () => {
    expect(parseBlock('age,sex,bmi\n1,"a, ""b""",3', COLUMNS)).toEqual({ header: COLUMNS, rows: [['1', 'a, "b"', '3']] });
    expect(parseBlock('age;bmi\n1,5;-0,25\n', COLUMNS)).toEqual({ header: ['age', 'bmi'], rows: [['1.5', '-0.25']] });
    expect(parseBlock(',age,sex\n0,1,2', COLUMNS)).toEqual({ header: ['', 'age', 'sex'], rows: [['0', '1', '2']] });
  });

  it('reads a printed DataFrame, whose negative numbers leave one space', () => {
    const printed = '        age       sex       bmi\n0  0.038076  0.050680  0.061696\n1 -0.001882 -0.044642 -0.051474\n10 0.085299  0.050680  0.044451'.replace('10 0', '2  0');
    expect(parseBlock(printed, COLUMNS)).toEqual({
      header: COLUMNS,
      rows: [['0.038076', '0.050680', '0.061696'], ['-0.001882', '-0.044642', '-0.051474'], ['0.085299', '0.050680', '0.044451']],
    });
  });

  it('reads a printed DataFrame without its index', () => {
    expect(parseBlock('      age       sex\n 0.038076  0.050680\n-0.001882 -0.044642', COLUMNS)?.rows).toEqual([['0.038076', '0.050680'], ['-0.001882', '-0.044642']]);
  });

  it('keeps dates with spaces, and names with spaces', () => {
    const printed = '                  time  body mass\n0  2024-01-01 12:00:00       21.5\n1  2024-01-02 00:00:00       -3.0';
    expect(parseBlock(printed, ['time', 'body mass'])).toEqual({
      header: ['time', 'body mass'],
      rows: [['2024-01-01 12:00:00', '21.5'], ['2024-01-02 00:00:00', '-3.0']],
    });
    const bare = '               time  bmi\n2024-01-01 12:00:00  1.5\n2024-01-02 00:00:00  2.5';
    expect(parseBlock(bare, ['time', 'bmi'])?.rows).toEqual([['2024-01-01 12:00:00', '1.5'], ['2024-01-02 00:00:00', '2.5']]);
  });

  it('reads a printed DataFrame that comes in parts, is shortened, or has a named index', () => {
    const wide = '     age    sex  \\\n0  0.038  0.050   \n1 -0.001 -0.044   \n\n     bmi  \n0  0.061  \n1 -0.051  ';
    expect(parseBlock(wide, COLUMNS)).toEqual({ header: COLUMNS, rows: [['0.038', '0.050', '0.061'], ['-0.001', '-0.044', '-0.051']] });
    const short = '    age  sex\n0     1    2\n..  ...  ...\n99    3    4\n\n[100 rows x 2 columns]';
    expect(parseBlock(short, COLUMNS)?.rows).toEqual([['1', '2'], ['3', '4']]);
    expect(parseBlock('    age  sex\nid          \na     1    2', COLUMNS)?.rows).toEqual([['1', '2']]);
  });

  it('takes one value as it is', () => {
    for (const one of ['12', 'a sentence, with commas', 'two words', '']) expect(parseBlock(one, COLUMNS)).toBeNull();
    expect(parseBlock('1, 2, 3', COLUMNS)?.rows).toEqual([['1', '2', '3']]);
    expect(parseBlock('0.1  0.2\n0.3 -0.4', COLUMNS)?.rows).toEqual([['0.1', '0.2'], ['0.3', '-0.4']]);
  });
});
