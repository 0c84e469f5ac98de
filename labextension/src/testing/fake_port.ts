/** A port whose answers a test chooses. Every request is kept in `asked`. */
import type { Failure, Port, Requests, Topics } from '../protocol';
import * as api from '../ui/api';
import * as latency from '../ui/latency';
import * as samples from './samples';

type OnLost = NonNullable<Parameters<Port['subscribe']>[3]>;

type Answers = { [N in keyof Requests]?: Requests[N][1] | Failure | ((params: Requests[N][0]) => Requests[N][1] | Promise<Requests[N][1]>) };

export interface FakePort extends Port {
  asked: { name: keyof Requests; params: Record<string, unknown> }[];
  emit<T extends keyof Topics>(topic: T, event: Topics[T]['event']): void;
  lose: OnLost;
  topics(): string[];
  requests(): string[];
}

export const DEFAULTS: Answers = {
  'service.describe': samples.service(),
  'service.history': samples.history,
  'service.events': samples.events,
  'service.keys': { primary: 'k1-secret-key', secondary: 'k2', token: '', expires: '' },
  'service.openapi': { document: samples.document },
  'service.samples': [{ title: 'Sample', body: { json: JSON.stringify({ data: samples.ROWS }) } }],
  'service.tests': [],
  'service.code': samples.code,
  'service.score': samples.answer(),
  'service.rollback': { deployment: 'd-2' },
  'service.delete': { text: 'Deleted', left: [] },
  'service.stop': { text: 'Stopped' },
  'service.cell': ({ service }) => ({ text: `service = Webservice(ws, "${service}")` }),
  'model.cell': ({ model }) => ({ text: `model = Model(ws, id="${model}")` }),
  'model.delete': { text: 'Deleted its files' },
  'deployment.cancel': { cancelled: true, text: '' },
  'deployment.report': { markdown: '# report' },
  'deployment.logText': { name: 'deployment.log', text: 'all of it' },
  'latency.runs': samples.latencyRuns,
  'latency.start': { run: 'r-1' },
  'latency.stop': { text: 'Stopping' },
  'form.describe': samples.deployForm,
  'form.check': samples.check,
};

/** Everything that fake ports ever said: what is drawn beside the words of the interface. */
export const told: unknown[] = [];

export function fakePort(answers: Answers = {}, extras: Partial<Port> = {}): FakePort {
  const all: Answers = { ...DEFAULTS, ...answers };
  const subscriptions = new Set<{ topic: keyof Topics; onEvent: (event: never) => void; onLost?: OnLost }>();
  const asked: FakePort['asked'] = [];
  const last = new Map<keyof Topics, unknown>(); // every subscription first gets what is
  return {
    asked,
    async request(name, params) {
      asked.push({ name, params: params as Record<string, unknown> });
      const chosen = all[name];
      const answer = typeof chosen === 'function' ? await (chosen as (given: unknown) => unknown)(params) : chosen;
      told.push(answer);
      if (answer === undefined) throw { code: 'unknown', error: `no answer to ${name}`, cause: '', hint: '' } satisfies Failure;
      if (typeof answer === 'object' && answer !== null && 'code' in answer && 'error' in answer && 'hint' in answer) throw answer;
      return answer as never;
    },
    subscribe(topic, params, onEvent, onLost) {
      const one = { topic, params, onEvent: onEvent as (event: never) => void, onLost };
      subscriptions.add(one);
      if (last.has(topic)) queueMicrotask(() => subscriptions.has(one) && one.onEvent(last.get(topic) as never));
      return () => subscriptions.delete(one);
    },
    emit(topic, event) {
      last.set(topic, event);
      told.push(event);
      for (const one of [...subscriptions]) if (one.topic === topic) one.onEvent(event as never);
    },
    lose(since, nextTry, why) {
      told.push(why);
      for (const one of [...subscriptions]) one.onLost?.(since, nextTry, why);
    },
    loadPart: async name => ({ default: () => ({ api, latency })[name] }),
    topics: () => [...subscriptions].map(one => one.topic),
    requests: () => asked.map(one => one.name), // for a browser's tests: the bundle shortens `asked`
    ...extras,
  };
}
