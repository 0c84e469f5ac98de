/** JSON whose numbers keep every digit: a form must not round the 19 digits of an id. */
import { t } from '../translation';

export class JsonNumber {
  constructor(readonly raw: string) {}
}
export type Json = null | boolean | string | JsonNumber | Json[] | JsonObject;
export type JsonObject = Map<string, Json>;

export const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

export class JsonError extends Error {
  constructor(message: string, readonly line: number, readonly column: number) {
    super(t`${message} in line ${line}, column ${column}`);
  }
}

const LITERALS: [string, null | boolean][] = [['null', null], ['true', true], ['false', false]];
const DEEPEST = 200; // levels; deeper text is edited as text

/** Raises `JsonError` where the text is not JSON. Python's NaN and Infinity are numbers here, as its json writes them. */
export function parseJson(text: string): Json {
  let at = 0;
  const fail = (message: string): never => {
    const before = text.slice(0, at).split('\n');
    throw new JsonError(message, before.length, before.at(-1)!.length + 1);
  };
  const skip = () => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at += 1;
  };
  const string = (): string => {
    const start = at;
    at += 1;
    while (text[at] !== '"') {
      if (at >= text.length) fail(t`a string that does not end`);
      at += text[at] === '\\' ? 2 : 1;
    }
    at += 1;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      at = start;
      return fail(t`a string with a character that must be escaped`);
    }
  };
  const value = (depth: number): Json => {
    skip();
    if (depth > DEEPEST) fail(t`nested too deeply`);
    const here = text[at];
    if (here === '"') return string();
    if (here === '[' || here === '{') {
      const items: Json[] = [];
      const object: JsonObject = new Map();
      const close = here === '[' ? ']' : '}';
      at += 1;
      skip();
      if (text[at] === close) {
        at += 1;
        return here === '[' ? items : object;
      }
      for (;;) {
        skip();
        if (here === '[') {
          items.push(value(depth + 1));
        } else {
          if (text[at] !== '"') fail(t`expected a key in double quotes`);
          const key = string();
          skip();
          if (text[at] !== ':') fail(t`expected ':'`);
          at += 1;
          object.set(key, value(depth + 1));
        }
        skip();
        if (text[at] === ',') at += 1;
        else if (text[at] === close) break;
        else fail(at < text.length ? t`expected ',' or '${close}'` : t`'${close}' is missing`);
      }
      at += 1;
      return here === '[' ? items : object;
    }
    for (const [word, literal] of LITERALS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return literal;
      }
    }
    const number = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity)/.exec(text.slice(at, at + 4000));
    if (!number) return fail(at < text.length ? t`unexpected ${JSON.stringify(here)}` : t`the text is empty or incomplete`);
    at += number[0].length;
    return new JsonNumber(number[0]);
  };
  const result = value(0);
  skip();
  if (at < text.length) fail(t`text after the value`);
  return result;
}

/** Pretty, but a list or an object without nested ones stays on one line while it is short. */
export function formatJson(value: Json, indent = '', width = 78): string {
  const flat = flatJson(value);
  if (indent.length + flat.length <= width || (!isArray(value) && !isMap(value))) return flat;
  const inner = `${indent}  `;
  const items = isArray(value)
    ? value.map(item => inner + formatJson(item, inner, width))
    : [...value].map(([key, item]) => `${inner}${JSON.stringify(key)}: ${formatJson(item, inner, width)}`);
  const [open, close] = isArray(value) ? '[]' : '{}';
  return `${open}\n${items.join(',\n')}\n${indent}${close}`;
}

function flatJson(value: Json): string {
  if (value instanceof JsonNumber) return value.raw;
  if (isArray(value)) return `[${value.map(flatJson).join(', ')}]`;
  if (isMap(value)) return `{${[...value].map(([key, item]) => `${JSON.stringify(key)}: ${flatJson(item)}`).join(', ')}}`;
  return JSON.stringify(value);
}

/** A plain JavaScript value, such as a sample of an OpenAPI document, as JSON that a form can change. */
export function fromPlain(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return new JsonNumber(String(value));
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (isArray(value)) return value.map(fromPlain);
  return new Map(Object.entries(value as Record<string, unknown>).map(([key, item]) => [key, fromPlain(item)]));
}

export const { isArray } = Array;
export const isMap = (value: unknown): value is JsonObject => value instanceof Map;

export type Path = (string | number)[];

export function getAt(value: Json, path: Path): Json | undefined {
  let current: Json | undefined = value;
  for (const step of path) {
    if (isMap(current) && typeof step === 'string') current = current.get(step);
    else if (isArray(current) && typeof step === 'number') current = current[step];
    else return undefined;
  }
  return current;
}

/** A copy with the value at `path` replaced, or left out where it is undefined. What is not on the path is shared. */
export function setAt(value: Json, path: Path, next: Json | undefined): Json {
  if (!path.length) return next ?? null;
  const [step, ...rest] = path as [string | number, ...Path];
  if (typeof step === 'number') {
    const items = isArray(value) ? [...value] : [];
    while (items.length < step) items.push(null);
    if (!rest.length && next === undefined) items.splice(step, 1);
    else items[step] = setAt(items[step] ?? null, rest, next);
    return items;
  }
  const object: JsonObject = new Map(isMap(value) ? value : []);
  if (!rest.length && next === undefined) object.delete(step);
  else object.set(step, setAt(object.get(step) ?? null, rest, next));
  return object;
}
