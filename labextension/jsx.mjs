import { h as create } from 'preact';
export { Fragment } from 'preact';

/** What the letters stand for that build.mjs writes. No attribute of HTML or SVG that is used has one of them. */
export const ATTRIBUTES = {
  k: 'onClick', l: 'aria-label', e: 'aria-expanded', t: 'tabIndex', n: 'onKeyDown', i: 'onInput',
  g: 'onChange', s: 'spellcheck', u: 'autocomplete', o: 'scope', v: 'value', q: 'label', a: 'title',
  f: 'style', b: 'disabled', h: 'aria-pressed', m: 'aria-invalid', p: 'aria-describedby', j: 'placeholder',
  T: 'type', R: 'role', L: 'data-level', D: 'data-state',
};

/** Makes an element. `c: 'A B'` stands for `class: 'mld-A mld-B'`. */
export function h(type, props, ...children) {
  const own = props && {};
  for (const name in props) {
    if (name === 'c') own.class = `mld-${props.c.replaceAll(' ', ' mld-')}`;
    else own[ATTRIBUTES[name] ?? name] = props[name];
  }
  return create(type, own, ...children);
}
