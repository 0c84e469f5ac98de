import { describe, expect, it } from 'vitest';
import { ago, clock, count, duration, elapsed, exact, moment, offset, size } from './format';
import { type OpenApi, type Schema, cellText, emptyValue, fits, readInput, typedValue } from './inline_test/input_schema';
import { JsonError, formatJson, fromPlain, parseJson, setAt } from './inline_test/json_text';

describe('figures', () => {
  it.each([[null, ''], [-1, '0.0 s'], [0, '0.0 s'], [0.0094, '9.4 ms'], [0.00996, '10 ms'], [0.0994, '99 ms'], [0.0996, '0.1 s'], [38.24, '38.2 s'], [59.94, '59.9 s'], [59.96, '1 min 0 s'], [84, '1 min 24 s'], [7500, '2 h 5 min']])('%s seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text); // as core/journal/wording.py
  });
  it('have units', () => {
    expect([size(999), size(1000), size(3_100_000), size(999_600), elapsed(48.9), elapsed(84), count(20000), offset(36.418), offset(3723)]).toEqual(['999 B', '1.0 kB', '3.1 MB', '1.0 MB', '48 s', '1 min 24 s', '20,000', '0:36.418', '1:02:03.000']);
    const now = new Date(2026, 5, 2, 16, 40);
    expect([exact(now.toISOString()), exact(''), clock(now.toISOString(), true)]).toEqual(['2026-06-02 16:40:00', '', '16:40:00']);
    expect([moment(new Date(2026, 5, 1, 9, 2).toISOString(), now), moment(new Date(2026, 4, 2, 9, 2).toISOString(), now), moment(new Date(2025, 5, 2, 9, 2).toISOString(), now)]).toEqual(['Yesterday, 09:02', '2 May, 09:02', '2 June 2025, 09:02']);
    const before = (seconds: number) => ago(new Date(now.getTime() - seconds * 1000).toISOString(), now);
    expect([before(4), before(300), before(3600), before(86_400), ago('nonsense')]).toEqual(['4 s ago', '5 min ago', '15:40', 'Yesterday, 16:40', '']);
  });
});

describe('JSON', () => {
  it('keeps every digit, NaN and the order of keys', () => {
    for (const text of ['{"id": 1234567890123456789, "x": 1.10}', '[NaN, -Infinity, 1e400]', '{"b": [], "a": {}, "2": null}']) expect(formatJson(parseJson(text))).toBe(text);
    expect(formatJson(setAt(parseJson('{"a": [1]}'), ['a', 2], true))).toBe('{"a": [1, null, true]}');
  });
  it.each([['', 1, 1], ['{"a": 1,\n "b" 2}', 2, 6], ['[1, 2', 1, 6], ['"open', 1, 6], ["{'a': 1}", 1, 2], ['1 2', 1, 3], ['['.repeat(300), 1, 202]])('says where %s is wrong', (text, line, column) => {
    try {
      parseJson(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(JsonError);
      expect([(error as JsonError).line, (error as JsonError).column]).toEqual([line, column]);
    }
  });
});

const input = (schema: Schema, example?: unknown) => readInput({ paths: { '/score': { post: { requestBody: { content: { 'application/json': { schema, example } } } } } } } as OpenApi).json!;
const kind = (schema: Schema, example?: unknown) => {
  const { shape } = input(schema, example);
  return shape.shape === 'table' ? `${shape.rows} ${shape.columns.map(one => `${one.key}:${one.scalar.kind}`).join(',')}` : shape.shape;
};
const numbers = { type: 'array', items: { type: 'number' } };

describe('a form from a schema', () => {
  it('draws arrays with one and two dimensions as tables, and those with three as JSON', () => {
    expect(kind(numbers)).toBe('values value:number');
    expect(kind({ type: 'array', items: { ...numbers, minItems: 2, maxItems: 2 } })).toBe('lists 0:number,1:number');
    expect(kind({ type: 'array', items: numbers }, [[1, 2, 3]])).toBe('lists 0:number,1:number,2:number');
    expect(kind({ type: 'array', items: { type: 'array', items: numbers } }, [[[1]]])).toBe('json');
    expect(kind({ type: 'array', items: { anyOf: [{ type: 'number' }, { type: 'array' }] } }, [[1, 2]])).toBe('lists 0:number,1:number');
  });

  it('draws a frame in each orient that has rows', () => {
    const row = { type: 'object', properties: { age: { type: 'number' }, name: { type: ['string', 'null'] } }, required: ['age'] };
    const list = { type: 'array', items: {}, minItems: 2, maxItems: 2 };
    expect(kind({ type: 'array', items: row })).toBe('objects age:number,name:string');
    expect(kind({ type: 'array', items: list }, [[1, 'a']])).toBe('lists 0:number,1:string');
    const split = input({ type: 'object', properties: { columns: { type: 'array', items: { type: 'string' } }, data: { type: 'array', items: list } } }, { columns: ['age', 'name'], data: [[1, 'a']] });
    expect(split.shape).toMatchObject({ shape: 'group', fields: [{ key: 'columns' }, { key: 'data', shape: { rows: 'lists', columns: [{ key: 'age' }, { key: 'name' }] } }] });
    expect(kind({ type: 'object', additionalProperties: row })).toBe('json');
    expect(kind({ type: 'object', properties: { age: { type: 'object' }, name: { type: 'object' } } })).toBe('json');
    expect(kind({ anyOf: [{ type: 'array', items: { type: 'object' } }, { type: 'object', properties: {} }] }, [{ age: 1, ok: true }])).toBe('objects age:number,ok:boolean');
  });

  it('knows enums, null, references, and takes anything as JSON', () => {
    expect(kind({ type: 'array', items: { type: 'object', properties: { a: { enum: ['x', 'y', null] }, b: { anyOf: [{ type: 'integer' }, { type: 'null' }] } } } })).toBe('objects a:choice,b:integer');
    expect([kind({}), kind({ type: 'object' })]).toEqual(['json', 'json']);
    const loop = readInput({ paths: { '/score': { post: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/A' } } } } } } }, components: { schemas: { A: { $ref: '#/components/schemas/A' } } } });
    expect(loop.json!.shape.shape).toBe('json');
    expect(readInput({ paths: { '/score': { post: { requestBody: { content: { 'image/*': {} } } } } } })).toMatchObject({ json: null, bytes: ['image/*'] });
  });

  it('turns what is typed into values, and what is none stays text', () => {
    const scalar = { kind: 'number' as const, nullable: false, required: true, choices: [], describe: '', format: '' };
    expect(['1.50', '+.5', '007', 'n/a', ''].map(text => cellText(typedValue(text, scalar)))).toEqual(['1.50', '0.5', '7', 'n/a', '']);
    expect(typedValue('', { ...scalar, nullable: true })).toBeNull();
    expect(typedValue('', { ...scalar, required: false })).toBeUndefined();
    const { shape } = input({ type: 'object', properties: { data: numbers }, required: ['data'] });
    expect(formatJson(emptyValue(shape))).toBe('{"data": [0]}');
    const fields = input({ type: 'object', properties: { kind: { enum: ['a', 'b'] }, name: { type: 'string' }, age: { type: ['number', 'null'] }, ok: { type: 'boolean' } }, required: ['kind', 'name', 'age', 'ok'] });
    expect(formatJson(emptyValue(fields.shape))).toBe('{"kind": "a", "name": "", "age": null, "ok": false}');
    expect([fits(shape, fromPlain({ data: [1] })), fits(shape, fromPlain({ data: [[1]] })), fits(shape, fromPlain({ other: 1 }))]).toEqual([true, false, false]);
  });
});
