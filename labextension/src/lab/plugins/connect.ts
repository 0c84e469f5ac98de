/** The port to the server of this page, and what JupyterLab adds to it. */
import type { ServerConnection } from '@jupyterlab/services';
import type { Port } from '../../protocol';

export function connect(_settings: ServerConnection.ISettings): Port {
  return {
    request: () => Promise.reject({ code: 'lost', error: 'The server extension is not there', cause: '', hint: '' }),
    subscribe: (_topic, _params, _onEvent, onLost) => {
      onLost?.(new Date().toISOString());
      return () => undefined;
    },
  };
}
