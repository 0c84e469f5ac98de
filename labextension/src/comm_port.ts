/**
 * The port of a notebook: requests and subscriptions as messages over a widget's comm.
 *
 * To the kernel, once the channel is open (`channel.ts`): `request {id, name, params}`, `part {id, name}`, `subscribe {id,
 * topic, params, receives}`, `received {id, seq}` as promised by `receives`, `unsubscribe {id}`, `visible {id, visible}`. A
 * request of a form has the id of its `output`, too. From it: `answer {id, ok, body}`, `event {id, seq, body}`, `refused {id, body}`, and `begun {id, body}`: what the form of that
 * output began. Bodies are JSON as text, so that neither end of the kernel's own encoding meets a lone surrogate. The port outlives the comm: another one may
 * be attached, and then every subscription continues after the last line that its view has.
 */
import { requestLimit } from './limits';
import type { Begun, Failure, Part, Port, Requests, Topics } from './protocol';
import { randomId } from './random_id';

export type Message = { kind: string; id: string } & Record<string, unknown>;

/** One comm. `listen` returns what ends the listening. */
export interface Channel {
  send(message: Message): void;
  listen(onMessage: (message: Message) => void): () => void;
}

/** Characters of a subscription after which the kernel is told that they are here: it sends no more than a few times as many ahead. */
const RECEIVED = 1_000_000;

interface Pending {
  resolve(result: unknown): void;
  reject(failure: Failure): void;
  timer: ReturnType<typeof setTimeout>;
}

interface Subscription {
  id: string;
  topic: string;
  params: Record<string, unknown>;
  seq: number;
  characters: number; // since the kernel was told
  onEvent(event: unknown): void;
  onLost(since: string): void;
}

export class CommPort implements Port {
  insertCell?: Port['insertCell'];
  focusCell?: Port['focusCell'];

  #channel: Channel | null = null;
  #interrupted: Channel | null = null; // which serves again once the page is connected
  #stopListening: () => void = () => {};
  #lostSince = '';
  #lastId = 0;
  #visible = true;
  readonly #pending = new Map<string, Pending>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #begun = new Map<string, Begun>(); // by the form's output
  readonly #forms = new Set<() => void>();
  readonly #prefix = randomId(); // two views of a page share a kernel

  /** Whether messages reach the kernel, as far as is known. */
  get connected(): boolean {
    return this.#channel !== null;
  }

