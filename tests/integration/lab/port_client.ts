// JupyterLab's port in Node: subscribes and asks as it is told by lines of JSON, and prints what comes, a line each.
import { createInterface } from 'node:readline';
import { HttpPort } from '../../../labextension/src/lab/http_port';
import type { Requests, Topics } from '../../../labextension/src/protocol';

const [baseUrl, token] = process.argv.slice(2) as [string, string];
const port = new HttpPort({ baseUrl, token });
const ends = new Map<string, () => void>();
const print = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);

interface Order { id: string; subscribe?: keyof Topics; request?: keyof Requests; end?: boolean; params: never }

createInterface({ input: process.stdin }).on('line', line => {
  const { id, subscribe, request, end, params } = JSON.parse(line) as Order;
  if (subscribe) ends.set(id, port.subscribe(subscribe, params, event => print({ id, event }), since => print({ id, lost: since })));
  if (end) ends.get(id)?.();
  if (request) {
    port.request(request, params).then(
      answer => print({ id, answer }),
      failure => print({ id, failure }),
    );
  }
});
