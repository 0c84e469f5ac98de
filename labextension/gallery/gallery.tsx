/** Every state of the panel on one page, with made-up services: for the eyes, for screenshots and for axe. */
import { render } from 'preact';
import type { LatencyReport, LatencyRow, Port, Service, Timeline, Topics } from '../src/protocol';
import { type FakePort, fakePort, told } from '../src/testing/fake_port';
import { madeUp } from '../src/testing/made_up';
import * as samples from '../src/testing/samples';
import { FormPanel } from '../src/ui/forms/form';
import { Panel } from '../src/ui/panel';
import { Latency } from '../src/ui/part';
import { PortProvider } from '../src/ui/port_context';
import { Overview, type Shell, Sidebar, StatusItem } from '../src/ui/sidebar';
import { ENGLISH, setTranslation } from '../src/ui/translation';

const LONG = 'customer-churn-gradient-boosting-eu-west-canary-green';
const hostile = [
  '<img src=x onerror="document.title=1"><script>document.title = 1</script>',
  'NUL \0, bell \x07, backspace \b, DEL \x7f',
  '\x1b]8;;http://example.invalid\x07a link\x1b]8;;\x07 and a \x1b]0;title\x07',
  'abc\u202Egnp.exe and a lone surrogate \ud800 here',
  'العربية 123 עברית',
  '0 %|          |\r 50 %|#####     |\r100 %|##########|',
  'x'.repeat(8192),
];
const extras = { insertCell: () => undefined, focusCell: () => true };

// ?state=live-test shows one of them; ?theme=dark, ?dir=rtl and ?language=made-up change all.
const query = new URLSearchParams(location.search);
const theme = query.get('theme') ?? 'light'; // or dark, contrast
document.body.className = theme === 'contrast' ? 'theme-dark theme-contrast' : `theme-${theme}`;
for (const width of ['wide', 'narrow']) document.body.classList.toggle(width, query.has(width)); // sidebars of 480 and 200 pixels
if (query.get('dir') === 'rtl') document.documentElement.dir = 'rtl';

const trans = query.get('language') === 'made-up' ? madeUp : ENGLISH;
setTranslation(trans);

/** By state, for tests that send events. */
const ports: Record<string, FakePort> = {};
Object.assign(window, { ports, line: samples.line, told });

function show(title: string, draw: (at: HTMLElement) => void) {
  if (query.has('state') && query.get('state') !== title.replaceAll(' ', '-')) return;
  const section = document.createElement('section');
  section.className = 'state';
  section.id = title.replaceAll(' ', '-');
  const heading = document.createElement('h2');
  heading.textContent = title;
  const place = document.createElement('div');
  section.append(heading, place);
  document.getElementById('gallery')!.append(section);
  draw(place);
}

const refused = { ...samples.check, note: '' };
const unchanged = { ...samples.check, problems: [], note: '' };

function panel(title: string, timeline: Timeline | null, service: Service | null, then?: Step, answers: Answers = {}) {
  show(title, at => {
    const port = (ports[title.replaceAll(' ', '-')] = fakePort({ 'form.describe': samples.updateForm, 'form.check': unchanged, ...answers }, extras));
    const name = timeline?.service ?? service?.service ?? 'diabetes-regression';
    if (service) port.emit('service', { service });
    if (timeline) port.emit('deployment', { timeline, lines: title === 'begun' ? [] : title === 'building' ? samples.buildLog : samples.deploymentLog });
    port.emit('serviceLog', { lines: samples.serviceLog });
    render(<Panel port={port} service={name} deployment={timeline?.deployment} />, at);
    if (then) later(() => then(at, port), 600);
  });
}

/** The Latency tab with a run. */
function measured(title: string, report: LatencyReport | null, answers: Answers = {}, then?: Step, runs?: LatencyRow[]) {
  const port = (at: HTMLElement, own: FakePort) => {
    if (report) own.emit('latency', { report });
    const isDrawn: Step = () => !!at.querySelector('[data-tab=latency] h4');
    after(press('Latency'), isDrawn, ...(then ? [then] : []))(at, own);
  };
  panel(title, samples.live, samples.service(), port, { ...(runs ? { 'latency.runs': runs } : {}), ...answers });
}

/** Returns false while what it needs is not drawn yet. */
type Step = (at: HTMLElement, port: FakePort) => unknown;
type Answers = Parameters<typeof fakePort>[0];

/** Steps that are still to be taken; the page is ready after the last. */
let waiting = 0;
function later(step: () => unknown, ms: number, then?: () => void, tries = 200) {
  waiting += 1;
  setTimeout(() => {
    waiting -= 1;
    if (step() !== false) then?.();
    else if (tries) later(step, 50, then, tries - 1);
    else throw new Error('what a step needs was never drawn'); // else the state would not be what its name says
  }, ms);
}

