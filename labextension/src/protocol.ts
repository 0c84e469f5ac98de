/**
 * What a view may ask and order: one request, one answer, all plain JSON.
 *
 * `mldeploy_jupyter/panel/` answers; a notebook's widget carries the messages over its comm, the JupyterLab extension
 * over HTTP. A view holds nothing of a deployment: it reads, and closing it stops nothing.
 *
 * Times are ISO 8601 in UTC, durations seconds (`...Seconds`) or milliseconds (`...Ms`), sizes bytes. Text is raw:
 * whoever draws it escapes it. `null` means unknown or none.
 */

/** Names a service. `workspace` is the workspace's id; without it, the one that the port is bound to. */
export interface ServiceRef { service: string; workspace?: string }
export interface DeploymentRef { deployment: string; workspace?: string }
/** `model` is name:version. */
export interface ModelRef { model: string; workspace?: string }

/** The three lines of an error, and where it belongs. `field` is a key of a form. */
export interface Failure {
  code: string; // such as "not-found", "in-progress", "lost"
  error: string;
  cause: string;
  hint: string;
  field?: string;
}

export type StageState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted' | 'not-reached' | 'not-needed';
export type DeploymentState = 'not-started' | 'deploying' | 'updating' | 'live' | 'failed' | 'cancelled' | 'interrupted';
export type ServiceState = 'deploying' | 'updating' | 'live' | 'unhealthy' | 'failed' | 'cancelled' | 'stopped' | 'deleted' | 'unknown';

export interface Stage {
  id: string; // check, bundle, environment or image, push, rollout, probe, switch
  title: string;
  state: StageState;
  detail: string;
  seconds: number | null; // its duration, or how long it has run at `Timeline.time`
  lastSeconds: number | null; // in the last deployment
  fraction: number | null; // 0 to 1
  warnings: number;
  lines: number; // of its log
  steps?: Step[]; // of a stage that has several, such as the build of an image
}

/** A step of a stage; lines of the log name it by its title. */
export interface Step { title: string; state: StageState; seconds: number | null; fraction: number | null }

export interface Where {
  text: string; // such as "in init() of score.py"
  file: string;
  line: number | null;
  cell: number | null; // the number in the prompt of the cell that wrote the script
  excerpt: { line: number; text: string; guilty: boolean }[]; // empty when the source cannot be read
}

export interface Cause { what: string; why: string; hint: string; where: Where | null }

/** A deployment as it stands. Every change sends the whole of it, without the log. */
export interface Timeline {
  deployment: string;
  service: string;
  workspace: string;
  operation: 'deploy' | 'update' | 'rollback';
  state: DeploymentState;
  target: string; // "local"
  targetTitle: string; // "This machine"
  revision: number; // 0 before it is known
  serving: number; // the revision that serves meanwhile; 0 without one
  message: string; // one line for not-started, cancelled, interrupted; else ""
  cause: Cause | null;
  stages: Stage[];
  warnings: number;
  lines: number; // of the whole log
  started: string;
  finished: string;
  time: string; // when this was true, by the clock of the machine that answers
  elapsedSeconds: number;
  can: ('cancel' | 'retry' | 'report')[];
}

export interface LogLine {
  n: number; // grows and never repeats within a log, and is the same for every reader; between two there may be gaps
  time: string; // "" when unknown
  elapsedSeconds: number | null; // since the deployment began
  stage: string; // "" for none
  step?: string; // the title of the stage's step that it belongs to
  level: '' | 'debug' | 'info' | 'warning' | 'error';
  source: string; // of a service's log: "worker 4711" (its process), "server"; else ""
  revision: number; // of a service's log; else 0
  requestId: string;
  text: string; // raw: SGR colours, carriage returns; of a long line the first 8,192 characters
  cut?: number; // how many characters of it are left out: the download has them
}

/** A page: the lines after number `after`, or the last ones without it. At most `limit` lines, 1,000 by default. */
export interface LogPage {
  lines: LogLine[];
  total: number; // how many lines pass the filter
  first: number; // the number of the oldest of them, 0 without one
  complete: boolean; // no further one follows this page
}

export interface LogFilter { stage?: string; level?: 'warning' | 'error'; revision?: number; search?: string }

export interface Fact { label: string; value: string }

