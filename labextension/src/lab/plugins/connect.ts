/** The port to the server that this page comes from. */
import { PageConfig } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { Port } from '../../protocol';
import { HttpPort } from '../http_port';
import { OFF } from './tokens';

/** A port that knows whether somebody sees the page. */
export function connect({ baseUrl, token, fetch }: ServerConnection.ISettings): Port {
  const isOff = PageConfig.getOption(OFF) !== '';
  const port = new HttpPort({ baseUrl, token, isOff, fetch: fetch as typeof globalThis.fetch });
  const tell = () => port.setVisible(document.visibilityState === 'visible');
  document.addEventListener('visibilitychange', tell);
  window.addEventListener('online', () => port.retry());
  tell();
  return Object.assign(port, { reconnect: () => port.retry() });
}
