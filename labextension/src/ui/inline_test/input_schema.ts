/** What a service takes, from its own OpenAPI document: which control draws which part of the body. */
import { plural, t } from '../translation';
import { type Json, JsonNumber, NUMBER, fromPlain, isArray, isMap } from './json_text';

export interface Schema {
  type?: string | string[];
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  $ref?: string;
  title?: string;
  description?: string;
  default?: unknown;
  example?: unknown;
  minItems?: number;
  maxItems?: number;
  'x-format'?: string;
  [other: string]: unknown;
}

export type ScalarKind = 'number' | 'integer' | 'string' | 'boolean' | 'choice';

/** A column of a table, or one field. */
export interface Scalar { kind: ScalarKind; nullable: boolean; required: boolean; choices: string[]; describe: string; format: string }

export type Shape =
  | { shape: 'scalar'; scalar: Scalar }
  | { shape: 'table'; rows: 'objects' | 'lists' | 'values'; columns: { key: string; scalar: Scalar }[]; growing: boolean }
  | { shape: 'group'; fields: { key: string; required: boolean; shape: Shape; describe: string }[] }
  | { shape: 'json' };

export interface Input {
  /** The body as JSON; null where the service takes bytes only. */
  json: { shape: Shape; schema: Schema; example: Json | undefined } | null;
  /** Media types of a raw body, `*` + `/*` for any. */
  bytes: string[];
  summary: string;
}

export interface OpenApi {
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
  security?: unknown[];
  [other: string]: unknown;
}

export interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  security?: unknown[];
  requestBody?: { required?: boolean; content?: Record<string, { schema?: Schema; example?: unknown }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: Schema; example?: unknown }> }>;
}

const DEEPEST = 12; // levels of a schema; deeper ones are edited as JSON

export function readInput(document: OpenApi): Input {
  const content = document.paths?.['/score']?.['post']?.requestBody?.content ?? {};
  const json = content['application/json'];
  const bytes = Object.keys(content).filter(type => type !== 'application/json');
  if (!json) return { json: null, bytes, summary: bytes.join(', ') || 'bytes' };
  const schema = json.schema ?? {};
  const example = json.example ?? schema.example;
  const shape = shapeOf(schema, document, example === undefined ? undefined : fromPlain(example));
  return { json: { shape, schema, example: example === undefined ? undefined : fromPlain(example) }, bytes, summary: describeShape(shape) };
}

/** Follows references. Of several alternatives it takes the one that the sample is of, beside null. */
function resolve(schema: Schema, document: OpenApi, sample?: Json, depth = 0): Schema {
  if (depth > DEEPEST) return {};
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    const found = document.components?.schemas?.[name];
    return found ? resolve(found, document, sample, depth + 1) : {};
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const real = choices.filter(one => one.type !== 'null');
    const fitting = real.length === 1 ? real : sample === undefined ? [] : real.map(one => resolve(one, document, sample, depth + 1)).filter(one => isOf(one, sample));
    if (fitting[0]) {
      const one = resolve(fitting[0], document, sample, depth + 1);
      return choices.length > real.length ? { ...one, type: [one.type ?? 'object', 'null'].flat() } : one;
    }
  }
  return schema;
}

/** Whether a value is of a schema's JSON type. */
function isOf(schema: Schema, value: Json): boolean {
  const types = typesOf(schema);
  if (isArray(value)) return types.includes('array');
  if (isMap(value)) return types.includes('object') || !!schema.properties;
  if (value instanceof JsonNumber) return types.includes('number') || types.includes('integer');
  return types.includes(value === null ? 'null' : typeof value);
}

/** What a value shows of the schema that it has no name for: `{}` takes anything. */
function schemaOf(value: Json | undefined): Schema {
  if (value instanceof JsonNumber) return { type: 'number' };
  return typeof value === 'string' || typeof value === 'boolean' ? { type: typeof value } : {};
}

/** A cell's scalar: as its schema says, or where that takes anything, as the sample is. */
function cellOf(schema: Schema | undefined, document: OpenApi, sample: Json | undefined, required: boolean): Scalar | null {
  const own = resolve(schema ?? {}, document, sample);
  return scalarOf(own.type === undefined && !own.enum ? schemaOf(sample) : own, required);
}