const type = (selector: string, text: string): Step => at => {
  const field = at.querySelector<HTMLInputElement>(selector);
  if (!field) return false;
  field.value = text;
  return field.dispatchEvent(new Event('input', { bubbles: true }));
};
const press = (label: string): Step => at => {
  const button = [...at.querySelectorAll<HTMLElement>('button')].find(one => (one.dataset['label'] || one.textContent || one.ariaLabel || '').startsWith(trans.__(label)));
  button?.click();
  return !!button;
};
const after = (...steps: Step[]): Step => (at, port) => {
  const [first, ...rest] = steps;
  later(() => first?.(at, port), 0, () => rest.length && later(() => after(...rest)(at, port), 300));
};
const refusal = { code: 'busy', error: 'diabetes-regression is being updated', cause: 'a deployment of it has been running since 14:02', hint: 'cancel it: `%mldeploy service cancel diabetes-regression`' };

const deploying = samples.service({ state: 'updating', deploying: true });
panel('deploying', samples.timeline(), deploying);
panel('building', samples.building, null);
panel('pushing', samples.pushing, deploying, press('Push image'));
panel('failed', samples.failed, samples.service({ revision: 2, deployment: 'd-1' }));
panel('not started', samples.timeline({ state: 'not-started', serving: 1, stages: samples.stages(-1, 'waiting', 'not-reached'), elapsedSeconds: 0, can: [], message: 'Another deployment of this service has been running since 14:02, now in Build image. One runs at a time; open it to watch or cancel it.' }), samples.service({ state: 'updating', revision: 1, deployment: 'd-2' }));
panel('cancelled', samples.timeline({ state: 'cancelled', serving: 0, stages: samples.stages(3, 'cancelled', 'not-reached'), elapsedSeconds: 21.4, finished: samples.before(60), can: ['retry'], message: 'It was cancelled at 14:03 in Push image. Nothing serves. What was made is used again next time.' }), samples.service({ state: 'cancelled', revision: 0, can: ['delete'] }));
panel('interrupted', samples.timeline({ state: 'interrupted', serving: 0, stages: samples.stages(2, 'interrupted', 'not-reached'), elapsedSeconds: 72, can: ['retry', 'report'], message: 'Its runner ended at 13:58 in Build image without finishing, for example because the machine restarted. Nothing serves. Deploy again: what was made is used again.' }), samples.service({ state: 'failed', revision: 0, can: ['delete'] }));
panel('live test', samples.live, samples.service(), after(press('Fill with'), press('Send request')));
panel('live test rejected', samples.live, samples.service(), after(press('Fill with'), type('[aria-label^="bmi, "][aria-label$=" 1"]', 'n/a'), press('Send request')), { 'service.score': samples.rejected });
panel('live logs', samples.live, samples.service(), press('Logs'));
panel('live api', samples.live, samples.service(), press('API'));
measured('latency', samples.latencyReport());
measured('latency running', samples.latencyLive, {}, undefined, [samples.latencyRow(samples.latencyLive.run, 8, { state: 'running', p50: null, requests: 0 })]);
measured('latency first', null, {}, undefined, []);
measured('latency form', samples.latencyReport(), {}, after(press('Measure again'), at => at.querySelector<HTMLElement>('.mld-Load input[value=users]')?.click(), type('.mld-Load input[inputmode=decimal]', '0.5'), press('Run')));
measured('latency invalid', samples.latencyReport({ invalid: 'the load’s own process was late by 3.1 ms (p99); close other programs or lower the rate', verdict: [], against: '' }));
measured('latency stopped', samples.latencyReport({ state: 'cancelled', notes: ['8.1 s: diabetes-regression answered 429 with Retry-After: it is overloaded'], series: [samples.latencySeries('diabetes-regression', 9.4, 800, { errors: 12, unsent: 40 })], cells: [{ ...samples.latencyReport().cells[0]!, failures: [{ title: 'timed out', counts: Array.from({ length: 60 }, (_, at) => Number(at % 17 === 3)) }, { title: 'never sent', counts: Array.from({ length: 60 }, (_, at) => Number(at > 40 && at < 47)) }], marks: [{ at: 12, text: 'revision 4' }] }] }));
measured('latency several', samples.latencyReport({ services: ['diabetes-regression', 'diabetes-aci', LONG], cells: [], series: [samples.latencySeries('diabetes-regression', 9.4, 20_000), samples.latencySeries('diabetes-aci', 38, 20_000, { parts: [] }), samples.latencySeries(LONG, 120, 900)] }));
measured('latency ramp', samples.latencyRamp);
measured('latency ramp form', samples.latencyRamp, {}, after(press('Measure again'), at => at.querySelector<HTMLElement>('.mld-Load input[value=ramp]')?.click()));
measured('latency refused', samples.latencyReport(), { 'latency.start': refusal }, after(press('Measure again'), press('Run')));
show('latency in a cell', at => {
  const port = fakePort();
  port.emit('latency', { report: samples.latencyLive });
  render(<PortProvider value={port}><Latency show="RunView" run={samples.latencyLive.run} workspace="w" /></PortProvider>, at);
});
panel('live code', samples.live, samples.service(), press('Code'));
panel('live history', samples.live, samples.service(), after(press('History'), press('Roll back')));
panel('live receipt', samples.live, samples.service(), after(press('History'), at => [...at.querySelectorAll<HTMLElement>('td .mld-Btn')].find(one => one.textContent === trans.__('Receipt'))?.click()));
panel('live menu', samples.live, samples.service(), at => at.querySelector<HTMLElement>('[aria-haspopup=menu]')?.click());
panel('live json', samples.live, samples.service(), at => at.querySelector<HTMLElement>('input[value=json]')?.click());
panel('live settings', samples.live, samples.service(), after(press('Settings'), press('Delete')));
panel('serving open', samples.failed, samples.service({ revision: 2, deployment: 'd-1' }), press('Revision 2 serves'));
panel('live unfolded', samples.live, samples.service(), press('Updated in'));
panel('unhealthy', samples.live, samples.service({ state: 'unhealthy', health: { state: 'unhealthy', text: '', checked: samples.before(3) }, error: { code: 'worker', error: 'The worker ends as soon as it starts', cause: 'MemoryError in init()', hint: 'see `%mldeploy service get-logs diabetes-regression`' } }));
panel('stopped', samples.live, samples.service({ state: 'stopped', scoringUri: '', can: ['start', 'delete'], health: { state: 'unknown', text: '', checked: '' } }));
panel('lost', samples.live, samples.service(), (_, port) => port.lose(samples.before(10)));
panel('long name', samples.timeline({ service: LONG }), samples.service({ service: LONG, state: 'updating' }));
panel('hostile log', samples.timeline(), deploying, (_, port) => port.emit('deployment', { lines: hostile.map((text, at) => samples.line(100 + at, text, { stage: 'push' })) }));
panel('begun', samples.timeline({ revision: 1, serving: 0, operation: 'deploy', stages: samples.stages(-1, 'waiting'), elapsedSeconds: 0 }), null);
panel('loading', null, null);
panel('superseded', samples.failed, samples.service({ deployment: 'd-2' }));
panel('deleted', samples.live, samples.service({ state: 'deleted', scoringUri: '', can: [], tabs: [] }));
panel('cancel refused', samples.timeline(), deploying, press('Cancel'), { 'deployment.cancel': refusal });
panel('order refused', samples.live, samples.service(), after(at => at.querySelector<HTMLElement>('[aria-haspopup=menu]')?.click(), press('Restart')), { 'service.restart': refusal });
panel('delete from the menu', samples.live, samples.service(), after(at => at.querySelector<HTMLElement>('[aria-haspopup=menu]')?.click(), press('Delete')));
panel('key shown', samples.live, samples.service({ scoringUri: `http://127.0.0.1:8902/${LONG}/score`, models: [`${LONG}:12`, 'scaler:3'] }), press('Show the key'), { 'service.keys': { primary: 'k'.repeat(48), secondary: '', token: '', expires: '' } });
panel('log search', samples.timeline(), deploying, type('input[type=search]', 'layer'));
panel('new key', samples.live, samples.service(), after(press('Settings'), press('New key')));
panel('file to send', samples.live, samples.service(), undefined, { 'service.openapi': { document: samples.bytesDocument }, 'service.samples': [] });
panel('fields to send', samples.live, samples.service(), undefined, { 'service.openapi': { document: samples.fieldsDocument }, 'service.samples': [] });
panel('no key', samples.live, samples.service({ auth: 'none', description: 'Predicts progression', can: ['update', 'test', 'delete'] }), press('Code'));
show('deploy form', at => render(<FormPanel port={fakePort({ 'form.check': refused }, extras)} form="deploy" onBegun={() => undefined} />, at));
show('deploy form refused', at => {
  render(<FormPanel port={fakePort({ 'form.check': refused }, extras)} form="deploy" onBegun={() => undefined} onClose={() => undefined} />, at);
  later(() => press('Deploy')(at, ports['deploying']!), 800);
});

