import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Channel, CommPort, type Message } from './comm_port';
import { REQUEST_MS, SLOW_REQUEST_MS } from './limits';
import type { Failure, LogLine } from './protocol';

/** A comm whose other end is the test. */
class FakeChannel implements Channel {
  readonly sent: Message[] = [];
  private receivers = new Set<(message: Message) => void>();

  send(message: Message) {
    this.sent.push(message);
  }

  listen(onMessage: (message: Message) => void) {
    this.receivers.add(onMessage);
    return () => this.receivers.delete(onMessage);
  }

  deliver(kind: string, id: string, body: unknown, more: object = {}) {
    for (const receive of this.receivers) receive({ kind, id, body: JSON.stringify(body), ...more });
  }

  of(kind: string) {
    return this.sent.filter((message) => message.kind === kind);
  }
}

function connected() {
  const channel = new FakeChannel();
  const port = new CommPort();
  port.attach(channel);
  return { channel, port };
}

beforeEach(() => void vi.useFakeTimers({ now: new Date('2026-01-31T12:00:00.000Z') }));
afterEach(() => void vi.useRealTimers());

const ref = { deployment: 'd1' };
const line = (n: number) => ({ n, text: `line ${n}` }) as LogLine;

test('each request gets the answer with its id, in whatever order answers come', async () => {
  const { channel, port } = connected();
  const first = port.request('service.describe', { service: 'a' });
  const second = port.request('service.describe', { service: 'b' });
  const [a, b] = channel.of('request') as [Message, Message];
  expect(a.params).toEqual({ service: 'a' });
  channel.deliver('answer', b.id, { service: 'b' }, { ok: true });
  channel.deliver('answer', a.id, { service: 'a' }, { ok: true });
  expect((await first).service).toBe('a');
  expect((await second).service).toBe('b');
});

test('views of a form are told what it began, also those that come later', () => {
  const { channel, port } = connected();
  const begun = { service: 'a', workspace: '', deployment: 'd1', model: '' };
  const told: unknown[] = [];
  const stop = port.onBegun('form-1', one => void told.push(one));
  void port.request('form.submit', { form: 'deploy', values: {} }, 'form-1');
  expect(channel.sent[0]!.output).toBe('form-1');
  channel.deliver('begun', 'form-2', { ...begun, service: 'b' });
  expect(told).toEqual([]);
  channel.deliver('begun', 'form-1', begun);
  expect(told).toEqual([begun]);
  stop();
  port.onBegun('form-1', one => void told.push(one));
  expect(told).toEqual([begun, begun]);
});

test('a refusal rejects with its failure', async () => {
  const { channel, port } = connected();
  const asked = port.request('service.stop', { service: 'a' });
  const failure = { code: 'in-progress', error: 'e', cause: 'c', hint: 'h' };
  channel.deliver('answer', channel.sent[0]!.id, failure, { ok: false });
  await expect(asked).rejects.toEqual(failure);
});

test('a request that nobody answers ends with a time-out, an order and a score later', async () => {
  const { port } = connected();
  const ends: string[] = [];
  const note = (name: string) => (failure: Failure) => void ends.push(`${name}: ${failure.code}, ${failure.error}`);
  port.request('service.describe', { service: 'a' }).catch(note('describe'));
  port.request('service.score', { service: 'a', body: { json: '1' } }).catch(note('score'));
  await vi.advanceTimersByTimeAsync(REQUEST_MS - 1);
  expect(ends).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toEqual(['describe: timeout, the kernel did not answer within 30 s']);
  await vi.advanceTimersByTimeAsync(SLOW_REQUEST_MS - REQUEST_MS);
  expect(ends).toHaveLength(2);
});

test('events go to the subscription that asked, until it ends', () => {
  const { channel, port } = connected();
  const seen: unknown[] = [];
  const end = port.subscribe('deployment', ref, (event) => seen.push(event));
  const { id } = channel.of('subscribe')[0]!;
  channel.deliver('event', id, { lines: [line(1)] }, { seq: 1 });
  channel.deliver('event', 'another', { lines: [line(2)] }, { seq: 1 });
  end();
  channel.deliver('event', id, { lines: [line(3)] }, { seq: 2 });
  expect(seen).toEqual([{ lines: [line(1)] }]);
  expect(channel.of('unsubscribe').map((message) => message.id)).toEqual([id]);
});

test('the kernel is told of every million characters that are here', () => {
  const { channel, port } = connected();
  port.subscribe('deployment', ref, () => {});
  const { id, receives } = channel.of('subscribe')[0]!;
  expect(receives).toBe(true);
  const long = { ...line(1), text: 'x'.repeat(400_000) };
  for (let seq = 1; seq <= 7; seq++) channel.deliver('event', id, { lines: [{ ...long, n: seq }] }, { seq });
  expect(channel.of('received')).toEqual([3, 6].map((seq) => ({ kind: 'received', id, seq })));
});

