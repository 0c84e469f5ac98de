import { useEffect, useState } from 'preact/hooks';
import type { Stage, Timeline } from '../protocol';
import { capital, duration, elapsed } from './format';
import { icon } from './icons';
import { t, translated } from './translation';
import { STAGE_LOOKS, stageDetail } from './words';

/** All stages, one row each from the start, so that nothing moves while they run. A click leads to the stage's log. */
export function Stages({ timeline, secondsSince, onPick }: { timeline: Timeline; secondsSince: number; onPick: (stage: string) => void }) {
  return (
    <ol class="mld-Stages" aria-label={t`Stages`}>
      {timeline.stages.map(stage => <StageRow key={stage.id} stage={stage} timeline={timeline} secondsSince={secondsSince} onPick={onPick} />)}
    </ol>
  );
}

function StageRow({ stage, timeline, secondsSince, onPick }: { stage: Stage; timeline: Timeline; secondsSince: number; onPick: (stage: string) => void }) {
  const look = STAGE_LOOKS[stage.state];
  const told = stageDetail(stage, timeline);
  const detail = stage.state === 'running' ? told : capital(told); // a running one may say what the script prints
  const current = stage.state === 'running' || stage.state === 'failed';
  const time = stage.state === 'running' ? elapsed((stage.seconds ?? 0) + secondsSince) : duration(stage.seconds);
  return (
    <li class="mld-Stage" data-state={look.state} aria-current={current ? 'step' : undefined}>
      {icon(look.icon, { spin: look.spin })}
      <button type="button" class="mld-Stage-name" onClick={() => onPick(stage.id)}>
        {translated(stage.title)}
        <span class="mld-VisuallyHidden">, {translated(look.word).toLowerCase()}</span>
      </button>
      <span class="mld-Stage-detail mld-Cut" title={detail}><bdi>{detail}</bdi></span>
      {stage.state === 'running' && <Progress stage={stage} />}
      {time && stage.state !== 'waiting' && <span class="mld-Stage-time"><bdi>{time}</bdi></span>}
    </li>
  );
}

function Progress({ stage }: { stage: Stage }) {
  const percent = stage.fraction === null ? null : Math.round(Math.min(1, Math.max(0, stage.fraction)) * 100);
  if (percent === null) return null;
  return (
    <span class="mld-Progress">
      <span class="mld-Bar" role="progressbar" aria-label={translated(stage.title)} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
        <i class="mld-Bar-fill" style={{ inlineSize: `${percent}%` }} />
      </span>
      <span class="mld-Num"><bdi>{percent} %</bdi></span>
    </span>
  );
}

/** Seconds since `key` changed, once a second while `running`: times continue between two messages. */
export function useSecondsSince(key: unknown, running: boolean): number {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    setSeconds(0);
    if (!running) return undefined;
    const start = performance.now();
    const timer = setInterval(() => setSeconds((performance.now() - start) / 1000), 1000);
    return () => clearInterval(timer);
  }, [key, running]);
  return seconds;
}
