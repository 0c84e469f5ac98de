import { describe, expect, it } from 'vitest';
import type { Failure } from '../../protocol';
import { fakePort } from '../../testing/fake_port';
import * as samples from '../../testing/samples';
import { describeEnd, watchEnds, type Ended } from './notices';
import { Overview, type ServiceChange } from './overview';
import { statusParts } from './status';
import { ENGLISH } from '../translation';
import { makeWords } from './words';

const words = makeWords(ENGLISH);

function listening() {
  const port = fakePort({ 'deployment.timeline': samples.live, 'deployment.retry': { deployment: 'd-3' } }, { openPanel: () => undefined });
  const overview = new Overview(port);
  const heard: ServiceChange[][] = [];
  const end = overview.listen(changes => heard.push(changes));
  return { port, overview, heard, end };
}

describe('the overview', () => {
  it('has what the last events said, and tells the services that changed', () => {
    const { port, overview, heard } = listening();
    port.emit('overview', samples.overview);
    expect(heard).toEqual([[]]); // what is there at first is no change
    const stopped = samples.serviceRow('iris-tree', 'stopped');
    port.emit('overview', { services: [stopped], gone: [{ kind: 'service', workspace: 'w', name: 'sandbox' }, { kind: 'model', workspace: 'w', name: 'churn-gbm' }] });
    expect(overview.services.size).toBe(6);
    expect([...overview.models.keys()]).toEqual(['w\ndiabetes']);
    expect(heard[1]!.map(({ before, now }) => [before?.state, now?.state])).toEqual([['live', 'stopped'], ['stopped', undefined]]);
  });

  it('keeps what it had while nothing is heard, and says since when', () => {
    const { port, overview } = listening();
    port.emit('overview', samples.overview);
    port.lose('2026-11-26T14:08:00Z');
    expect([overview.lostSince, overview.services.size]).toEqual(['2026-11-26T14:08:00Z', 7]);
    port.emit('overview', { whole: true, workspaces: [samples.workspace()], services: [], models: [] });
    expect([overview.lostSince, overview.services.size]).toEqual(['', 0]);
  });

  it('takes a workspace that cannot be read for a while neither for deletions nor for new services', () => {
    const { port, heard } = listening();
    port.emit('overview', samples.severalWorkspaces);
    const [own, ...others] = samples.severalWorkspaces.workspaces!;
    const gone = samples.severalWorkspaces.services!.filter(one => one.workspace === 'w').map(one => ({ kind: 'service' as const, workspace: 'w', name: one.service }));
    port.emit('overview', { workspaces: [{ ...own!, failure: samples.storeAway }, ...others], gone });
    port.emit('overview', { ...samples.severalWorkspaces, services: samples.severalWorkspaces.services!.slice(0, 4) });
    expect(heard.map(changes => changes.map(({ before, now }) => (now ?? before)!.service))).toEqual([[], [], ['churn-us']]); // which was deleted
  });

  it('takes a workspace that is read at last for no news', () => {
    const { port, heard } = listening();
    port.emit('overview', { whole: true, workspaces: [samples.workspace({ reading: true })], services: [], models: [] });
    port.emit('overview', { workspaces: [samples.workspace()], services: [samples.serviceRow('old')] });
    port.emit('overview', { services: [samples.serviceRow('new')] });
    expect(heard.map(changes => changes.map(({ now }) => now!.service))).toEqual([[], [], ['new']]);
  });

  it('has it looked as often as the setting says, at once', () => {
    const { port, overview, heard } = listening();
    const asked: unknown[] = [];
    const { subscribe } = port;
    port.subscribe = (topic, params, ...rest) => (asked.push(params), subscribe(topic, params, ...rest));
    port.emit('overview', samples.overview);
    overview.poll(20);
    overview.poll(20);
    overview.poll(0);
    expect([asked, port.topics()]).toEqual([[{ pollSeconds: 20 }, {}], ['overview']]);
    expect(heard.flat()).toEqual([]);
  });

  it('is subscribed once, and only while somebody listens', () => {
    const { port, overview, end } = listening();
    const other = overview.listen(() => undefined);
    expect(port.topics()).toEqual(['overview']);
    end();
    expect(port.topics()).toHaveLength(1);
    other();
    expect(port.topics()).toHaveLength(0);
  });
});

