import { cleanup, render, screen, within } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import type { DeploymentState, ServiceState, StageState } from '../protocol';
import { fakePort } from '../testing/fake_port';
import * as samples from '../testing/samples';
import { Panel } from './panel';
import { announcement, elapsedWord, stageDetail, summary } from './words';

afterEach(cleanup);

/** The header's word and the state that its icon is coloured by. */
async function header(container: Element, word: string) {
  await screen.findByText(word, { selector: '.mld-Word *' });
  return container.querySelector('.mld-Head > .mld-State')!.getAttribute('data-state');
}

describe('a deployment', () => {
  const words: Record<DeploymentState, [string, string]> = {
    'not-started': ['Not started', 'skipped'],
    deploying: ['Deploying', 'deploying'],
    updating: ['Updating', 'updating'],
    live: ['Live', 'live'],
    failed: ['Failed in Probe', 'failed'],
    cancelled: ['Cancelled in Roll out', 'cancelled'],
    interrupted: ['Interrupted in Push image', 'interrupted'],
  };
  const reached: Partial<Record<DeploymentState, [number, StageState]>> = { failed: [5, 'failed'], cancelled: [4, 'cancelled'], interrupted: [3, 'interrupted'] };

  it.each(Object.entries(words))('that is %s is called so', async (state, [word, look]) => {
    const [at, stage] = reached[state as DeploymentState] ?? [state === 'live' ? 7 : 3, 'running'];
    const port = fakePort();
    port.emit('deployment', { timeline: samples.timeline({ state: state as DeploymentState, stages: samples.stages(at, stage, 'not-reached') }) });
    const { container } = render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    expect(await header(container, word)).toBe(look);
    expect(container.querySelector('section')!.getAttribute('aria-label')).toBe(`diabetes-regression, ${word.toLowerCase()}`);
  });
});

describe('a stage', () => {
  const words: Record<StageState, string> = {
    waiting: 'Waiting', running: 'Running', done: 'Done', failed: 'Failed', cancelled: 'Cancelled', interrupted: 'Interrupted',
    'not-reached': 'Not reached', 'not-needed': 'Not needed',
  };

  it.each(Object.entries(words))('that is %s is called so, and has an outline of its own', async (state, word) => {
    const port = fakePort();
    const stages = samples.stages(3, state as StageState);
    port.emit('deployment', { timeline: samples.timeline({ stages }) });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    const row = (await screen.findAllByRole('listitem'))[3]!;
    expect(within(row).getByRole('button').textContent).toBe(`Push image, ${word.toLowerCase()}`);
    expect(row.getAttribute('aria-current')).toBe(state === 'running' || state === 'failed' ? 'step' : null);
    expect(row.querySelector('svg')!.children.length).toBeGreaterThan(0);
  });

  it('says what stands beside its name', () => {
    const [waiting, , environment] = samples.stages(2, 'done');
    const timeline = samples.timeline();
    expect(stageDetail({ ...waiting!, state: 'waiting', lastSeconds: 38.2 }, timeline)).toBe('Last time 38.2 s');
    expect(stageDetail({ ...waiting!, id: 'switch', state: 'waiting', lastSeconds: null }, timeline)).toBe('From revision 2');
    expect(stageDetail({ ...waiting!, id: 'switch', state: 'not-reached' }, timeline)).toBe('Not reached, traffic stays on revision 2');
    expect(stageDetail({ ...waiting!, state: 'not-needed', detail: '' }, timeline)).toBe('Not needed');
    expect(stageDetail({ ...environment!, detail: '8 layers', warnings: 2 }, timeline)).toBe('8 layers, 2 warnings');
    expect(stageDetail({ ...environment!, detail: 'with 1 warning', warnings: 1 }, timeline)).toBe('with 1 warning');
  });
});

describe('a service', () => {
  const words: Record<ServiceState, [string, string]> = {
    deploying: ['Deploying', 'deploying'], updating: ['Updating', 'updating'], live: ['Live', 'live'], unhealthy: ['Unhealthy', 'degraded'],
    failed: ['Failed', 'failed'], cancelled: ['Cancelled', 'cancelled'], stopped: ['Stopped', 'stopped'], deleted: ['Deleted', 'skipped'], unknown: ['Unknown', 'unknown'],
  };

  it.each(Object.entries(words))('that is %s is called so', async (state, [word, look]) => {
    const port = fakePort();
    port.emit('service', { service: samples.service({ state: state as ServiceState, deployment: '' }) });
    const { container } = render(<Panel port={port} service="diabetes-regression" />);
    expect(await header(container, word)).toBe(look);
  });
});

describe('what is said of a deployment', () => {
  it('names what took longest, and what it was', () => {
    expect(summary(samples.live)).toEqual(['Updated in 46.6 s', '7 stages, longest Build image 38.2 s, 1 warning']);
    expect(summary({ ...samples.live, operation: 'rollback', warnings: 0 })[0]).toBe('Rolled back in 46.6 s');
    expect(summary({ ...samples.live, operation: 'deploy' })[0]).toBe('Deployed in 46.6 s');
  });

  it('is announced with the last stage and the next, then with the end', () => {
    expect(announcement(samples.timeline())).toBe('Build image done in 38.2 s. Push image started.');
    expect(announcement(samples.failed)).toBe('Failed in Probe after 58.3 s.');
  });

  it('counts while it runs', () => {
    expect([elapsedWord(samples.timeline(), 3.2), elapsedWord(samples.live, 3.2)]).toEqual(['51 s', '46.6 s']);
  });
});