  /** Speaks over this comm from now on, and takes every subscription up again. */
  attach(channel: Channel): void {
    this.#stopListening();
    this.#channel = channel;
    this.#interrupted = null;
    this.#lostSince = '';
    this.#stopListening = channel.listen((message) => this.#receive(message));
    for (const subscription of [...this.#subscriptions.values()]) this.#subscribeAgain(subscription);
  }

  /** The comm is closed or the kernel gone: views are told since when, and nothing waits any longer. */
  lose(since = now()): void {
    this.#interrupted = null;
    if (!this.#channel) return;
    this.#stopListening();
    this.#stopListening = () => {};
    this.#channel = null;
    this.#lostSince = since;
    for (const [id, pending] of [...this.#pending]) {
      this.#settle(id);
      pending.reject(lostFailure());
    }
    for (const subscription of [...this.#subscriptions.values()]) subscription.onLost(since);
  }

  /** The page has lost its server. Views are told as if the kernel were gone, but the comm is there: see `resume`. */
  interrupt(): void {
    const channel = this.#channel ?? this.#interrupted;
    this.lose();
    this.#interrupted = channel;
  }

  /** The page is connected: every subscription is taken up again, since events may have been missed. */
  resume(): void {
    const channel = this.#channel ?? this.#interrupted;
    if (channel) this.attach(channel);
  }

  /** What nobody sees is looked at less often. */
  setVisible(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    for (const { id } of this.#subscriptions.values()) this.#send({ kind: 'visible', id, visible });
  }

  request<N extends keyof Requests>(name: N, params: Requests[N][0], output?: string): Promise<Requests[N][1]> {
    return this.#ask({ kind: 'request', name, params, output }) as Promise<Requests[N][1]>;
  }

  onBegun(output: string, run: (begun: Begun) => void): () => void {
    const tell = () => {
      const begun = this.#begun.get(output);
      if (begun) run(begun);
    };
    this.#forms.add(tell);
    tell();
    return () => void this.#forms.delete(tell);
  }

  /** The kernel has the module's text, and the page imports it as it imported this one. */
  async loadPart(name: Part): Promise<unknown> {
    const url = URL.createObjectURL(new Blob([String(await this.#ask({ kind: 'part', name }))], { type: 'text/javascript' }));
    return import(url).finally(() => URL.revokeObjectURL(url));
  }

  #ask(message: { kind: string; name: string; params?: unknown; output?: string | undefined }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#channel) {
        reject(lostFailure());
        return;
      }
      const id = this.#nextId();
      const limit = requestLimit(message.name);
      const timer = setTimeout(() => {
        this.#settle(id);
        reject(timeoutFailure(limit));
      }, limit);
      this.#pending.set(id, { resolve, reject, timer });
      this.#send({ id, ...message });
    });
  }

  subscribe<T extends keyof Topics>(
    topic: T,
    params: Topics[T]['params'],
    onEvent: (event: Topics[T]['event']) => void,
    onLost: (since: string) => void = () => {},
  ): () => void {
    const subscription: Subscription = {
      id: this.#nextId(),
      topic,
      params: { ...params },
      seq: 0,
      characters: 0,
      onEvent: onEvent as (event: unknown) => void,
      onLost,
    };
    this.#subscriptions.set(subscription.id, subscription);
    if (this.#channel) this.#subscribeAgain(subscription);
    else if (this.#lostSince) onLost(this.#lostSince);
    return () => {
      if (this.#subscriptions.delete(subscription.id)) this.#send({ kind: 'unsubscribe', id: subscription.id });
    };
  }

  #subscribeAgain(subscription: Subscription): void {
    // Under a new id: an event of the earlier subscription may still be on its way.
    this.#subscriptions.delete(subscription.id);
    if (subscription.seq) this.#send({ kind: 'unsubscribe', id: subscription.id });
    subscription.id = this.#nextId();
    subscription.seq = subscription.characters = 0;
    this.#subscriptions.set(subscription.id, subscription);
    this.#send({ kind: 'subscribe', id: subscription.id, topic: subscription.topic, params: subscription.params, receives: true });
    if (!this.#visible) this.#send({ kind: 'visible', id: subscription.id, visible: false });
  }

  #receive(message: Message): void {
    if (message.kind === 'answer') this.#receiveAnswer(message);
    if (message.kind === 'begun') {
      this.#begun.set(message.id, parse(message.body) as Begun);
      for (const tell of this.#forms) tell();
    }
    const subscription = this.#subscriptions.get(message.id);
    if (!subscription) return;
    if (message.kind === 'refused') {
      subscription.onLost(now()); // the kernel's log says why
    } else if (message.kind === 'event') {
      const seq = Number(message.seq);
      if (seq !== subscription.seq + 1) {
        this.#subscribeAgain(subscription); // a message was dropped on the way
        return;
      }
      subscription.seq = seq;
      subscription.characters += String(message.body).length;
      if (subscription.characters > RECEIVED) {
        subscription.characters = 0;
        this.#send({ kind: 'received', id: message.id, seq });
      }
      const event = parse(message.body) as { lines?: { n: number }[] };
      const last = event.lines?.at(-1);
      if (last) subscription.params.after = last.n;
      subscription.onEvent(event);
    }
  }

  #receiveAnswer(message: Message): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    this.#settle(message.id);
    if (message.ok) pending.resolve(parse(message.body));
    else pending.reject(parse(message.body) as Failure);
  }

  #settle(id: string): void {
    clearTimeout(this.#pending.get(id)?.timer);
    this.#pending.delete(id);
  }

  #send(message: Message): void {
    try {
      this.#channel?.send(message);
    } catch {
      this.lose(); // the comm was closed by the kernel's end
    }
  }

  #nextId(): string {
    this.#lastId += 1;
    return `${this.#prefix}-${this.#lastId}`;
  }
}

const now = () => new Date().toISOString();

function parse(body: unknown): unknown {
  return JSON.parse(String(body));
}

function lostFailure(): Failure {
  return {
    code: 'lost',
    error: 'the notebook is not connected to its kernel',
    cause: 'the kernel was restarted or has ended; services and deployments continue',
    hint: 'start the kernel, then run %services',
  };
}

function timeoutFailure(ms: number): Failure {
  return {
    code: 'timeout',
    error: `the kernel did not answer within ${ms / 1000} s`,
    cause: 'it may be busy with a cell',
    hint: 'try again when the cell has ended, or use the command mldeploy in a terminal',
  };
}
