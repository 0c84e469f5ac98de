import type { DeploymentState, Revision, Service, ServiceState, Stage, StageState, Timeline } from '../protocol';
import { clock, duration, elapsed, listed } from './format';
import type { IconName } from './icons';
import { msg, plural, t, translated } from './translation';

/**
 * Icon, the state that the style knows, and the word, to be translated. The word carries the meaning, the outline
 * repeats it.
 */
export interface Look { icon: IconName; state: string; word: string; spin?: boolean }

/** The style mostly knows a state by the name of its icon. */
const look = (icon: IconName, word: string, state: string = icon): Look => ({ icon, state, word });

const failed = look('failed', msg`Failed`);
const cancelled = look('cancelled', msg`Cancelled`);
const interrupted = look('interrupted', msg`Interrupted`);
const deploying = look('busy', msg`Deploying`, 'deploying');
const stopped = (word: string) => look('stopped', word);
const skipped = (word: string) => look('dash', word, 'skipped');
const unhealthy = look('warning', msg`Unhealthy`, 'degraded');
const unknown = look('unknown', msg`Unknown`);

export const STAGE_LOOKS: Record<StageState, Look> = {
  waiting: look('waiting', msg`Waiting`),
  running: { ...look('busy', msg`Running`, 'running'), spin: true },
  done: look('done', msg`Done`),
  failed,
  cancelled,
  interrupted,
  'not-reached': skipped(msg`Not reached`),
  'not-needed': skipped(msg`Not needed`),
};

export const DEPLOYMENT_LOOKS: Record<DeploymentState, Look> = {
  'not-started': skipped(msg`Not started`),
  deploying,
  updating: look('updating', msg`Updating`),
  live: look('live', msg`Live`),
  failed,
  cancelled,
  interrupted,
};

export const SERVICE_LOOKS: Record<ServiceState, Look> = {
  ...DEPLOYMENT_LOOKS,
  unhealthy,
  stopped: stopped(msg`Stopped`),
  deleted: skipped(msg`Deleted`),
  unknown,
};

export const HEALTH_LOOKS: Record<Service['health']['state'] | 'stopped', Look> = { healthy: look('done', msg`Healthy`), unhealthy, unknown, stopped: skipped(msg`Not running`) };

export const OUTCOME_LOOKS: Record<Revision['outcome'], Look> = {
  serving: look('live', msg`Serving`),
  kept: stopped(msg`Kept`),
  removed: skipped(msg`Removed`),
  failed,
  pending: deploying,
};

/** What happened to a service after it was live, by the kind of the event. */
export const EVENT_LOOKS: Record<string, Look> = {
  live: look('live', msg`Live`),
  unhealthy,
  died: look('failed', msg`Died`),
  stopped: stopped(msg`Stopped`),
  'worker-replaced': look('updating', msg`Worker replaced`),
};

export function isRunning(timeline: Timeline): boolean {
  return timeline.state === 'deploying' || timeline.state === 'updating';
}

/** Orders without a question, whose word is the button's. */
export const ORDER_WORDS = { restart: msg`Restart`, stop: msg`Stop`, start: msg`Start` };
export const SIMPLE = Object.keys(ORDER_WORDS) as (keyof typeof ORDER_WORDS)[];

/** The stage at which an ended deployment stands. */
export function endStage(timeline: Timeline): Stage | undefined {
  return timeline.stages.find(stage => stage.state === timeline.state);
}

/** `Failed in Probe`, `Deploying`. */
export function deploymentWord(timeline: Timeline): string {
  const word = translated(DEPLOYMENT_LOOKS[timeline.state].word);
  const stage = isRunning(timeline) ? undefined : endStage(timeline);
  return stage ? t`${word} in ${translated(stage.title)}` : word;
}

export function revisionWord(timeline: Timeline): string {
  if (isRunning(timeline)) return timeline.revision ? t`Revision ${timeline.revision}` : '';
  if (timeline.serving) return t`Revision ${timeline.serving} still serving`;
  return '';
}

/** What a stage's row says beside its name. */
export function stageDetail(stage: Stage, timeline: Timeline): string {
  if (stage.state === 'waiting') {
    if (stage.lastSeconds !== null) return t`Last time ${duration(stage.lastSeconds)}`;
    if (stage.id === 'switch' && timeline.serving) return t`From revision ${timeline.serving}`;
    return '';
  }
  if (stage.state === 'not-reached') {
    return stage.id === 'switch' && timeline.serving ? t`Not reached, traffic stays on revision ${timeline.serving}` : t`Not reached`;
  }
  if (stage.state === 'not-needed') return stage.detail || t`Not needed`;
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
    longest ? t`longest ${translated(longest.title)} ${duration(longest.seconds)}` : '',
    timeline.warnings ? plural(timeline.warnings, 'warning') : '',
  ];
  const took = duration(timeline.elapsedSeconds);
  return [timeline.operation === 'rollback' ? t`Rolled back in ${took}` : timeline.operation === 'update' ? t`Updated in ${took}` : t`Deployed in ${took}`, listed(...rest)];
}

/** What a screen reader hears when something changed: the last stages and the state. */
export function announcement(timeline: Timeline): string {
  if (!isRunning(timeline)) {
    const word = deploymentWord(timeline);
    return timeline.elapsedSeconds ? t`${word} after ${duration(timeline.elapsedSeconds)}.` : `${word}.`;
  }
  const done = timeline.stages.filter(stage => stage.state === 'done').at(-1);
  const now = timeline.stages.find(stage => stage.state === 'running');
  return [done && t`${translated(done.title)} done in ${duration(done.seconds)}.`, now && t`${translated(now.title)} started.`].filter(Boolean).join(' ');
}

/** What stands for time in the header: it counts while something runs. */
export function elapsedWord(timeline: Timeline, secondsSince: number): string {
  if (isRunning(timeline)) return elapsed(timeline.elapsedSeconds + secondsSince);
  return timeline.elapsedSeconds ? duration(timeline.elapsedSeconds) : '';
}

export function sinceWord(service: Service): string {
  return service.state === 'live' && service.since ? t`since ${clock(service.since)}` : '';
}
