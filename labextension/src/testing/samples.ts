/** A service, deployments, logs and forms as the protocol has them: for tests of components and for the gallery. */
import type { Answer, CodeSample, Form, FormCheck, LatencyReport, LatencyRow, LatencySeries, LogLine, ModelSummary, ModelVersion, Revision, Service, ServiceState, ServiceSummary, Stage, StageState, Timeline, Topics, WorkspaceSummary } from '../protocol';

export const NOW = Date.now();
export const before = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

const TITLES: [string, string][] = [['check', 'Check'], ['bundle', 'Bundle'], ['image', 'Build image'], ['push', 'Push image'], ['rollout', 'Roll out'], ['probe', 'Probe'], ['switch', 'Switch traffic']];
const DETAILS = ['score.py, diabetes:7, schema from the sample', '14 files, 3.1 MB, 9f2c41ab', '8 layers, 5 reused', '3 of 8 layers were new, 391 MB', '1 pod in namespace models', 'sample scored in 9.4 ms', 'from revision 2'];
const ENDS: Partial<Record<StageState, string>> = { running: '412 of 660 MB, about 5 s left', failed: 'init() raised KeyError after 3 attempts', cancelled: '', interrupted: '' };
const SECONDS = [0.4, 1.2, 38.2, 8.1, 4.0, 2.6, 0.2];

export function stages(reached: number, current: StageState, after: StageState = 'waiting'): Stage[] {
  return TITLES.map(([id, title], at) => ({
    id,
    title,
    state: at < reached ? 'done' : at === reached ? current : after,
    detail: at < reached ? DETAILS[at]! : at === reached ? (ENDS[current] ?? DETAILS[at]!) : '',
    seconds: at <= reached ? SECONDS[at]! : null,
    lastSeconds: at === 4 || at === 5 ? SECONDS[at]! : null,
    fraction: at === reached && current === 'running' ? 0.62 : null,
    warnings: at === 2 ? 1 : 0,
    lines: at <= reached ? [6, 18, 142, 9, 3, 8, 1][at]! : 0,
  }));
}

export function timeline(change: Partial<Timeline> = {}): Timeline {
  return {
    deployment: 'd-1', service: 'diabetes-regression', workspace: 'w', operation: 'update', state: 'deploying', target: 'kubernetes', targetTitle: 'Kubernetes',
    revision: 3, serving: 2, message: '', cause: null, stages: stages(3, 'running'), warnings: 1, lines: 175, started: before(48), finished: '', time: before(0),
    elapsedSeconds: 48, can: ['cancel'], ...change,
  };
}

/** The first deployment into a container: its image is being built, step by step. */
const built = (title: string, seconds: number) => ({ title, state: 'done' as StageState, seconds, fraction: null });
export const building = timeline({
  operation: 'deploy', revision: 1, serving: 0, target: 'docker', targetTitle: 'Docker', started: before(21), elapsedSeconds: 21, warnings: 0,
  stages: stages(2, 'running').map(stage => stage.id === 'image'
    ? { ...stage, detail: 'Install 31 Python packages', fraction: 0.48, warnings: 0, lines: 6, steps: [built('Python environment with Python 3.11', 2.5), built('RUN apt-get update && apt-get install --no-install-recommends -y libgomp1 libglib2.0-0', 9.1), { title: 'Install 31 Python packages', state: 'running', seconds: 4.2, fraction: 0.48 }] }
    : stage.id === 'push' ? { ...stage, state: 'not-needed', detail: 'not needed: Docker needs no registry' } : stage),
});

export const buildLog: LogLine[] = [
  line(1, 'Python 3.11.2 of the base image is used; the lock names 3.11.7', { stage: 'image' }),
  line(2, 'Using CPython 3.11.2 interpreter at: /usr/bin/python3.11', { stage: 'image', step: 'Python environment with Python 3.11' }),
  line(3, 'Setting up libgomp1:amd64 (12.2.0-14) ...', { stage: 'image', step: 'RUN apt-get update && apt-get install --no-install-recommends -y libgomp1 libglib2.0-0' }),
  line(4, 'Resolved 31 packages in 238ms', { stage: 'image', step: 'Install 31 Python packages' }),
  line(5, 'Downloading scikit-learn (12.7MiB)', { stage: 'image', step: 'Install 31 Python packages' }),
  line(6, '\x1b[2mDownloading\x1b[0m scipy (36.0MiB)', { stage: 'image', step: 'Install 31 Python packages' }),
];

