import { expect, test } from 'vitest';
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

test('what is sent before the welcome follows it, once and in order', () => {
  const model = fakeModel();
  const timers: [() => void, number][] = [];
  const channel = openChannel(model, 'notebook', undefined, (run, ms) => timers.push([run, ms]));
  channel.send({ kind: 'subscribe', id: '1' });
  channel.send({ kind: 'request', id: '2' });
  timers[0]![0]();
  expect(model.sent.map(({ kind }) => kind)).toEqual(['hello', 'hello']);
  model.deliver({ kind: 'welcome', id: 'of another page' });
  expect(model.sent).toHaveLength(2);
  model.deliver({ kind: 'welcome', id: model.sent[0]!.id });
  model.deliver({ kind: 'welcome', id: model.sent[0]!.id });
  timers[1]![0]();
  channel.send({ kind: 'request', id: '3' });
  expect(model.sent.slice(2).map(({ id }) => id)).toEqual(['1', '2', '3']);
});

test('the greeting is repeated less and less often, and ends with the widget', () => {
  const model = fakeModel();
  const pauses: number[] = [];
  const end = new AbortController();
  let next = () => {};
  openChannel(model, 'notebook', end.signal, (run, ms) => {
    pauses.push(ms);
    next = run;
  });
  for (let count = 0; count < 12; count += 1) next();
  expect(pauses.slice(0, 3)).toEqual([50, 100, 200]);
  expect(pauses.at(-1)).toBe(30_000);
  end.abort();
  next();
  expect(model.sent).toHaveLength(13);
});
