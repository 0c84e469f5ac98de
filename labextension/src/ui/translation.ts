/**
 * What is drawn, in the language of the page. `messages.py` makes the catalogue of every text that is written so.
 *
 * The extension sets JupyterLab's translation; until then, and in a notebook's own panel, the words are English. That
 * panel's bundle has `english.ts` instead of this module, and plain templates instead of tagged ones, so that it
 * costs nothing there (`build.mjs`). Units are symbols, and errors and logs the terminal's words: neither is translated.
 */

/** As JupyterLab's bundles of translations. */
export interface Translation {
  /** The translation, with `%1` for the first argument. */
  __(text: string, ...values: unknown[]): string;
  /** Singular or plural by `n`, which is `%1`. */
  _n(one: string, many: string, n: number, ...values: unknown[]): string;
}

const fill = (text: string, values: unknown[]) => text.replace(/%(\d)/g, (_, at) => String(values[Number(at) - 1] ?? ''));

export const ENGLISH: Translation = {
  __: (text, ...values) => fill(text, values),
  _n: (one, many, n, ...values) => fill(n === 1 ? one : many, [n.toLocaleString('en-US'), ...values]),
};

let current = ENGLISH;
let code = 'en-GB';

/** Sets the language of what is drawn from now on: a page has one. `tag` is its name, such as `de-DE`. */
export function setTranslation(translation: Translation, tag = code): void {
  current = translation;
  code = tag;
}

/** The language in which days and months are named. */
export const language = () => code;

/** t`Revision ${2} serves` is the message `Revision %1 serves`, translated. */
export function t(parts: TemplateStringsArray, ...values: unknown[]): string {
  return current.__(parts.reduce((text, part, at) => `${text}%${at}${part}`), ...values.map(String));
}

/** A message of a table, which `translated` translates when it is drawn. */
export const msg = ([text]: TemplateStringsArray): string => text!;

/**
 * A text that comes as data, such as a field's label, where the catalogue has it; else the text itself. Its numbers are
 * values of the message: `Update to revision 3` is `Update to revision %1`.
 */
export function translated(text: string): string {
  const numbers: string[] = [];
  const message = text.replace(/\d+/g, number => `%${numbers.push(number)}`);
  return text && !text.includes('%') && numbers.length < 10 ? current.__(message, ...numbers) : text;
}

/** `1,234 lines`. The noun's plural has an s. */
export function plural(value: number, noun: string): string {
  return current._n(`%1 ${noun}`, `%1 ${noun}s`, value).replace(String(value), value.toLocaleString('en-US'));
}