test('after the kernel has gone views are told since when, and what waits is rejected', async () => {
  const { channel, port } = connected();
  const lost: string[] = [];
  port.subscribe('deployment', ref, () => {}, (since) => lost.push(since));
  const asked = port.request('service.describe', { service: 'a' });
  port.lose();
  port.lose();
  expect(lost).toEqual(['2026-01-31T12:00:00.000Z']);
  await expect(asked).rejects.toMatchObject({ code: 'lost' });
  await expect(port.request('service.describe', { service: 'a' })).rejects.toMatchObject({ code: 'lost' });
  const later: string[] = [];
  port.subscribe('service', { service: 'a' }, () => {}, (since) => later.push(since));
  expect(later).toEqual(lost);
  expect(channel.of('subscribe')).toHaveLength(1);
});

test('once the page is connected again the same comm serves, but not after the end of its kernel', () => {
  const { channel, port } = connected();
  const seen: number[] = [];
  const lost: string[] = [];
  port.subscribe('deployment', ref, (event) => seen.push(...(event.lines ?? []).map(({ n }) => n)), (since) => lost.push(since));
  channel.deliver('event', channel.of('subscribe')[0]!.id, { lines: [line(1)] }, { seq: 1 });
  port.interrupt();
  port.interrupt(); // said for each attempt to connect
  expect(lost).toHaveLength(1);
  port.resume();
  const again = channel.of('subscribe')[1]!;
  expect(again.params).toMatchObject({ after: 1 });
  channel.deliver('event', again.id, { lines: [line(2)] }, { seq: 1 });
  expect(seen).toEqual([1, 2]);
  port.interrupt();
  port.lose();
  port.resume();
  expect(port.connected).toBe(false);
  expect(channel.of('subscribe')).toHaveLength(2);
});

test('over another comm a subscription continues after the last line that its view has', () => {
  const { channel, port } = connected();
  const seen: unknown[] = [];
  port.subscribe('deployment', ref, (event) => seen.push(event));
  channel.deliver('event', channel.of('subscribe')[0]!.id, { lines: [line(6), line(7)] }, { seq: 1 });
  port.lose();
  const next = new FakeChannel();
  port.attach(next);
  expect(next.of('subscribe')[0]!.params).toEqual({ deployment: 'd1', after: 7 });
  next.deliver('event', next.of('subscribe')[0]!.id, { lines: [line(8)] }, { seq: 1 });
  channel.deliver('event', channel.of('subscribe')[0]!.id, { lines: [line(8)] }, { seq: 2 }); // too late
  expect(seen).toHaveLength(2);
});

test('an event that was dropped on the way is asked for again', () => {
  const { channel, port } = connected();
  const seen: unknown[] = [];
  port.subscribe('deployment', ref, (event) => seen.push(event));
  const first = channel.of('subscribe')[0]!;
  channel.deliver('event', first.id, { lines: [line(1)] }, { seq: 1 });
  channel.deliver('event', first.id, { lines: [line(3)] }, { seq: 3 });
  const second = channel.of('subscribe')[1]!;
  expect(second.params).toEqual({ deployment: 'd1', after: 1 });
  channel.deliver('event', second.id, { lines: [line(2), line(3)] }, { seq: 1 });
  expect(seen).toEqual([{ lines: [line(1)] }, { lines: [line(2), line(3)] }]);
});

test('a view that unsubscribes from within an event does no harm to the others', () => {
  const { channel, port } = connected();
  const seen: string[] = [];
  const end = port.subscribe('deployment', ref, () => end());
  port.subscribe('service', { service: 'a' }, () => seen.push('service'));
  const [first, second] = channel.of('subscribe') as [Message, Message];
  channel.deliver('event', first.id, {}, { seq: 1 });
  channel.deliver('event', second.id, {}, { seq: 1 });
  expect(seen).toEqual(['service']);
});

test('a hidden page says so for every subscription, also for one that begins then', () => {
  const { channel, port } = connected();
  port.subscribe('service', { service: 'a' }, () => {});
  port.setVisible(false);
  port.setVisible(false);
  port.subscribe('service', { service: 'b' }, () => {});
  expect(channel.of('visible').map(({ visible }) => visible)).toEqual([false, false]);
  port.setVisible(true);
  expect(channel.of('visible').slice(2).map(({ visible }) => visible)).toEqual([true, true]);
});

test('lone surrogates in a body arrive as they were', () => {
  const { channel, port } = connected();
  const seen: { lines?: LogLine[] }[] = [];
  port.subscribe('deployment', ref, (event) => seen.push(event));
  const id = channel.of('subscribe')[0]!.id;
  channel.deliver('event', id, { lines: [{ n: 1, text: '\ud800 \u0000' }] }, { seq: 1 });
  expect(seen[0]!.lines![0]!.text).toBe('\ud800 \u0000');
});

test('a part of the panel comes as text, and is imported', async () => {
  vi.stubGlobal('URL', Object.assign(URL, { createObjectURL: (blob: Blob) => `data:text/javascript,${encodeURIComponent((blob as Blob & { text: string }).text)}`, revokeObjectURL: () => undefined }));
  vi.stubGlobal('Blob', class { text: string; constructor(parts: string[]) { this.text = parts.join(''); } });
  const { channel, port } = connected();
  const loaded = port.loadPart('latency') as Promise<{ default: (lend: () => string) => string }>;
  const [asked] = channel.of('part') as [Message];
  expect(asked.name).toBe('latency');
  channel.deliver('answer', asked.id, 'export default (lend) => `borrows ${lend()}`;', { ok: true });
  expect((await loaded).default(() => 'preact')).toBe('borrows preact');
  vi.unstubAllGlobals();
});
