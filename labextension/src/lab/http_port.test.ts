import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Failure, Topics } from '../protocol';
import { REQUEST_MS } from '../limits';
import { FIRST_PAUSE_MS, HttpPort, LAST_PAUSE_MS, SILENT_MS, readXsrf } from './http_port';
import { readEvents } from './event_stream';

interface Sent { url: string; init: RequestInit; body: Record<string, unknown>; headers: Headers }

/** A server that answers as a test says, and keeps what it was sent. A stream stays open until it is ended. */
class FakeServer {
  sent: Sent[] = [];
  streams: { push(message: unknown): void; raw(text: string): void; end(): void; signal: AbortSignal; body: Record<string, unknown> }[] = [];
  answer: (sent: Sent) => Response | Promise<Response> = () => Response.json({});
  isDown = false;
  status = 200;

  fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const url = String(input);
    const sent = { url, init, headers: new Headers(init.headers), body: init.body ? JSON.parse(String(init.body)) : {} };
    this.sent.push(sent);
    if (this.isDown) throw new TypeError('Failed to fetch');
    if (init.signal?.aborted) throw init.signal.reason;
    if (url.endsWith('/stream')) return this.status === 200 ? this.#open(sent) : new Response('', { status: this.status });
    return this.answer(sent);
  };

  #open(sent: Sent): Response {
    const id = String(this.streams.length + 1);
    const signal = sent.init.signal!;
    const encoder = new TextEncoder();
    const server = this;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        let isOpen = true;
        const raw = (text: string) => isOpen && controller.enqueue(encoder.encode(text));
        signal.addEventListener('abort', () => {
          if (isOpen) controller.error(signal.reason);
          isOpen = false;
        });
        server.streams.push({
          signal,
          body: sent.body,
          raw,
          push: message => raw(`data: ${JSON.stringify(message)}\n\n`),
          end: () => {
            if (isOpen) controller.close();
            isOpen = false;
          },
        });
      },
    });
    this.streams.at(-1)!.push({ stream: id });
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
  }

  get stream() {
    return this.streams.at(-1)!;
  }
}

let server: FakeServer;
let port: HttpPort;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  server = new FakeServer();
  port = new HttpPort({ baseUrl: 'http://hub/user/x', token: 't', fetch: server.fetch, cookie: () => 'a=1; _xsrf=2|ab=; b=2' });
});

