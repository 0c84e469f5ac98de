/** The entry of the notebook's widget: what anywidget calls for each model and each of its views. */
import { h, render as renderTree } from 'preact';
import { Panel } from './ui/panel';
import type { Port } from './protocol';

const offline: Port = {
  request: () => Promise.reject({ code: 'lost', error: 'nothing is connected', cause: '', hint: '' }),
  subscribe: () => () => {},
};

export default {
  render({ el }: { el: HTMLElement }) {
    renderTree(h(Panel, { port: offline, service: 'churn' }), el);
    return () => renderTree(null, el);
  },
};
