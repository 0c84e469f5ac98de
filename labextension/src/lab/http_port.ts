/**
 * The port of JupyterLab: requests over HTTP, and all subscriptions of a page over one stream of server-sent events.
 *
 * `routes.ts` says where each request goes. A stream is opened with a POST that names the subscriptions; further POSTs
 * to it add and end some. From the server: `{stream}` first, then `{id, seq, event}` and `{id, failure}`. When nothing
 * is heard any more, views are told since when, and the stream is opened anew, ever more seldom: each subscription goes
 * on after the last line that its view has.
 */
import { requestLimit } from '../limits';
import type { Failure, Port, Requests, ServiceRef, Topics } from '../protocol';
import { t } from '../ui/translation';
import { readEvents } from './event_stream';
import { ROUTES, type Route } from './routes';

/** How the server is reached. */
export interface ServerSettings {
  baseUrl: string; // of the Jupyter server, such as `https://hub/user/ada/`; JupyterLab's `ServerConnection` has it
  token?: string; // "" where a cookie signs in
  fetch?: typeof fetch;
  cookie?: () => string; // `document.cookie`, which has the token against forged requests
  isOff?: boolean; // its configuration says that mldeploy's routes are not served
}

export const API = 'mldeploy/api/';

export const SILENT_MS = 40_000; // the server says something every 15 s
export const FIRST_PAUSE_MS = 250; // before the stream is opened again; then twice as long each time
export const LAST_PAUSE_MS = 10_000;

type OnLost = NonNullable<Parameters<Port['subscribe']>[3]>;

interface Subscription {
  id: string;
  topic: string;
  params: Record<string, unknown>;
  seq: number;
  lostSince: string;
  onEvent(event: unknown): void;
  onLost: OnLost;
}

interface Change { subscribe: Subscription[]; unsubscribe: string[] }

export class HttpPort implements Port {
  insertCell?: Port['insertCell'];
  focusCell?: Port['focusCell'];
  openPanel?: (service: ServiceRef) => void;

  readonly #settings: ServerSettings;
  readonly #subscriptions = new Map<string, Subscription>();
  #change: Change = { subscribe: [], unsubscribe: [] };
  #stream: { id: string; abort: AbortController } | null = null;
  #opening: Promise<void> | null = null;
  #wake: () => void = () => {};
  #heardAt = '';
  #refusal: Failure | undefined; // of the last attempt to open the stream
  #lastId = 0;
  #visible = true;
  #isClosed = false;

  constructor(settings: ServerSettings) {
    this.#settings = settings;
  }

