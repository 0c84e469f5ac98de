import type { Failure, ModelSummary, Port, ServiceSummary, Topics, WorkspaceSummary } from '../../protocol';

export interface ServiceChange { before: ServiceSummary | null; now: ServiceSummary | null }

export const keyOf = (workspace: string, name: string) => `${workspace}\n${name}`;

/**
 * All services and models of all known workspaces, as the topic `overview` tells them. One for a page: sidebar, status
 * item and notices share it, and nothing is subscribed while none of them listens.
 */
export class Overview {
  workspaces: WorkspaceSummary[] = [];
  services = new Map<string, ServiceSummary>();
  models = new Map<string, ModelSummary>();
  known = false; // something has come
  lostSince = ''; // since when nothing has been heard
  nextTry = ''; // when it is tried again; "" when unknown
  refusal: Failure | undefined; // why nothing is heard, when something answers and refuses it
  private pollSeconds = 0; // between two looks that are enough; 0 for as often as may be
  private end: (() => void) | undefined;
  private readonly hearers = new Set<(changes: ServiceChange[]) => void>();

  constructor(readonly port: Port) {}

  /** Calls `hear` after every change, with the services that changed since the first event. Returns what ends it. */
  listen(hear: (changes: ServiceChange[]) => void): () => void {
    const one = (changes: ServiceChange[]) => hear(changes);
    this.hearers.add(one);
    if (!this.end) this.subscribe();
    return () => {
      this.hearers.delete(one);
      if (this.hearers.size) return;
      this.end?.();
      this.end = undefined;
      this.known = false; // what happens from now on is no change to whom listens next
    };
  }

  /** Asks for everything again. */
  refresh(): void {
    if (this.lostSince) this.port.reconnect?.();
    this.subscribeAgain();
  }

  /** Has it looked that often, at once. */
  poll(seconds: number): void {
    if (seconds === this.pollSeconds) return;
    this.pollSeconds = seconds;
    this.subscribeAgain();
  }

  private subscribeAgain(): void {
    if (!this.end) return;
    this.end();
    this.subscribe();
  }

  private subscribe(): void {
    this.end = this.port.subscribe(
      'overview',
      this.pollSeconds ? { pollSeconds: this.pollSeconds } : {},
      event => this.apply(event),
      (since, nextTry = '', why) => {
        this.lostSince = since;
        this.nextTry = nextTry;
        this.refusal = why;
        this.tell([]);
      },
    );
  }

  private apply(event: Topics['overview']['event']): void {
    const before = this.services;
    const read = readable(this.workspaces);
    if (event.workspaces) this.workspaces = event.workspaces;
    if (event.whole || event.services || event.gone) this.services = new Map(event.whole ? [] : before);
    if (event.whole || event.models || event.gone) this.models = new Map(event.whole ? [] : this.models);
    for (const service of event.services ?? []) this.services.set(keyOf(service.workspace, service.service), service);
    for (const model of event.models ?? []) this.models.set(keyOf(model.workspace, model.model), model);
    for (const { kind, workspace, name } of event.gone ?? []) (kind === 'service' ? this.services : this.models).delete(keyOf(workspace, name));
    const stillRead = readable(this.workspaces);
    // A workspace that can be read at last, or no more, has made or deleted nothing.
    const changes = this.known ? differences(before, this.services).filter(({ before, now }) => (before ? now || stillRead.has(before.workspace) : read.has(now!.workspace))) : [];
    this.known = true;
    this.lostSince = this.nextTry = '';
    this.refusal = undefined;
    this.tell(changes);
  }

  private tell(changes: ServiceChange[]): void {
    for (const hear of [...this.hearers]) hear(changes);
  }
}

const readable = (workspaces: WorkspaceSummary[]) => new Set(workspaces.filter(one => !one.failure && !one.reading).map(one => one.workspace));

function differences(before: Map<string, ServiceSummary>, now: Map<string, ServiceSummary>): ServiceChange[] {
  const changes: ServiceChange[] = [];
  for (const [key, service] of now) if (before.get(key) !== service) changes.push({ before: before.get(key) ?? null, now: service });
  for (const [key, service] of before) if (!now.has(key)) changes.push({ before: service, now: null });
  return changes;
}