show('deploy form open', at => {
  render(<FormPanel port={fakePort({ 'form.check': unchanged, 'form.describe': ({ form }) => (form === 'register' ? samples.registerForm : samples.deployForm) }, extras)} form="deploy" onBegun={() => undefined} />, at);
  later(() => after(press('Register'), press('More settings'))(at, fakePort()), 600);
});

function sidebar(title: string, event: Topics['overview']['event'] | null, then?: Step, extra: Partial<Port> = {}) {
  show(title, at => {
    const port = (ports[title.replaceAll(' ', '-')] = fakePort({ 'service.stop': () => new Promise(() => undefined), 'service.delete': { text: 'Deleted, with 2 processes, port 8902 and its folder.', left: [] }, ...(title.includes('refused') ? { 'service.stop': notStopped } : {}) }, { ...extras, openPanel: () => undefined, ...extra }));
    at.className = title.startsWith('sidebar many') ? 'side many' : 'side';
    if (event) port.emit('overview', event);
    const begun = performance.now();
    requestAnimationFrame(() => setTimeout(() => (at.dataset['ms'] = String(performance.now() - begun)))); // after the first paint
    render(<Sidebar overview={new Overview(port)} shell={shell} trans={trans} current={{ service: 'diabetes-regression', workspace: 'w' }} />, at);
    if (then) later(() => then(at, port), 300);
  });
}