export interface Service {
  service: string;
  workspace: string;
  workspaceTitle: string;
  state: ServiceState;
  target: string;
  targetTitle: string;
  revision: number;
  models: string[]; // name:version
  scoringUri: string;
  swaggerUri: string;
  auth: 'key' | 'token' | 'none';
  health: { state: 'healthy' | 'unhealthy' | 'unknown'; text: string; checked: string };
  since: string; // when it went live
  error: Failure | null;
  deployment: string; // the last one's id
  deploying: boolean;
  description: string;
  tags: Record<string, string>;
  workers: number;
  kept: number[]; // revisions that it can go back to
  bundleDigest: string;
  environment: Fact[]; // such as Python 3.11.7, 31 packages
  settings: Fact[]; // of target and server, in their forms' words
  can: Order[]; // what its target and its state allow now
  tabs: ('test' | 'logs' | 'latency' | 'api' | 'code' | 'history' | 'settings')[];
  folder: string;
}

/**
 * A workspace that this user knows. `failure` says why nothing of it can be read, its store being away for example;
 * `reading` that nothing of it has been read yet.
 */
export interface WorkspaceSummary { workspace: string; title: string; folder: string; current: boolean; reading?: boolean; failure: Failure | null }

/** A service as a row of a list: what is known without asking the service. */
export interface ServiceSummary {
  service: string;
  workspace: string;
  state: ServiceState;
  note: string; // beside the word: the running stage, the canary's share; else ""
  target: string;
  targetTitle: string;
  revision: number;
  models: string[]; // name:version
  tags?: Record<string, string>;
  scoringUri: string;
  since: string;
  deployment: string; // the last one's id
  deploying: boolean;
  can: Order[];
}

export interface ModelVersion {
  id: string; // name:version
  version: number;
  created: string;
  framework: string; // such as "ScikitLearn 1.5.2"; "" when unknown
  bytes: number | null;
  description: string;
  tags: Record<string, string>;
  usedBy: string[]; // services whose serving revision has it
}

export interface ModelSummary { model: string; workspace: string; versions: ModelVersion[] } // newest first

export type Order = 'update' | 'scale' | 'rollback' | 'reload' | 'restart' | 'stop' | 'start' | 'delete' | 'cancel' | 'keys' | 'regen-key' | 'test';

export interface Revision {
  number: number;
  outcome: 'serving' | 'kept' | 'removed' | 'failed' | 'pending';
  rolledBackTo: number;
  models: string[];
  created: string;
  bundleDigest: string;
  deployment: string;
  seconds: number | null; // the deployment's duration
  changed: string[]; // against the revision before it, in words: "diabetes:6 → diabetes:7", "score.py", "workers 1 → 2"
  receipt?: Fact[]; // of a container: its image, what that was made of
}

/** What is sent to a service: JSON as text, or bytes as base64 with their media type. */
export type Body = { json: string } | { base64: string; contentType: string; fileName?: string };

export interface Answer {
  status: number;
  reason: string;
  ms: number; // as the client measured it
  bytes: number;
  time: string;
  contentType: string;
  text: string; // "" when it is not text
  base64: string; // of an answer that is not text, images for example
  cut: boolean; // the answer is larger than what is shown here
  headers: [string, string][]; // without keys
  timing: { name: string; title: string; ms: number }[]; // Server-Timing, and "Network, client" for the rest
  requestId: string;
  problems: { path: (string | number)[]; text: string }[]; // of a 422: which values, from the root of the body
  failure: Failure | null; // what the owner may know of a failed call: exception, line of the cell
}

export interface CodeSample { language: 'python' | 'curl' | 'javascript' | 'csharp'; title: string; text: string; note: string }

// -- forms: described as data, drawn by one set of components

export interface FormField {
  key: string;
  label: string;
  help: string;
  kind: 'text' | 'long-text' | 'integer' | 'number' | 'boolean' | 'choice' | 'combo' | 'pairs' | 'list' | 'path' | 'secret' | 'models';
  required: boolean;
  default: unknown;
  placeholder: string;
  unit: string;
  choices: { value: string; label: string; detail: string }[];
  minimum: number | null;
  maximum: number | null;
  section: string; // "" for the first
  advanced: boolean;
  visibleWhen: Record<string, string[]>; // key of another field -> the values it must have; {} for always
}

export interface Form {
  form: 'deploy' | 'update' | 'register';
  title: string;
  submit: string; // the button's text
  fields: FormField[];
  values: Record<string, unknown>;
}

export interface FormCheck {
  problems: { field: string; level: 'error' | 'warning'; text: string }[];
  previews: { kind: 'magic' | 'python' | 'cli'; title: string; text: string }[];
  note: string; // one line: what will happen, such as "Replaces revision 3 without a failed request"
}

// -- the latency lab

export interface LatencyRef { run: string; workspace?: string }