afterEach(() => {
  port.close();
  vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

test('a request goes to its route below the base URL, with token and XSRF header', async () => {
  await port.request('service.log', { service: 'churn', workspace: 'w1', after: 5, search: 'a b&c' });
  await port.request('service.scale', { service: 'churn', workspace: 'w1', workers: 2 });
  await port.request('service.delete', { service: 'churn', workspace: 'w1', confirm: 'churn' });
  await port.request('model.cell', { model: 'm:1', workspace: 'w1' });
  await port.request('service.describe', { service: 'churn' });
  expect(server.sent.map(one => `${one.init.method} ${one.url}`)).toEqual([
    'GET http://hub/user/x/mldeploy/api/services/w1/churn/log?after=5&search=a+b%26c',
    'POST http://hub/user/x/mldeploy/api/services/w1/churn/scale',
    'DELETE http://hub/user/x/mldeploy/api/services/w1/churn?confirm=churn',
    'GET http://hub/user/x/mldeploy/api/models/w1/m%3A1/cell',
    'GET http://hub/user/x/mldeploy/api/services/-/churn',
  ]);
  expect(server.sent[1]!.body).toEqual({ workers: 2 });
  expect(server.sent[1]!.headers.get('X-XSRFToken')).toBe('2|ab=');
  expect(server.sent[1]!.headers.get('Authorization')).toBe('token t');
});

test('a name cannot leave its place in the path', async () => {
  await port.request('service.describe', { service: '../../api/contents?x#', workspace: '..' });
  expect(server.sent[0]!.url).toBe('http://hub/user/x/mldeploy/api/services/-/..%2F..%2Fapi%2Fcontents%3Fx%23');
});

test('a failure is what the server says, else what can be known', async () => {
  const failure = { code: 'not-found', error: 'e', cause: 'c', hint: 'h' };
  const codes: string[] = [];
  const ask = async () => port.request('service.list', {}).catch((f: Failure) => codes.push(f.code));
  server.answer = () => Response.json(failure, { status: 404 });
  await expect(port.request('service.list', {})).rejects.toEqual(failure);
  server.answer = () => Response.json({ message: 'Forbidden' }, { status: 403 });
  await ask();
  server.answer = () => new Response('<html>', { status: 404 });
  await ask();
  server.answer = () => new Response('<html>', { status: 502 });
  await ask();
  server.answer = () => new Response('<html>');
  await ask();
  server.isDown = true;
  await ask();
  expect(codes).toEqual(['forbidden', 'unavailable', 'lost', 'lost', 'lost']);
});

test('a stream that is refused says why, and what is off', async () => {
  const lost = vi.fn();
  server.status = 404;
  port.subscribe('overview', {}, () => {}, lost);
  await settle();
  expect(lost.mock.lastCall![2]).toMatchObject({ code: 'unavailable', hint: expect.stringContaining('server extension enable') });
  const off = new HttpPort({ baseUrl: 'http://hub/user/x/', token: 't', isOff: true, fetch: server.fetch, cookie: () => '' });
  off.subscribe('overview', {}, () => {}, lost);
  await settle();
  expect(lost.mock.lastCall![2]).toMatchObject({ cause: expect.stringContaining('c.MldeployApp.enabled = False') });
  off.close();
  server.status = 200;
  server.isDown = true;
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS * 2);
  expect(lost.mock.lastCall![2]).toBeUndefined(); // nobody answers now
});

test('a long line says how much of it is left out', async () => {
  const lines: unknown[] = [];
  port.subscribe('serviceLog', { service: 'churn' }, event => lines.push(...event.lines));
  await settle();
  server.stream.push({ id: '1', seq: 1, event: { lines: [{ n: 7, text: 'x'.repeat(8192), cut: 1808 }] } });
  await settle();
  expect(lines).toMatchObject([{ n: 7, cut: 1808 }]);
});

test('an answer that does not come is a failure after a while', async () => {
  vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new DOMException('late', 'TimeoutError')), ms);
    return abort.signal;
  });
  server.answer = sent => new Promise((_, reject) => sent.init.signal!.addEventListener('abort', () => reject(sent.init.signal!.reason)));
  const asked = port.request('service.list', {}).catch((f: Failure) => f.code);
  await vi.advanceTimersByTimeAsync(REQUEST_MS);
  expect(await asked).toBe('timeout');
});

test('all subscriptions of one turn open one stream, later ones join it', async () => {
  const events: unknown[] = [];
  port.subscribe('overview', {}, event => events.push(event));
  const end = port.subscribe('service', { service: 'churn' }, event => events.push(event));
  await settle();
  expect(server.streams.length).toBe(1);
  expect(server.stream.body).toEqual({
    subscriptions: [{ id: '1', topic: 'overview', params: {} }, { id: '2', topic: 'service', params: { service: 'churn' } }],
    visible: true,
  });
  server.stream.push({ id: '1', seq: 1, event: { whole: true } });
  server.stream.raw(':\n\n');
  await settle();
  expect(events).toEqual([{ whole: true }]);
  port.subscribe('deployment', { deployment: 'd1', after: 3 }, event => events.push(event));
  end();
  await settle();
  expect(server.streams.length).toBe(1);
  expect([server.sent.at(-1)!.url, server.sent.at(-1)!.body]).toEqual([
    'http://hub/user/x/mldeploy/api/stream/1',
    { subscribe: [{ id: '3', topic: 'deployment', params: { deployment: 'd1', after: 3 } }], unsubscribe: ['2'] },
  ]);
});

test('the stream ends with its last subscription, and begins again with the next', async () => {
  const end = port.subscribe('overview', {}, () => {});
  await settle();
  end();
  await settle();
  expect(server.stream.signal.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.streams.length).toBe(1);
  port.subscribe('overview', {}, () => {});
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
  expect(server.streams.length).toBe(2);
});

test('what is ended before it was sent is never asked for', async () => {
  port.subscribe('overview', {}, () => {});
  port.subscribe('service', { service: 'churn' }, () => {})();
  await settle();
  expect((server.stream.body.subscriptions as unknown[]).length).toBe(1);
  port.subscribe('service', { service: 'churn' }, () => {})();
  await settle();
  expect(server.sent.length).toBe(1);
});