const shell: Shell = { openForm: () => undefined };
const notStopped = { code: 'in-progress', error: 'iris-tree cannot be stopped now', cause: 'deployment 20261126-230501-1f2e has been running since 23:05', hint: 'watch it with `mldeploy service show iris-tree`' };
const item = (name: string) => (at: HTMLElement) => [...at.querySelectorAll<HTMLElement>('[role=treeitem]')].find(one => one.ariaLabel?.startsWith(name));
const menuOf = (name: string) => (at: HTMLElement) => {
  const row = item(name)(at);
  row?.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true }));
  return !!row;
};
const choose = (label: string) => (at: HTMLElement) => {
  const entry = [...at.querySelectorAll<HTMLElement>('[role=menuitem]')].find(one => one.textContent === trans.__(label));
  entry?.click();
  return !!entry;
};
const toggle = (name: string) => (at: HTMLElement) => item(name)(at)?.click();

sidebar('sidebar', samples.overview, after(toggle('diabetes, '), toggle('diabetes:7')));
sidebar('sidebar workspaces', samples.severalWorkspaces);
sidebar('sidebar empty', { whole: true, workspaces: [samples.workspace()], services: [], models: [] });
sidebar('sidebar unreadable', { whole: true, workspaces: [samples.workspace({ failure: samples.storeAway })], services: [], models: [] });
sidebar('sidebar loading', null);
sidebar('sidebar lost', samples.overview, (_, port) => port.lose(samples.before(10), new Date(Date.now() + 3_600_000).toISOString()));
sidebar('sidebar off', null, (_, port) => port.lose(samples.before(10), new Date(Date.now() + 3_600_000).toISOString(), { code: 'unavailable', error: trans.__('The server extension of mldeploy is off'), cause: 'the Jupyter server does not know it', hint: 'run `jupyter server extension enable mldeploy_jupyter` and start Jupyter again' }));
sidebar('sidebar menu', samples.overview, menuOf('iris-tree'));
sidebar('sidebar delete', samples.overview, after(menuOf('iris-tree'), choose('Delete…')));
sidebar('sidebar deleted', samples.overview, after(menuOf('iris-tree'), choose('Delete…'), type('.mld-Confirm input', 'iris-tree'), (at, port) => { at.querySelector<HTMLElement>('.mld-mod-dangerFill')?.click(); port.emit('overview', { gone: [{ kind: 'service', workspace: 'w', name: 'iris-tree' }] }); }));
sidebar('sidebar stopping', samples.overview, after(menuOf('iris-tree'), choose('Stop')));
sidebar('sidebar refused', samples.overview, after(menuOf('iris-tree'), choose('Stop')));
sidebar('sidebar filtered', samples.overview, type('input', 'live'));
sidebar('sidebar nothing fits', samples.overview, type('input', 'nothing like it'));
sidebar('sidebar many', samples.many());
show('status items', at => {
  const port = fakePort();
  port.emit('overview', { ...samples.overview, services: samples.overview.services!.filter(one => one.state !== 'updating') });
  at.className = 'bar';
  render(<StatusItem overview={new Overview(port)} trans={trans} onLead={() => undefined} />, at);
});

// Ready once all steps are taken and what the last one asked for is drawn.
const ready = () => (waiting ? setTimeout(ready, 50) : setTimeout(() => (document.body.dataset['ready'] = 'true'), 300));
setTimeout(ready, 50);