/** How a run stands: in progress, or how it ended. A process that did not come to the end left it interrupted. */
export type LatencyState = 'running' | 'finished' | 'cancelled' | 'limit' | 'slept' | 'stalled' | 'died' | 'crashed' | 'interrupted';

/**
 * What is sent: `rate` requests a second, as many as `users` send who wait for their answers, or the rates of `ramp` one
 * after the other, `from:to:steps`; none of them for a rate that is chosen. `duration` is in seconds, for each step.
 */
export interface LatencyLoad { rate?: number; users?: number; ramp?: string; arrivals?: 'constant' | 'poisson'; duration?: number; body?: Body }

/** A run in a list. Latencies are milliseconds of the service that was asked for, null with too few requests. */
export interface LatencyRow {
  run: string;
  time: string;
  state: LatencyState;
  services: string[];
  load: string; // in words
  requests: number;
  valid: boolean;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** The measured requests of a service, or of one of its revisions where it was updated meanwhile. */
export interface LatencySeries {
  name: string;
  service: string;
  revision: number; // 0 for all of them
  requests: number;
  errors: number;
  unsent: number; // never sent: no connection was free in time
  rate: number | null; // answers a second
  percentiles: { name: string; share: number; ms: number; low: number | null; high: number | null }[]; // those with enough requests
  slowest: number | null;
  coldStart: number | null;
  points: [number, number][]; // of the spectrum: 1 / (1 - share), milliseconds
  parts: { name: string; title: string; ms: number }[]; // of a typical request; [] when nothing is known
}

/** Counts of a service's requests by time and latency: `counts[row][column]` from the fastest, the earliest. */
export interface LatencyCells {
  name: string;
  times: number[]; // the edges of the columns, in seconds since the run began
  latencies: number[]; // the edges of the rows, in milliseconds
  counts: number[][];
  failures: { title: string; counts: number[] }[]; // by column, of what has no latency of its own
  marks: { at: number; text: string }[];
}

/** Steps of a ramp: lines of latency over the rate that was reached, marks on it such as the knee, and each step's numbers. */
export interface LatencyRamp {
  lines: { name: string; style: number; points: [number, number][] }[]; // requests a second, milliseconds
  marks: { at: number; text: string }[];
  steps: LatencySeries[]; // without points and parts
}

/** A run as it stands. Every change sends the whole of it. */
export interface LatencyReport {
  run: string;
  workspace: string;
  services: string[];
  state: LatencyState;
  begun: string;
  ended: string;
  elapsedSeconds: number;
  seconds: number; // that its load takes when no service is slow
  load: string;
  payload: string;
  warmup: number; // requests that are not counted, for each service
  invalid: string; // why it says nothing, or ""
  series: LatencySeries[];
  ramp: LatencyRamp | null; // of a run with a ramp
  cells: LatencyCells[]; // [] while it runs
  verdict: string[];
  notes: string[];
  against: string; // when the run was that it is compared with, "" without one
}

/** Request name -> [parameters, answer]. */
export interface Requests {
  'service.describe': [ServiceRef, Service];
  'service.list': [{ workspace?: string; all?: boolean }, Service[]];
  'service.history': [ServiceRef, Revision[]];
  /** What happened after it was live, newest first: it was found dead, unhealthy or well again, a worker was replaced. */
  'service.events': [ServiceRef, { time: string; kind: string; text: string }[]];
  'service.keys': [ServiceRef, { primary: string; secondary: string; token: string; expires: string }];
  'service.openapi': [ServiceRef, { document: Record<string, unknown> }];
  'service.samples': [ServiceRef, { title: string; body: Body }[]]; // the schema's sample, where it has one
  'service.code': [ServiceRef & { body?: Body }, CodeSample[]];
  'service.score': [ServiceRef & { body: Body }, Answer];
  'service.tests': [ServiceRef, { time: string; body: Body; answer: Answer }[]]; // newest first, of this workspace
  'service.log': [ServiceRef & LogFilter & { after?: number; limit?: number }, LogPage];
  'service.logText': [ServiceRef, { name: string; text: string }]; // all of it, for a download
  'deployment.timeline': [DeploymentRef, Timeline];
  'deployment.log': [DeploymentRef & LogFilter & { after?: number; limit?: number }, LogPage];
  'deployment.logText': [DeploymentRef, { name: string; text: string }];
  'deployment.report': [DeploymentRef, { markdown: string }];

  'service.cell': [ServiceRef, { text: string }]; // Python that gets the service, for a new cell
  'model.list': [{ workspace?: string; all?: boolean }, ModelSummary[]];
  'model.cell': [ModelRef, { text: string }]; // Python that gets the model, for a new cell
  'model.delete': [ModelRef & { confirm: string }, { text: string }];