/** Its update, whose image goes to a registry. */
export const pushing = timeline({
  stages: stages(3, 'running').map(stage => stage.id === 'image'
    ? { ...stage, warnings: 0, steps: [built('Model diabetes:7 (3.1 MB)', 1.2), built('Code (2.1 kB)', 0.9)] }
    : stage.id === 'push' ? { ...stage, detail: 'pushing to registry.example:5000/models/diabetes-regression:3: 412.0 of 660.0 MB, 5 s left' } : stage),
});

export const live = timeline({ state: 'live', serving: 0, stages: stages(7, 'done'), finished: before(480), elapsedSeconds: 46.6, can: ['report'] });

export const failed = timeline({
  state: 'failed', stages: stages(5, 'failed', 'not-reached'), elapsedSeconds: 58.3, can: ['retry', 'report'],
  cause: {
    what: 'init() could not read the model file',
    why: "KeyError `'coef_'`. The file holds a Pipeline; its coefficients are in the last step.",
    hint: 'Load it with `joblib.load(path)` and call `predict`, run the cell again, then retry.',
    where: {
      text: 'in init() of score.py', file: 'score.py', line: 7, cell: 4,
      excerpt: [{ line: 5, text: 'def init():', guilty: false }, { line: 6, text: '    global coef', guilty: false }, { line: 7, text: '    coef = joblib.load(path())["coef_"]', guilty: true }],
    },
  },
});

export function line(n: number, text: string, change: Partial<LogLine> = {}): LogLine {
  return { n, time: before(600 - n), elapsedSeconds: n * 0.4, stage: 'image', level: '', source: '', revision: 0, requestId: '', text, ...change };
}

export const deploymentLog: LogLine[] = [
  ...Array.from({ length: 6 }, (_, at) => line(at + 1, `checked part ${at + 1}`, { stage: 'check' })),
  ...Array.from({ length: 18 }, (_, at) => line(at + 7, `added file_${at + 1}.py`, { stage: 'bundle' })),
  line(25, '\x1b[32mInstalled\x1b[0m 31 packages in 24.2 s'),
  line(26, 'scikit-learn 1.5.0 reads a model written by 1.4.2; pin the version to be safe', { level: 'warning' }),
  line(27, 'layer 7/8  environment  sha256:5b1d…e09a  388 MB'),
  line(28, 'layer 8/8  bundle       sha256:9f2c…41ab  3.1 MB'),
  line(29, 'image sha256:77e0…b3c4, 660 MB, runs as user 1000, read-only root'),
  line(30, 'pushing 8 layers, 5 already there', { stage: 'push' }),
  line(31, '\x1b[2mlayer 8/8\x1b[0m  pushed  3.1 MB', { stage: 'push' }),
  line(32, '10 %\r40 %\rlayer 7/8  [==================>          ]  62 %  412 of 660 MB', { stage: 'push' }),
  line(33, 'GET /ready  \x1b[33m503\x1b[0m  init() is running', { stage: 'probe' }),
  line(34, "init() raised KeyError: 'coef_'", { stage: 'probe', level: 'error' }),
  line(35, '  File "score.py", line 7, in init', { stage: 'probe' }),
];

export const serviceLog: LogLine[] = [
  line(1, 'server 0.1.0, 2 workers, deadline 30 s', { source: 'server', stage: '', revision: 3 }),
  line(2, 'init() started', { source: 'worker 1', stage: '', revision: 3 }),
  line(3, 'sample scored in 9.4 ms, \x1b[32mready\x1b[0m', { source: 'worker 1', stage: '', revision: 3 }),
  line(4, 'POST /score  \x1b[33m422\x1b[0m  0.7 ms  data[1].bmi: expected a number, got a string', { source: 'worker 1', stage: '', revision: 3, level: 'warning', requestId: '0d7a11c9' }),
  line(5, 'POST /score  \x1b[31m504\x1b[0m  30.0 s  run() passed its deadline', { source: 'worker 1', stage: '', revision: 3, level: 'error', requestId: 'c61f77b0' }),
];

