import type { DeploymentState, Revision, Service, ServiceState, Stage, StageState, Timeline } from '../protocol';
import { clock, duration, elapsed, plural, listed } from './format';
import type { IconName } from './icons';

/** Icon, the state that the style knows, and the word. The word carries the meaning, the outline repeats it. */
export interface Look { icon: IconName; state: string; word: string; spin?: boolean }

/** The style mostly knows a state by the name of its icon. */
const look = (icon: IconName, word: string, state: string = icon): Look => ({ icon, state, word });

const failed = look('failed', 'Failed');
const cancelled = look('cancelled', 'Cancelled');
const interrupted = look('interrupted', 'Interrupted');
const deploying = look('busy', 'Deploying', 'deploying');
const stopped = (word: string) => look('stopped', word);
const skipped = (word: string) => look('dash', word, 'skipped');
const unhealthy = look('warning', 'Unhealthy', 'degraded');
const unknown = look('unknown', 'Unknown');

export const STAGE_LOOKS: Record<StageState, Look> = {
  waiting: look('waiting', 'Waiting'),
  running: { ...look('busy', 'Running', 'running'), spin: true },
  done: look('done', 'Done'),
  failed,
  cancelled,
  interrupted,
  'not-reached': skipped('Not reached'),
  'not-needed': skipped('Not needed'),
};

export const DEPLOYMENT_LOOKS: Record<DeploymentState, Look> = {
  'not-started': skipped('Not started'),
  deploying,
  updating: look('updating', 'Updating'),
  live: look('live', 'Live'),
  failed,
  cancelled,
  interrupted,
};

export const SERVICE_LOOKS: Record<ServiceState, Look> = {
  ...DEPLOYMENT_LOOKS,
  unhealthy,
  stopped: stopped('Stopped'),
  deleted: skipped('Deleted'),
  unknown,
};

export const HEALTH_LOOKS: Record<Service['health']['state'] | 'stopped', Look> = { healthy: look('done', 'Healthy'), unhealthy, unknown, stopped: skipped('Not running') };

export const OUTCOME_LOOKS: Record<Revision['outcome'], Look> = {
  serving: look('live', 'Serving'),
  kept: stopped('Kept'),
  removed: skipped('Removed'),
  failed,
  pending: deploying,
};

export function isRunning(timeline: Timeline): boolean {
  return timeline.state === 'deploying' || timeline.state === 'updating';
}

/** Orders without a question, whose word is the button's. */
export const SIMPLE = ['restart', 'stop', 'start'] as const;

/** The stage at which an ended deployment stands. */
export function endStage(timeline: Timeline): Stage | undefined {
  return timeline.stages.find(stage => stage.state === timeline.state);
}

/** `Failed in Probe`, `Deploying`. */
export function deploymentWord(timeline: Timeline): string {
  const { word } = DEPLOYMENT_LOOKS[timeline.state];
  const stage = isRunning(timeline) ? undefined : endStage(timeline);
  return stage ? `${word} in ${stage.title}` : word;
}

export function revisionWord(timeline: Timeline): string {
  if (isRunning(timeline)) return timeline.revision ? `Revision ${timeline.revision}` : '';
  if (timeline.serving) return `Revision ${timeline.serving} still serving`;
  return '';
}

/** What a stage's row says beside its name. */
export function stageDetail(stage: Stage, timeline: Timeline): string {
  if (stage.state === 'waiting') {
    if (stage.lastSeconds !== null) return `Last time ${duration(stage.lastSeconds)}`;
    if (stage.id === 'switch' && timeline.serving) return `From revision ${timeline.serving}`;
    return '';
  }
  if (stage.state === 'not-reached') {
    return stage.id === 'switch' && timeline.serving ? `Not reached, traffic stays on revision ${timeline.serving}` : 'Not reached';
  }
  if (stage.state === 'not-needed') return stage.detail || 'Not needed';
  const warnings = stage.warnings ? plural(stage.warnings, 'warning') : '';
  const said = stage.detail.includes(warnings);
  return listed(stage.detail, !said && warnings);
}

/** `Deployed in 46.6 s` and `7 stages, longest Build image 38.2 s, 1 warning`. */
export function summary(timeline: Timeline): [string, string] {
  const ran = timeline.stages.filter(stage => stage.seconds !== null && stage.state !== 'not-needed');
  const longest = ran.reduce<Stage | null>((most, stage) => ((stage.seconds ?? 0) > (most?.seconds ?? -1) ? stage : most), null);
  const rest = [
    plural(ran.length, 'stage'),
    longest ? `longest ${longest.title} ${duration(longest.seconds)}` : '',
    timeline.warnings ? plural(timeline.warnings, 'warning') : '',
  ];
  const verb = timeline.operation === 'rollback' ? 'Rolled back' : timeline.operation === 'update' ? 'Updated' : 'Deployed';
  return [`${verb} in ${duration(timeline.elapsedSeconds)}`, listed(...rest)];
}

/** What a screen reader hears when something changed: the last stages and the state. */
export function announcement(timeline: Timeline): string {
  if (!isRunning(timeline)) {
    const took = timeline.elapsedSeconds ? ` after ${duration(timeline.elapsedSeconds)}` : '';
    return `${deploymentWord(timeline)}${took}.`;
  }
  const done = timeline.stages.filter(stage => stage.state === 'done').at(-1);
  const now = timeline.stages.find(stage => stage.state === 'running');
  return [done && `${done.title} done in ${duration(done.seconds)}.`, now && `${now.title} started.`].filter(Boolean).join(' ');
}

/** What stands for time in the header: it counts while something runs. */
export function elapsedWord(timeline: Timeline, secondsSince: number): string {
  if (isRunning(timeline)) return elapsed(timeline.elapsedSeconds + secondsSince);
  return timeline.elapsedSeconds ? duration(timeline.elapsedSeconds) : '';
}

export function sinceWord(service: Service): string {
  return service.state === 'live' && service.since ? `since ${clock(service.since)}` : '';
}
