import type { ServiceSummary, Timeline } from '../../protocol';
import { duration } from '../format';
import { writeClipboard } from '../parts';
import { endStage } from '../words';
import { keyOf, type Overview, type ServiceChange } from './overview';
import { translated } from '../translation';
import type { Words } from './words';

export interface Ended { service: string; workspace: string; deployment: string }

export interface NoticeAction {
  label: string;
  act: () => unknown;
}

/** What a notice says of a deployment that ended. The title is one line, the text another. */
export interface Notice {
  state: 'live' | 'failed' | 'cancelled' | 'interrupted';
  title: string;
  text: string;
  actions: NoticeAction[];
}

/** Calls `onEnd` for every deployment that ends from now on, once. Returns what ends it. */
export function watchEnds(overview: Overview, onEnd: (ended: Ended) => void): () => void {
  return overview.listen(changes => {
    for (const change of changes) if (hasEnded(change)) onEnd(reference(change.now!));
  });
}

function hasEnded({ before, now }: ServiceChange): boolean {
  if (!now || now.deploying || !now.deployment) return false;
  // It ran a moment ago, or it is so short that it was never seen to run.
  return before?.deployment === now.deployment ? before.deploying : true;
}

const reference = ({ service, workspace, deployment }: ServiceSummary): Ended => ({ service, workspace, deployment });

/**
 * The notice of a deployment that ended, or null when it is not over. Rejects with a Failure when its end cannot be read.
 * `copy` writes to the clipboard.
 */
export async function describeEnd(overview: Overview, ended: Ended, words: Words, copy: (text: string) => Promise<void> = writeClipboard): Promise<Notice | null> {
  const { service, workspace, deployment } = ended;
  const { port } = overview;
  const timeline = await port.request('deployment.timeline', { deployment, workspace });
  if (timeline.state === 'deploying' || timeline.state === 'updating' || timeline.state === 'not-started') return null;
  const actions: NoticeAction[] = [];
  const scoringUri = overview.services.get(keyOf(workspace, service))?.scoringUri;
  if (port.openPanel) actions.push({ label: words.open, act: () => port.openPanel?.({ service, workspace }) });
  if (timeline.state === 'live' && scoringUri) actions.push({ label: words.copyUri, act: () => copy(scoringUri) });
  if (timeline.state !== 'live' && timeline.can.includes('retry')) actions.push({ label: words.retry, act: () => port.request('deployment.retry', { deployment, workspace }) });
  const titles = { live: words.isLive, failed: words.hasFailed, cancelled: words.wasCancelled, interrupted: words.wasInterrupted };
  return { state: timeline.state, title: titles[timeline.state](service), text: detail(timeline, words), actions };
}

function detail(timeline: Timeline, words: Words): string {
  if (timeline.state === 'live') return words.afterTime(translated(timeline.targetTitle), timeline.revision, duration(timeline.elapsedSeconds));
  const what = timeline.cause?.what ?? timeline.message;
  const stage = translated(endStage(timeline)?.title ?? '');
  return stage && what ? `${stage}: ${what}` : what || stage || '';
}