export function service(change: Partial<Service> = {}): Service {
  return {
    service: 'diabetes-regression', workspace: 'w', workspaceTitle: 'diabetes', state: 'live', target: 'docker', targetTitle: 'Docker', revision: 3, models: ['diabetes:7'],
    scoringUri: 'http://127.0.0.1:8902/score', swaggerUri: 'http://127.0.0.1:8902/swagger.json', auth: 'key', health: { state: 'healthy', text: '2 of 2 workers answer', checked: before(4) },
    since: before(480), error: null, deployment: 'd-1', deploying: false, description: '', tags: {}, workers: 2, kept: [2, 1], bundleDigest: '9f2c41abe0', environment: [{ label: 'Python', value: '3.11.7' }, { label: 'Packages', value: '31' }],
    settings: [{ label: 'Workers', value: '2' }, { label: 'Deadline', value: '30 s' }],
    can: ['update', 'scale', 'rollback', 'reload', 'restart', 'stop', 'delete', 'keys', 'regen-key', 'test'], tabs: ['test', 'logs', 'latency', 'api', 'code', 'history', 'settings'], folder: '/home/me/project/.mldeploy/services/diabetes-regression', ...change,
  };
}

const COLUMNS = ['age', 'sex', 'bmi', 'bp', 's1', 's2', 's3', 's4', 's5', 's6'];
export const ROWS = [[0.0381, 0.0507, 0.0617, 0.0219, -0.0442, -0.0348, -0.0434, -0.0026, 0.0199, -0.0176], [-0.0019, -0.0446, -0.0515, -0.0263, -0.0084, -0.0192, 0.0744, -0.0395, -0.0683, -0.0922], [0.0853, 0.0507, 0.0445, -0.0057, -0.0456, -0.0342, -0.0324, -0.0026, 0.0029, -0.0259]]
  .map(row => Object.fromEntries(row.map((value, at) => [COLUMNS[at]!, value])));

export const document = {
  openapi: '3.1.0',
  paths: {
    '/': { get: { summary: 'Liveness', responses: { 200: { description: 'Alive' } } } },
    '/ready': { get: { summary: 'Readiness', responses: { 200: { description: 'Ready' } } } },
    '/score': {
      post: {
        summary: 'Calls run()',
        requestBody: { content: { 'application/json': { schema: { type: 'object', properties: { data: { type: 'array', 'x-format': 'pandas.DataFrame:records', items: { type: 'object', properties: Object.fromEntries(COLUMNS.map(column => [column, { type: 'number', format: 'double' }])), required: COLUMNS } } }, required: ['data'] }, example: { data: ROWS.slice(0, 1) } } } },
        responses: { 200: { description: 'What run() returned', content: { 'application/json': { schema: { type: 'array', items: { type: 'number' } } } } }, 422: { description: 'The body does not fit the schema' }, 429: { description: 'Too many requests are waiting' } },
      },
    },
    '/metrics': { get: { summary: 'Prometheus', responses: { 200: { description: 'Figures' } } } },
  },
};

const posts = (content: object) => ({ openapi: '3.1.0', paths: { '/score': { post: { summary: 'Calls run()', requestBody: { content }, responses: { 200: { description: 'What run() returned' } } } } } });
export const bytesDocument = posts({ 'image/*': { schema: { type: 'string', format: 'binary' } } });
export const fieldsDocument = posts({
  'application/json': {
    schema: {
      type: 'object',
      properties: { age: { type: 'integer' }, smoker: { type: 'boolean' }, region: { type: 'string', enum: ['north', 'south'] }, a_rather_long_name_of_a_column: { type: 'number' }, note: { type: 'string' } },
      required: ['age', 'smoker', 'region', 'a_rather_long_name_of_a_column'],
    },
    example: { age: 41, smoker: false, region: 'south', a_rather_long_name_of_a_column: 0.5, note: '' },
  },
});