const typesOf = (schema: Schema): string[] => (schema.type === undefined ? [] : [schema.type].flat());

function scalarOf(schema: Schema, required: boolean): Scalar | null {
  const types = typesOf(schema).filter(type => type !== 'null');
  const nullable = typesOf(schema).includes('null');
  const base = { nullable, required, format: schema.format ?? '' };
  const choices = schema.enum?.filter(one => one !== null);
  if (choices?.length && choices.every(one => typeof one === 'string')) {
    return { ...base, nullable: nullable || choices.length < schema.enum!.length, kind: 'choice', choices: choices as string[], describe: t`one of a list` };
  }
  const kind = types.length === 1 ? types[0] : undefined;
  if (kind !== 'number' && kind !== 'integer' && kind !== 'string' && kind !== 'boolean') return null;
  const describe = [schema.format && kind === 'string' ? schema.format : kind, nullable ? 'or null' : ''].filter(Boolean).join(' ');
  return { ...base, kind, choices: [], describe };
}

export function shapeOf(raw: Schema, document: OpenApi, sample: Json | undefined, required = true, depth = 0): Shape {
  if (depth > DEEPEST) return { shape: 'json' };
  const schema = resolve(raw, document, sample);
  const scalar = scalarOf(schema, required);
  if (scalar) return { shape: 'scalar', scalar };
  const types = typesOf(schema).filter(type => type !== 'null');
  if (types[0] === 'array') return tableOf(schema, document, sample) ?? { shape: 'json' };
  if (schema.properties) {
    const needed = new Set(schema.required ?? []);
    const fields = Object.entries(schema.properties).map(([key, property]) => {
      const inside = isMap(sample) ? sample.get(key) : undefined;
      const own = resolve(property, document, inside);
      return { key, required: needed.has(key), shape: shapeOf(property, document, inside, needed.has(key), depth + 1), describe: own.description ?? own['x-format'] ?? '' };
    });
    if (!fields.length || fields.every(field => field.shape.shape === 'json')) return { shape: 'json' };
    nameColumns(fields, sample);
    return { shape: 'group', fields };
  }
  return { shape: 'json' };
}

/** A frame by `split` has its columns' names beside its rows. */
function nameColumns(fields: (Shape & { shape: 'group' })['fields'], sample: Json | undefined): void {
  const data = fields.find(field => field.key === 'data')?.shape;
  const names = isMap(sample) ? sample.get('columns') : undefined;
  if (data?.shape !== 'table' || data.rows !== 'lists' || !isArray(names) || names.length !== data.columns.length) return;
  data.columns = data.columns.map((column, at) => ({ ...column, key: cellText(names[at]) }));
}

function tableOf(schema: Schema, document: OpenApi, sample: Json | undefined): Shape | null {
  const rows = isArray(sample) ? sample : [];
  const items = resolve(schema.items ?? {}, document, rows[0]);
  const growing = !(schema.minItems !== undefined && schema.minItems === schema.maxItems);
  const keys = items.properties ? Object.keys(items.properties) : [...new Set(rows.flatMap(row => (isMap(row) ? [...row.keys()] : [])))];
  if (items.properties || (rows.length && rows.every(row => isMap(row)))) {
    const needed = new Set(items.required ?? []);
    const columns = keys.map(key => {
      const seen = rows.map(row => (isMap(row) ? row.get(key) : undefined)).find(value => value !== undefined && value !== null);
      return { key, scalar: cellOf(items.properties?.[key], document, seen, needed.has(key)) };
    });
    if (!columns.length || columns.some(column => column.scalar === null)) return null;
    return { shape: 'table', rows: 'objects', columns: columns as { key: string; scalar: Scalar }[], growing };
  }
  if (typesOf(items).includes('array') || isArray(rows[0])) {
    const first = isArray(rows[0]) ? rows[0] : [];
    const width = items.minItems !== undefined && items.minItems === items.maxItems ? items.minItems : first.length;
    if (!width || width > 200) return null;
    const columns = Array.from({ length: width }, (_, at) => ({ key: String(at), scalar: cellOf(items.items, document, first[at], true) }));
    if (columns.some(column => column.scalar === null)) return null;
    return { shape: 'table', rows: 'lists', columns: columns as { key: string; scalar: Scalar }[], growing };
  }
  const scalar = cellOf(schema.items, document, rows[0], true);
  return scalar ? { shape: 'table', rows: 'values', columns: [{ key: 'value', scalar }], growing } : null;
}

