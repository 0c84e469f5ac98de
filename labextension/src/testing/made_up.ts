/** A language that has every message, in wide letters: what is drawn in narrow ones is data, or not translated. */
import { ENGLISH, type Translation } from '../ui/translation';

const widen = (text: string) => text.replace(/%\d|[A-Za-z]/g, one => (one[0] === '%' ? one : String.fromCharCode(one.charCodeAt(0) + 0xfee0)));

export const madeUp: Translation = {
  __: (text, ...values) => ENGLISH.__(widen(text), ...values),
  _n: (one, many, n, ...values) => ENGLISH._n(widen(one), widen(many), n, ...values),
};