export function answer(change: Partial<Answer> = {}): Answer {
  return {
    status: 200, reason: 'OK', ms: 12.4, bytes: 61, time: before(2), contentType: 'application/json', text: '{"result":[206.12,68.07,176.88]}', base64: '', cut: false,
    headers: [['content-type', 'application/json'], ['x-ms-request-id', '7f1c0a52'], ['server-timing', 'queue;dur=0.3']],
    timing: [{ name: 'queue', title: 'Queue', ms: 0.3 }, { name: 'parse', title: 'Parse', ms: 0.8 }, { name: 'run', title: 'Run', ms: 9.1 }, { name: 'serialise', title: 'Serialise', ms: 0.4 }, { name: 'rest', title: 'Network, client', ms: 1.8 }],
    requestId: '7f1c0a52', problems: [], failure: null, ...change,
  };
}

export const rejected = answer({ status: 422, reason: 'Unprocessable Entity', text: '{"message":"data[1].bmi: expected a number, got a string"}', timing: [], problems: [{ path: ['data', 1, 'bmi'], text: 'Row 1, bmi: expected a number, got "n/a". Nothing was scored.' }] });

export const events = [
  { time: before(40), kind: 'live', text: 'Answers again' },
  { time: before(90), kind: 'unhealthy', text: 'MemoryError in run()' },
  { time: before(7200), kind: 'worker-replaced', text: 'Worker 4711 was replaced: it ended with signal 9' },
];

export const history: Revision[] = [
  { number: 4, outcome: 'failed', rolledBackTo: 0, models: ['diabetes:8'], created: before(240), bundleDigest: '77e0b3c4aa', deployment: 'd-2', seconds: 12.4, changed: ['diabetes:7 → diabetes:8', 'score.py', 'workers 2 → 3'] },
  { number: 3, outcome: 'serving', rolledBackTo: 0, models: ['diabetes:7'], created: before(480), bundleDigest: '9f2c41abe0', deployment: 'd-1', seconds: 46.6, changed: ['diabetes:6 → diabetes:7'], receipt: [{ label: 'Image', value: 'mldeploy-0f1e2d3c/diabetes-regression:3' }, { label: 'Base image', value: 'python:3.11-slim' }, { label: 'Layers', value: 'base 130.1 MB, environment 388.2 MB, server 1.8 MB, model diabetes:7 3.1 MB, code 2.1 kB' }] },
  { number: 2, outcome: 'kept', rolledBackTo: 0, models: ['diabetes:6'], created: before(100_000), bundleDigest: 'c07d91e4aa', deployment: 'd-0', seconds: 51.2, changed: ['score.py', 'workers 1 → 2'], receipt: [{ label: 'Image id', value: `sha256:${'5b1de09a'.repeat(8)}` }, { label: 'Builder', value: 'Docker 28.2.2 (unix:///var/run/docker.sock)' }] },
  { number: 1, outcome: 'kept', rolledBackTo: 0, models: ['diabetes:4'], created: before(900_000), bundleDigest: '1b6ee2d0aa', deployment: 'd-9', seconds: 63, changed: [] },
];

export const code: CodeSample[] = [
  { language: 'python', title: 'Python', note: '', text: 'import os\nimport requests\n\nresponse = requests.post(\n    "http://127.0.0.1:8902/score",\n    json={"data": [{"age": 0.0381}]},\n    headers={"Authorization": "Bearer " + os.environ["SCORING_KEY"]},\n    timeout=30,\n)\nresponse.raise_for_status()\nprint(response.json())' },
  { language: 'curl', title: 'curl', note: '', text: 'curl -sS http://127.0.0.1:8902/score \\\n  -H "Authorization: Bearer $SCORING_KEY" \\\n  -d \'{"data": [{"age": 0.0381}]}\'' },
  { language: 'javascript', title: 'JavaScript', note: '', text: 'const response = await fetch("http://127.0.0.1:8902/score", {method: "POST"});\nconsole.log(await response.json());' },
  { language: 'csharp', title: 'C#', note: '', text: 'using var client = new HttpClient();\nConsole.WriteLine(await client.GetStringAsync("http://127.0.0.1:8902/"));' },
];

const field = (key: string, label: string, change: Partial<Form['fields'][number]> = {}): Form['fields'][number] => ({
  key, label, help: '', kind: 'text', required: false, default: null, placeholder: '', unit: '', choices: [], minimum: null, maximum: null, section: '', advanced: false, visibleWhen: {}, ...change,
});