  async request<N extends keyof Requests>(name: N, params: Requests[N][0]): Promise<Requests[N][1]> {
    const { url, init } = this.#describeRequest(ROUTES[name], params as Record<string, unknown>);
    const limit = requestLimit(name);
    let response: Response;
    try {
      response = await this.#fetch(url, { ...init, signal: AbortSignal.timeout(limit) });
    } catch (error) {
      throw isTimeout(error) ? timeoutFailure(limit) : lostFailure();
    }
    const answer = await readJson(response);
    if (response.ok && answer !== undefined) return answer as Requests[N][1];
    throw describeRefusal(response, answer, this.#settings.isOff);
  }

  subscribe<T extends keyof Topics>(
    topic: T,
    params: Topics[T]['params'],
    onEvent: (event: Topics[T]['event']) => void,
    onLost: OnLost = () => {},
  ): () => void {
    this.#lastId += 1;
    const subscription: Subscription = {
      id: String(this.#lastId),
      topic,
      params: { ...params },
      seq: 0,
      lostSince: '',
      onEvent: onEvent as (event: unknown) => void,
      onLost,
    };
    this.#subscriptions.set(subscription.id, subscription);
    this.#change.subscribe.push(subscription);
    this.#hurry();
    return () => {
      if (!this.#subscriptions.delete(subscription.id)) return;
      const waiting = this.#change.subscribe.indexOf(subscription);
      if (waiting >= 0) this.#change.subscribe.splice(waiting, 1);
      else this.#change.unsubscribe.push(subscription.id);
      this.#hurry();
    };
  }

  /** What nobody sees is looked at less often. */
  setVisible(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    if (this.#stream) void this.#post(this.#stream.id, { visible });
    if (visible) this.#wake();
  }

  /** Tries at once, when the stream is lost: the network is back, or somebody wants to know. */
  retry(): void {
    this.#wake();
  }

  /** Ends every subscription and the stream. */
  close(): void {
    this.#isClosed = true;
    this.#subscriptions.clear();
    this.#stream?.abort.abort();
    this.#wake();
  }

  // What is asked for in one turn of the page's loop is sent together.
  #hurry(): void {
    if (this.#isClosed) return;
    if (!this.#opening) {
      this.#opening = Promise.resolve().then(() => this.#run()).finally(() => {
        this.#opening = null;
        if (this.#subscriptions.size) this.#hurry();
      });
    } else if (this.#stream) queueMicrotask(() => void this.#sendChange());
  }

  /** Keeps one stream open as long as there are subscriptions. */
  async #run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (this.#subscriptions.size && !this.#isClosed) {
      const heard = await this.#openStream();
      if (!this.#subscriptions.size || this.#isClosed) return;
      if (heard) pause = FIRST_PAUSE_MS; // a proxy may cut a stream that works: nobody need know
      const wait = pause * (0.75 + Math.random() / 2); // the pages of a server that was restarted do not all come at once
      if (!heard) this.#tellLost(new Date(Date.now() + wait).toISOString());
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, wait);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = () => {};
      pause = Math.min(pause * 2, LAST_PAUSE_MS);
    }
  }

  /** Opens the stream and reads it to its end. Returns whether anything came. */
  async #openStream(): Promise<boolean> {
    const abort = new AbortController();
    const all = [...this.#subscriptions.values()];
    this.#change = { subscribe: [], unsubscribe: [] };
    for (const one of all) one.seq = 0;
    let silence = setTimeout(() => abort.abort(), SILENT_MS);
    let heard = false;
    this.#refusal = undefined;
    try {
      const body = { subscriptions: all.map(describe), visible: this.#visible };
      const response = await this.#fetch(this.#url('stream'), { ...jsonInit('POST', body), signal: abort.signal });
      if (!response.ok || !response.body) {
        this.#refusal = describeRefusal(response, await readJson(response), this.#settings.isOff);
        return false;
      }
      for await (const message of readEvents(response.body)) {
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENT_MS);
        heard = true;
        this.#heardAt = now();
        if (message) this.#receive(message as Message, abort);
        if (!this.#subscriptions.size) break;
      }
    } catch {
      // the connection broke, or was given up: the caller opens another one
    } finally {
      clearTimeout(silence);
      this.#stream = null;
      abort.abort();
    }
    return heard;
  }

  #receive(message: Message, abort: AbortController): void {
    if (message.stream) {
      this.#stream = { id: message.stream, abort };
      if (this.#change.subscribe.length || this.#change.unsubscribe.length) void this.#sendChange();
      return;
    }
    const subscription = this.#subscriptions.get(message.id ?? '');
    if (!subscription) return;
    if (message.failure) {
      const failure = message.failure;
      console.warn(`mldeploy: ${subscription.topic}: ${failure.error}: ${failure.cause}`);
      subscription.onLost(now());
      return;
    }
    if (message.seq !== subscription.seq + 1) {
      abort.abort(); // cannot be on one connection; whatever it was, everything is taken up again
      return;
    }
    subscription.seq = message.seq;
    subscription.lostSince = '';
    const last = (message.event as { lines?: { n: number }[] }).lines?.at(-1);
    if (last) subscription.params.after = last.n;
    subscription.onEvent(message.event);
  }

  async #sendChange(): Promise<void> {
    const stream = this.#stream;
    const { subscribe, unsubscribe } = this.#change;
    if (!stream || (!subscribe.length && !unsubscribe.length)) return;
    this.#change = { subscribe: [], unsubscribe: [] };
    if (!this.#subscriptions.size) {
      stream.abort.abort();
      return;
    }
    const accepted = await this.#post(stream.id, { subscribe: subscribe.map(describe), unsubscribe });
    if (!accepted) stream.abort.abort(); // it knows no such stream any more: another one is opened with all of them
  }

  async #post(stream: string, body: unknown): Promise<boolean> {
    try {
      const response = await this.#fetch(this.#url(`stream/${stream}`), jsonInit('POST', body));
      void response.body?.cancel().catch(() => {});
      return response.ok;
    } catch {
      return false;
    }
  }

  /** After every attempt, since the next one is later. */
  #tellLost(nextTry: string): void {
    const since = this.#heardAt || now();
    this.#heardAt = since;
    for (const one of [...this.#subscriptions.values()]) {
      one.lostSince ||= since;
      one.onLost(one.lostSince, nextTry, this.#refusal);
    }
  }

  #describeRequest(route: Route, params: Record<string, unknown>): { url: string; init: RequestInit } {
    const rest = new Map(Object.entries(params).filter(([, value]) => value !== undefined && value !== null));
    const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = String(rest.get(name) ?? '-'); // `-` names no workspace: the server says what is wrong
      rest.delete(name);
      return /^\.{1,2}$/.test(value) ? '-' : encodeURIComponent(value); // a browser would walk up the path
    });
    if (route.method === 'POST') return { url: this.#url(path), init: jsonInit('POST', Object.fromEntries(rest)) };
    const query = new URLSearchParams([...rest].map(([name, value]) => [name, String(value)])).toString();
    return { url: this.#url(query ? `${path}?${query}` : path), init: { method: route.method } };
  }

  #url(path: string): string {
    return `${this.#settings.baseUrl.replace(/\/*$/, '/')}${API}${path}`;
  }

