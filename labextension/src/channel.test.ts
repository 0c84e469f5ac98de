import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openChannel } from './channel';
import type { Message } from './comm_port';

function fakeModel() {
  const sent: Message[] = [];
  const receivers = new Set<(message: Message) => void>();
  return {
    sent,
    send: (content: unknown) => void sent.push(content as Message),
    on: (_: string, run: (message: Message) => void) => void receivers.add(run),
    off: (_: string, run: (message: Message) => void) => void receivers.delete(run),
    deliver: (message: Message) => [...receivers].forEach((receive) => receive(message)),
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('what is sent before the welcome follows it, once and in order', () => {
  const model = fakeModel();
  const channel = openChannel(model, 'notebook');
  channel.send({ kind: 'subscribe', id: '1' });
  channel.send({ kind: 'request', id: '2' });
  vi.advanceTimersByTime(50);
  expect(model.sent.map(({ kind }) => kind)).toEqual(['hello', 'hello']);
  model.deliver({ kind: 'welcome', id: 'of another page' });
  expect(model.sent).toHaveLength(2);
  model.deliver({ kind: 'welcome', id: model.sent[0]!.id });
  model.deliver({ kind: 'welcome', id: model.sent[0]!.id });
  vi.advanceTimersByTime(60_000);
  channel.send({ kind: 'request', id: '3' });
  expect(model.sent.slice(2).map(({ id }) => id)).toEqual(['1', '2', '3']);
});

test('the greeting is repeated less and less often, and ends with the widget', () => {
  const model = fakeModel();
  const end = new AbortController();
  openChannel(model, 'notebook', end.signal);
  vi.advanceTimersByTime(50 + 100 + 200);
  expect(model.sent).toHaveLength(4);
  vi.advanceTimersByTime(3_600_000);
  expect(model.sent.length).toBeLessThan(140); // in an hour in which a cell runs
  end.abort();
  const before = model.sent.length;
  vi.advanceTimersByTime(60_000);
  expect(model.sent).toHaveLength(before);
});

test('the end of the kernel ends the greeting without an error', () => {
  const model = fakeModel();
  openChannel(model, 'notebook');
  model.send = () => {
    throw new Error('Cannot send');
  };
  expect(() => vi.advanceTimersByTime(50)).not.toThrow();
  expect(vi.getTimerCount()).toBe(0);
});