export const deployForm: Form = {
  form: 'deploy', title: 'Deploy a model', submit: 'Deploy',
  fields: [
    field('name', 'Service name', { required: true }),
    field('models', 'Model', { kind: 'models', choices: [{ value: 'diabetes:7', label: 'diabetes:7', detail: 'latest' }, { value: 'diabetes:6', label: 'diabetes:6', detail: '' }] }),
    field('entry_script', 'Entry script', { kind: 'combo', required: true, choices: [{ value: 'score.py', label: 'score.py', detail: 'cell 4, init() and run(data)' }] }),
    field('environment', 'Environment', { kind: 'choice', choices: ['This Python as it is', 'requirements.txt', 'Conda file', 'Registered'].map(label => ({ value: label, label, detail: '' })) }),
    field('target', 'Target', { kind: 'choice', section: 'Target', choices: [{ value: 'local', label: 'Local', detail: '' }, { value: 'aci', label: 'ACI', detail: '' }] }),
    field('port', 'Port', { kind: 'integer', section: 'Target', placeholder: 'any free', unit: 'on 127.0.0.1 only', visibleWhen: { target: ['local'] } }),
    field('cpu_cores', 'CPU', { kind: 'number', section: 'Target', unit: 'cores', visibleWhen: { target: ['aci'] } }),
    field('auth_enabled', 'Ask for a key', { kind: 'boolean', section: 'Target' }),
    field('tags', 'Tags', { kind: 'pairs', advanced: true }),
  ],
  values: { name: 'diabetes-regression-eu', models: ['diabetes:7'], entry_script: 'score.py', environment: 'This Python as it is', target: 'aci', cpu_cores: 0.05, auth_enabled: true },
};

export const updateForm: Form = { form: 'update', title: 'Update diabetes-regression', submit: 'Update to revision 4', fields: [deployForm.fields[1]!, field('worker_count', 'Workers', { kind: 'integer', unit: 'processes, no restart needed' })], values: { models: ['diabetes:7'], worker_count: 2 } };

export const registerForm: Form = {
  form: 'register', title: 'Register a model', submit: 'Register',
  fields: [
    field('path', 'File or folder', { required: true, placeholder: 'model.pkl' }),
    field('name', 'Name', { required: true }),
    field('description', 'Description', { kind: 'long-text' }),
  ],
  values: { path: 'ridge.pkl', name: 'diabetes' },
};

export const check: FormCheck = {
  problems: [{ field: 'cpu_cores', level: 'error', text: '0.05 is too small. ACI takes 0.1 to 4 cores here; 0.1 is the default.' }],
  previews: [
    { kind: 'python', title: 'Python', text: 'Model.deploy(\n    ws, "diabetes-regression-eu", [Model(ws, "diabetes", version=7)],\n    InferenceConfig(entry_script="score.py"),\n    AciWebservice.deploy_configuration(cpu_cores=0.05),\n)' },
    { kind: 'magic', title: 'Magic', text: '%deploy diabetes-regression-eu --model diabetes:7 --to aci --cpu-cores 0.05' },
    { kind: 'cli', title: 'CLI', text: 'mldeploy model deploy diabetes-regression-eu --model diabetes:7 --to aci --cpu-cores 0.05' },
  ],
  note: '1 change: model 7 → 8',
};

// -- the latency lab

/** A series whose latency at 1 / (1 - share) is `base` times a power of it. */
export function latencySeries(name: string, base: number, requests: number, change: Partial<LatencySeries> = {}): LatencySeries {
  const ms = (x: number) => base * x ** 0.22;
  const points = Array.from({ length: 40 }, (_, at) => requests ** (at / 39)).map((x): [number, number] => [x, ms(x)]);
  const percentiles = [0.5, 0.9, 0.95, 0.99, 0.999].filter(share => requests * (1 - share) > 9.99).map(share => {
    const value = ms(1 / (1 - share));
    return { name: `p${+(100 * share).toFixed(1)}`, share, ms: value, low: value * 0.93, high: value * 1.1 };
  });
  const parts = ['Before the send', 'Network', 'Queue', 'Parse', 'Run', 'Serialise'].map((title, at) => ({ name: title.toLowerCase(), title, ms: base * [0.01, 0.2, 0.03, 0.08, 0.63, 0.05][at]! }));
  return { name, service: name, revision: 0, requests, errors: 0, unsent: 0, rate: 100, percentiles, slowest: ms(requests), coldStart: null, points: requests ? points : [], parts, ...change };
}