test('after a lost connection every subscription continues after its last line', async () => {
  const lines: number[] = [];
  const lost: string[] = [];
  const tries: number[] = [];
  vi.setSystemTime('2026-11-26T12:00:00.000Z');
  port.subscribe('deployment', { deployment: 'd1' }, (event: Topics['deployment']['event']) => lines.push(...(event.lines ?? []).map(l => l.n)), (since, nextTry) => {
    lost.push(since);
    tries.push(Date.parse(nextTry ?? '') - Date.now());
  });
  await settle();
  server.stream.push({ id: '1', seq: 1, event: { lines: [{ n: 1 }, { n: 2 }] } });
  await settle();
  server.isDown = true;
  server.stream.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(new Set(lost)).toEqual(new Set(['2026-11-26T12:00:00.000Z'])); // since when
  expect(tries.slice(0, 3)).toEqual([500, 1000, 2000]); // and when it is tried again
  server.isDown = false;
  await vi.advanceTimersByTimeAsync(LAST_PAUSE_MS * 1.25);
  expect(server.streams.length).toBe(2);
  expect(server.stream.body.subscriptions).toEqual([{ id: '1', topic: 'deployment', params: { deployment: 'd1', after: 2 } }]);
  server.stream.push({ id: '1', seq: 1, event: { lines: [{ n: 3 }] } });
  await settle();
  expect(lines).toEqual([1, 2, 3]);
});

test('a stream that a proxy cuts is opened again without a word', async () => {
  const lost = vi.fn();
  port.subscribe('overview', {}, () => {}, lost);
  await settle();
  server.stream.end();
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
  expect(server.streams.length).toBe(2);
  expect(lost).not.toHaveBeenCalled();
});

test('pauses between attempts grow, and a word from outside ends one', async () => {
  server.isDown = true;
  port.subscribe('overview', {}, () => {}, () => {});
  const attempts: number[] = [];
  const begun = Date.now();
  for (let ms = 0; ms < 60_000; ms += 50) {
    const before = server.sent.length;
    await vi.advanceTimersByTimeAsync(50);
    if (server.sent.length > before) attempts.push(Date.now() - begun);
  }
  expect(attempts.slice(0, 6)).toEqual([50, 250, 750, 1750, 3750, 7750]);
  expect(attempts.length).toBeLessThan(14);
  server.isDown = false;
  port.retry();
  await settle();
  expect(server.streams.length).toBe(1);
});

test('a stream that says nothing any more is given up', async () => {
  port.subscribe('overview', {}, () => {});
  await settle();
  await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
  server.stream.raw(':\n\n');
  await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
  expect(server.streams.length).toBe(1);
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS + 1);
  expect(server.streams.length).toBe(2);
});

test('a server that does not know the stream any more gets all subscriptions again', async () => {
  port.subscribe('overview', {}, () => {});
  await settle();
  server.answer = () => Response.json({ code: 'not-found', error: '', cause: '', hint: '' }, { status: 404 });
  port.subscribe('service', { service: 'churn' }, () => {});
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
  expect(server.streams.length).toBe(2);
  expect((server.stream.body.subscriptions as unknown[]).length).toBe(2);
});

test('a subscription that is refused says so and leaves the others alone', async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  const lost = vi.fn();
  const events: unknown[] = [];
  port.subscribe('service', { service: 'zebra' }, () => {}, lost);
  port.subscribe('overview', {}, event => events.push(event));
  await settle();
  server.stream.push({ id: '1', failure: { code: 'not-found', error: 'e', cause: 'c', hint: 'h' } });
  server.stream.push({ id: '2', seq: 1, event: {} });
  await settle();
  expect(lost).toHaveBeenCalledOnce();
  expect(events).toEqual([{}]);
});

test('the server is told what nobody sees', async () => {
  port.subscribe('overview', {}, () => {});
  await settle();
  port.setVisible(false);
  port.setVisible(false);
  await settle();
  expect(server.sent.slice(1).map(one => one.body)).toEqual([{ visible: false }]);
  server.stream.end();
  await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
  expect(server.stream.body.visible).toBe(false);
});

test('events are read whatever pieces they come in', async () => {
  const text = ':\n\ndata: {"a": "é\\n"}\n\nid: 1\nevent: x\ndata: {"b":\ndata: 2}\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 3, 7, bytes.length]) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const found: unknown[] = [];
    for await (const event of readEvents(body)) found.push(event);
    expect(found).toEqual([null, { a: 'é\n' }, { b: 2 }]);
  }
});

test('the token against forged requests is found among the cookies', () => {
  expect(readXsrf('')).toBe('');
  expect(readXsrf('x_xsrf=1; _xsrf=2|3=|4')).toBe('2|3=|4');
});