/** Whether a form can show this value: one of another shape is edited as JSON, so that nothing is lost. */
export function fits(shape: Shape, value: Json | undefined): boolean {
  if (shape.shape === 'json') return true;
  if (value === undefined || value === null) return true;
  if (shape.shape === 'scalar') return !isArray(value) && !isMap(value);
  if (shape.shape === 'group') {
    if (!isMap(value)) return false;
    const known = new Map(shape.fields.map(field => [field.key, field.shape]));
    return [...value].every(([key, item]) => known.has(key) && fits(known.get(key)!, item));
  }
  const isScalar = (item: Json | undefined) => !isArray(item) && !isMap(item);
  if (!isArray(value)) return false;
  const keys = new Set(shape.columns.map(column => column.key));
  return value.every(row => {
    if (shape.rows === 'values') return isScalar(row);
    if (shape.rows === 'lists') return isArray(row) && row.length <= shape.columns.length && row.every(isScalar);
    return isMap(row) && [...row].every(([key, item]) => keys.has(key) && isScalar(item));
  });
}

/** What a control shows for a value. */
export function cellText(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (value instanceof JsonNumber) return value.raw;
  return typeof value === 'string' ? value : String(value);
}

/** What a typed text means. What is not a number stays text: the service says what is wrong with it, at its place. */
export function typedValue(text: string, scalar: Scalar): Json | undefined {
  if (scalar.kind === 'boolean') return text === '' ? (scalar.nullable ? null : undefined) : text === 'true' ? true : text === 'false' ? false : text;
  if (scalar.kind === 'number' || scalar.kind === 'integer') {
    const trimmed = text.trim();
    if (trimmed === '') return scalar.nullable ? null : scalar.required ? '' : undefined;
    const number = trimmed.replace(/^\+/, '').replace(/^(-?)\./, '$10.').replace(/^(-?\d+)\.(?!\d)/, '$1').replace(/^(-?)0+(?=\d)/, '$1');
    return NUMBER.test(number) ? new JsonNumber(number) : text;
  }
  if (text === '' && !scalar.required) return undefined;
  return text;
}

function emptyScalar({ nullable, kind, choices }: Scalar): Json {
  if (nullable) return null;
  return kind === 'boolean' ? false : kind === 'string' ? '' : kind === 'choice' ? (choices[0] ?? '') : new JsonNumber('0');
}

export function emptyRow(shape: Shape & { shape: 'table' }): Json {
  if (shape.rows === 'values') return emptyScalar(shape.columns[0]!.scalar);
  if (shape.rows === 'lists') return shape.columns.map(column => emptyScalar(column.scalar));
  return new Map(shape.columns.map(column => [column.key, emptyScalar(column.scalar)]));
}

/** A first body for a service without a sample. */
export function emptyValue(shape: Shape): Json {
  if (shape.shape === 'table') return [emptyRow(shape)];
  if (shape.shape === 'group') return new Map(shape.fields.filter(field => field.required).map(field => [field.key, emptyValue(field.shape)]));
  return shape.shape === 'scalar' ? emptyScalar(shape.scalar) : null;
}

function describeShape(shape: Shape): string {
  if (shape.shape !== 'group') return oneShape(shape);
  return shape.fields.map(field => `${field.key}: ${field.describe.startsWith('pandas.DataFrame') ? 'DataFrame, ' : ''}${oneShape(field.shape)}`).join('; ');
}

function oneShape(shape: Shape): string {
  if (shape.shape === 'table') {
    const numeric = shape.columns.every(column => column.scalar.kind === 'number' || column.scalar.kind === 'integer');
    if (shape.rows === 'values') return numeric ? t`list of numbers` : t`list of values`;
    return numeric ? plural(shape.columns.length, 'numeric column') : plural(shape.columns.length, 'column');
  }
  if (shape.shape === 'scalar') return shape.scalar.describe;
  return shape.shape === 'group' ? plural(shape.fields.length, 'field') : 'JSON';
}