const LATENCY_RUN = '20261126T141000-1f2e3d';

export function latencyReport(change: Partial<LatencyReport> = {}): LatencyReport {
  const counts = Array.from({ length: 18 }, (_, up) => Array.from({ length: 60 }, (_, at) => Math.max(0, Math.round(30 - (up - 6 - (at > 29 ? 2 : 0)) ** 2 * 2) + ((at * 7 + up * 13) % 5) - 3)));
  return {
    run: LATENCY_RUN, workspace: 'w', services: ['diabetes-regression'], state: 'finished', begun: before(400), ended: before(380), elapsedSeconds: 21.4, seconds: 20, load: 'Open loop, 100/s, constant arrivals, 20 s',
    payload: 'The sample, 0.2 kB', warmup: 20, invalid: '', series: [latencySeries('diabetes-regression', 9.4, 2000, { coldStart: 412 })], ramp: null,
    cells: [{ name: 'diabetes-regression', times: Array.from({ length: 61 }, (_, at) => at / 3), latencies: Array.from({ length: 19 }, (_, at) => 4 * 1.22 ** at), counts, failures: [], marks: [] }],
    verdict: ['diabetes-regression p50 is 4 to 9 % slower than diabetes-regression in run 20261125T090000-0a1b2c, 95 % CI', 'p99: no difference above 12 % shown between both, 95 % CI', 'p99.9 needs 10,000 requests, 100 s at 100/s; there are 2,000'], notes: [], against: before(90_000), ...change,
  };
}

export function latencyRow(run: string, seconds: number, change: Partial<LatencyRow> = {}): LatencyRow {
  return { run, time: before(seconds), state: 'finished', services: ['diabetes-regression'], load: 'Open loop, 100/s', requests: 2000, valid: true, p50: 10.9, p95: 18.2, p99: 25.9, ...change };
}

export const latencyRuns = [latencyRow(LATENCY_RUN, 400), latencyRow('20261125T090000-0a1b2c', 90_000, { p50: 10.2 })];

/** While it runs, during an update: both revisions. */
export const latencyLive = latencyReport({
  state: 'running', ended: '', elapsedSeconds: 8, cells: [], verdict: [], against: '',
  series: [latencySeries('diabetes-regression, revision 3', 9.4, 500, { revision: 3 }), latencySeries('diabetes-regression, revision 4', 14, 300, { revision: 4 })],
});

/** A ramp whose knee is at its third step. */
export const latencyRamp = latencyReport({
  load: 'Open loop, 50/s, 100/s, 200/s, 400/s, constant arrivals, 10 s for each step', cells: [], verdict: [], against: '', series: [latencySeries('diabetes-regression', 9.4, 7400)],
  ramp: {
    lines: [
      { name: 'diabetes-regression, median', style: 0, points: [[50, 9.4], [100, 9.9], [198, 12], [241, 640]] },
      { name: 'diabetes-regression, p90', style: 1, points: [[50, 14], [100, 16], [198, 31], [241, 1900]] },
    ],
    marks: [{ at: 198, text: 'knee of diabetes-regression: 198 a second' }],
    steps: [50, 100, 200, 400].map((rate, at) => latencySeries(`diabetes-regression at ${rate}/s`, 9.4 + at ** 4, 10 * rate, { points: [], parts: [], unsent: rate === 400 ? 1200 : 0 })),
  },
});

// -- the sidebar

export const workspace = (change: Partial<WorkspaceSummary> = {}): WorkspaceSummary => ({ workspace: 'w', title: 'diabetes', folder: '/home/me/diabetes/.mldeploy', current: true, failure: null, ...change });

const ALLOWED: Partial<Record<ServiceState, ServiceSummary['can']>> = { deploying: ['cancel'], updating: ['cancel', 'test', 'stop'], stopped: ['start', 'delete'], failed: ['delete'], cancelled: ['delete'] };