  // orders; those that begin a deployment answer with its id
  'service.scale': [ServiceRef & { workers: number }, { deployment: string }];
  'service.rollback': [ServiceRef & { revision?: number }, { deployment: string }];
  'service.reload': [ServiceRef, { deployment: string }];
  'service.restart': [ServiceRef, { text: string }];
  'service.stop': [ServiceRef, { text: string }];
  'service.start': [ServiceRef, { text: string }];
  'service.delete': [ServiceRef & { confirm: string }, { text: string; left: string[] }]; // proof: what is left, empty
  'service.regenKey': [ServiceRef & { key: 'primary' | 'secondary' | 'token' }, { text: string }];
  'deployment.cancel': [DeploymentRef, { cancelled: boolean; text: string }];
  'deployment.retry': [DeploymentRef, { deployment: string }];

  /** Begins a run that continues whatever becomes of the page. */
  'latency.start': [ServiceRef & LatencyLoad, { run: string }];
  'latency.stop': [LatencyRef, { text: string }];
  'latency.runs': [ServiceRef, LatencyRow[]]; // newest first
  'latency.result': [LatencyRef, LatencyReport];

  'form.describe': [{ form: Form['form']; service?: string; workspace?: string }, Form];
  'form.check': [{ form: Form['form']; service?: string; workspace?: string; values: Record<string, unknown> }, FormCheck];
  'form.submit': [{ form: Form['form']; service?: string; workspace?: string; values: Record<string, unknown> }, { deployment: string; service: string; model: string }];
}

/** Topic -> what its events are. Every subscription first sends what is, then what changes. */
export interface Topics {
  /**
   * Lines after number `after`, without it all (at most the last 100,000). `lost` counts lines that are not sent, as far
   * as they can be counted: `deployment.log` may have them.
   */
  deployment: { params: DeploymentRef & { after?: number }; event: { timeline?: Timeline; lines?: LogLine[]; lost?: number } };
  service: { params: ServiceRef; event: { service: Service } };
  /** Lines after number `after`, without it the last 5,000. An empty list says that the log is read and has no more. */
  serviceLog: { params: ServiceRef & { after?: number }; event: { lines: LogLine[]; lost?: number } };
  latency: { params: LatencyRef; event: { report: LatencyReport } };
  /**
   * Everything that the sidebar shows, of all known workspaces. The first event has `whole` and replaces what was there;
   * each later one has the rows that changed, and the names of those that are gone. `pollSeconds` are those between two
   * looks that are enough; who answers may look more seldom.
   */
  overview: {
    params: { pollSeconds?: number };
    event: {
      whole?: boolean;
      workspaces?: WorkspaceSummary[]; // all of them, whenever one changes
      services?: ServiceSummary[];
      models?: ModelSummary[];
      gone?: { kind: 'service' | 'model'; workspace: string; name: string }[];
    };
  };
}

/** A part of the panel that is loaded when it is first shown. */
export type Part = 'api' | 'latency';

/** What a form began: a deployment, or, without one, the model that it registered. */
export interface Begun {
  service: string;
  workspace: string;
  deployment: string;
  model: string;
}

/** The only thing that components know of the outside. */
export interface Port {
  /** Rejects with a `Failure`. `output` is the id of the notebook's output that it is asked from. */
  request<N extends keyof Requests>(name: N, params: Requests[N][0], output?: string): Promise<Requests[N][1]>;
  /**
   * Returns what ends it. `onLost` says that nothing is heard any more, since when, and, where that is known, when it is
   * tried again and why: something answers, and refuses it. Events may come again later.
   */
  subscribe<T extends keyof Topics>(topic: T, params: Topics[T]['params'], onEvent: (event: Topics[T]['event']) => void, onLost?: (since: string, nextTry?: string, why?: Failure) => void): () => void;
  /** What this front end can do beside drawing; a missing one is absent from the page. */
  insertCell?: (text: string) => void;
  focusCell?: (cell: number, line: number) => boolean; // false when that cell is not on the page
  openPanel?: (service: ServiceRef, tab?: Service['tabs'][number]) => void; // in the main area
  reconnect?: () => void; // tries now what it would try later
  onBegun?: (output: string, run: (begun: Begun) => void) => () => void; // tells what the form of an output began, in whatever page
  loadPart?: (part: Part) => Promise<unknown>; // the module of a part of the panel that few need; see `ui/part.tsx`
}
