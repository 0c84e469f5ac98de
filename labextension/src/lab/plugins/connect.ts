/** The port to the server that this page comes from. */
import { PageConfig } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { Part, Port } from '../../protocol';
import { HttpPort } from '../http_port';
import { OFF } from './tokens';

// Filled in by build_lab.mjs: where the extension's files are, and which has each part.
declare const FOLDER: URL;
declare const PARTS: Record<Part, string>;

/** A port that knows whether somebody sees the page. */
export function connect({ baseUrl, token, fetch }: ServerConnection.ISettings): Port {
  const isOff = PageConfig.getOption(OFF) !== '';
  const port = new HttpPort({ baseUrl, token, isOff, fetch: fetch as typeof globalThis.fetch });
  const tell = () => port.setVisible(document.visibilityState === 'visible');
  document.addEventListener('visibilitychange', tell);
  window.addEventListener('online', () => port.retry());
  tell();
  return Object.assign(port, { reconnect: () => port.retry(), loadPart: (name: Part) => import(new URL(PARTS[name], FOLDER).href) });
}