export function serviceRow(name: string, state: ServiceState = 'live', change: Partial<ServiceSummary> = {}): ServiceSummary {
  const deploying = state === 'deploying' || state === 'updating';
  const serves = ['live', 'unhealthy', 'updating'].includes(state);
  return {
    service: name, workspace: 'w', state, note: '', target: 'local', targetTitle: 'Local', revision: serves ? 3 : 0, models: ['diabetes:7'], tags: {},
    scoringUri: serves ? 'http://127.0.0.1:8902/score' : '', since: serves ? before(480) : '', deployment: `d-${name}`, deploying, can: ALLOWED[state] ?? ['update', 'test', 'restart', 'stop', 'delete'], ...change,
  };
}

export function modelRow(name: string, versions: number, change: Partial<ModelVersion> = {}, workspace = 'w'): ModelSummary {
  const all = Array.from({ length: versions }, (_, at) => ({
    id: `${name}:${versions - at}`, version: versions - at, created: before(at === 0 ? 180 : at * 90_000), framework: 'ScikitLearn 1.5.2', bytes: 1_200_000 - at * 50_000, description: '', tags: {}, usedBy: [], ...change,
  }));
  return { model: name, workspace, versions: all };
}

const docker = { target: 'docker', targetTitle: 'Docker' };
const LONG = 'customer-churn-gradient-boosting';

type Overview = Topics['overview']['event'];

export const overview: Overview = {
  whole: true,
  workspaces: [workspace()],
  services: [
    serviceRow('iris-tree'),
    serviceRow('sandbox', 'stopped'),
    serviceRow('diabetes-regression', 'live', { ...docker, tags: { team: 'care' } }),
    serviceRow(`${LONG}-eu-west-canary-green`, 'deploying', { ...docker, note: 'Push image 62 %' }),
    serviceRow('house-prices', 'failed', docker),
    serviceRow('diabetes-aci', 'unhealthy', { target: 'aci', targetTitle: 'Container Instances' }),
    serviceRow(`${LONG}-production`, 'updating', { target: 'aks', targetTitle: 'Kubernetes, aks-ml', note: '10 %' }),
  ],
  models: [
    { ...modelRow('diabetes', 8), versions: modelRow('diabetes', 8).versions.map(one => (one.version === 7 ? { ...one, usedBy: ['diabetes-regression', 'iris-tree'], description: 'Ridge over ten columns', tags: { stage: 'production', owner: 'mia' } } : one)) },
    modelRow('churn-gbm', 3),
  ],
};

export const storeAway = { code: 'store', error: 'The workspace team cannot be read', cause: 'its store postgresql://db.example/team does not answer', hint: 'check the network, then `mldeploy workspace show`' };

export const severalWorkspaces: Overview = {
  whole: true,
  workspaces: [workspace(), workspace({ workspace: 'v', title: 'churn', current: false }), workspace({ workspace: 'x', title: 'team', current: false, failure: storeAway })],
  services: [...overview.services!.slice(0, 3), serviceRow('churn-eu', 'live', { workspace: 'v' }), serviceRow('churn-us', 'stopped', { workspace: 'v' })],
  models: [modelRow('diabetes', 8), modelRow('churn-gbm', 3, {}, 'v')],
};

/** 500 services on four targets, 2,000 models. */
export function many(services = 500, models = 2000): Overview {
  const states: ServiceState[] = ['live', 'live', 'stopped', 'failed', 'unhealthy'];
  const targets = [{}, docker, { target: 'aci', targetTitle: 'Container Instances' }, { target: 'aks', targetTitle: 'Kubernetes, aks-ml' }];
  return {
    whole: true,
    workspaces: [workspace()],
    services: Array.from({ length: services }, (_, at) => serviceRow(`service-${at + 1}`, states[at % 5], { ...targets[at % 4], models: [`model-${at + 1}:1`], tags: { team: `team-${at % 7}` } })),
    models: Array.from({ length: models }, (_, at) => modelRow(`model-${at + 1}`, 1 + (at % 8), { tags: { owner: `owner-${at % 11}` } })),
  };
}