describe('the status item', () => {
  const texts = (overview: Overview) => statusParts(overview, words).map(part => part.text);

  it('counts what is live, and names what runs and what failed', () => {
    const { port, overview } = listening();
    port.emit('overview', { ...samples.overview, services: samples.overview.services!.filter(one => one.state !== 'updating') });
    expect(texts(overview)).toEqual(['2 live', 'Push image 62 %, customer-churn-gradient-boosting-eu-west-canary-green', '1 unhealthy', '1 failed']);
    expect(statusParts(overview, words)[3]!.leads).toEqual({ filter: 'Failed' });
    expect(statusParts(overview, words)[1]!.leads).toEqual({ service: { service: 'customer-churn-gradient-boosting-eu-west-canary-green', workspace: 'w' } });
  });

  it('counts a service that is updated as live, since it serves', () => {
    const { port, overview } = listening();
    port.emit('overview', samples.overview);
    expect(texts(overview).slice(0, 2)).toEqual(['3 live', '2 deployments run']);
  });

  it('says nothing without services, and says when it is not connected', () => {
    const { port, overview } = listening();
    expect(texts(overview)).toEqual([]);
    port.emit('overview', samples.overview);
    port.lose(samples.before(3));
    expect(texts(overview)).toEqual(['Not connected']);
  });
});

describe('notices', () => {
  it('come once for each deployment that ends, also for one that was never seen to run', () => {
    const { port, overview } = listening();
    const ended: Ended[] = [];
    port.emit('overview', { whole: true, workspaces: [samples.workspace()], models: [], services: [samples.serviceRow('a', 'deploying'), samples.serviceRow('b')] });
    watchEnds(overview, one => ended.push(one));
    port.emit('overview', { services: [samples.serviceRow('a', 'deploying', { note: 'Probe' })] });
    port.emit('overview', { services: [samples.serviceRow('a')] });
    port.emit('overview', { services: [samples.serviceRow('a', 'unhealthy')] });
    port.emit('overview', { services: [samples.serviceRow('b', 'live', { deployment: 'd-new' })] });
    expect(ended.map(one => one.deployment)).toEqual(['d-a', 'd-new']);
  });

  const ended = { service: 'diabetes-regression', workspace: 'w', deployment: 'd-1' };

  it('say what is live, after how long, and copy its address', async () => {
    const { port, overview } = listening();
    port.emit('overview', samples.overview);
    const copied: string[] = [];
    const notice = await describeEnd(overview, ended, words, async text => void copied.push(text));
    expect(notice).toMatchObject({ state: 'live', title: 'diabetes-regression is live', text: 'Kubernetes, revision 3, after 46.6 s' });
    expect(notice!.actions.map(one => one.label)).toEqual(['Open', 'Copy URI']);
    await notice!.actions[1]!.act();
    expect(copied).toEqual(['http://127.0.0.1:8902/score']);
  });

  it('say why a deployment failed, though the service is live as before, and retry it', async () => {
    const port = fakePort({ 'deployment.timeline': samples.failed, 'deployment.retry': { deployment: 'd-3' } });
    const notice = await describeEnd(new Overview(port), ended, words);
    expect(notice).toMatchObject({ title: 'diabetes-regression failed', text: 'Probe: init() could not read the model file' });
    await notice!.actions.find(one => one.label === 'Retry')!.act();
    expect(port.asked).toContainEqual({ name: 'deployment.retry', params: { deployment: 'd-1', workspace: 'w' } });
  });

  it('are none for a deployment in progress, and reject when its end cannot be read', async () => {
    const failure: Failure = { code: 'lost', error: 'No answer', cause: '', hint: '' };
    expect(await describeEnd(new Overview(fakePort({ 'deployment.timeline': samples.timeline() })), ended, words)).toBeNull();
    await expect(describeEnd(new Overview(fakePort({ 'deployment.timeline': failure })), ended, words)).rejects.toBe(failure);
  });
});