  #fetch(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#settings.token) headers.set('Authorization', `token ${this.#settings.token}`);
    const xsrf = readXsrf(this.#settings.cookie?.() ?? globalThis.document?.cookie ?? '');
    if (xsrf) headers.set('X-XSRFToken', xsrf);
    const run = this.#settings.fetch ?? globalThis.fetch;
    return run(url, { cache: 'no-store', credentials: 'same-origin', ...init, headers });
  }
}

interface Message { stream?: string; id?: string; seq?: number; event?: unknown; failure?: Failure }

const describe = ({ id, topic, params }: Subscription) => ({ id, topic, params });

const now = () => new Date().toISOString();

const jsonInit = (method: string, body: unknown): RequestInit => ({
  method,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

/** The token against forged requests, from a page's cookies. The cookie's value may itself hold `=`. */
export function readXsrf(cookies: string): string {
  return /(?:^|;\s*)_xsrf=([^;]*)/.exec(cookies)?.[1] ?? '';
}

const isTimeout = (error: unknown) => error instanceof DOMException && error.name === 'TimeoutError';

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

const isFailure = (answer: unknown): answer is Failure =>
  typeof answer === 'object' && answer !== null && 'code' in answer && 'error' in answer && 'hint' in answer;

/** Why a request was not answered: the server's own words, else those for what stands between. */
function describeRefusal(response: Response, answer: unknown, isOff = false): Failure {
  if (isFailure(answer)) return answer;
  if (response.status === 401 || response.status === 403) {
    return {
      code: 'forbidden',
      error: t`The Jupyter server refused the request`,
      cause: t`you are not signed in any more, or may not do this`,
      hint: t`reload the page and sign in`,
    };
  }
  if (response.status === 404) {
    return {
      code: 'unavailable',
      error: t`The server extension of mldeploy is off`,
      cause: isOff ? t`the configuration of Jupyter has \`c.MldeployApp.enabled = False\`` : t`the Jupyter server does not know it; panels in notebooks work without it`,
      hint: isOff ? t`take that out and start Jupyter again; panels in notebooks work without it` : t`run \`jupyter server extension enable mldeploy_jupyter\` and start Jupyter again`,
    };
  }
  return { ...lostFailure(), cause: t`something answered in its place, with status ${response.status}` };
}

function lostFailure(): Failure {
  return {
    code: 'lost',
    error: t`The Jupyter server cannot be reached`,
    cause: t`it was stopped, or the network is down; services and deployments continue`,
    hint: t`start it again, or use the command mldeploy in a terminal`,
  };
}

function timeoutFailure(ms: number): Failure {
  return {
    code: 'timeout',
    error: t`The Jupyter server did not answer within ${ms / 1000} s`,
    cause: t`it may be busy, or the service`,
    hint: t`try again, or use the command mldeploy in a terminal`,
  };
}
