import type { ServiceRef } from '../../protocol';
import type { Look } from '../words';
import { SERVICE_LOOKS } from '../words';
import { icon } from '../icons';
import { useOverview } from './use_overview';
import type { Overview } from './overview';
import { ENGLISH, type Translation, translated } from '../translation';
import { type Words, makeWords } from './words';

export interface StatusPart {
  look: Look;
  text: string;
  title: string;
  /** What a click shows: a service's panel, or the sidebar with this filter. */
  leads: { service: ServiceRef } | { filter: string };
}

/** What the status bar says: how many services are live, what is running, how many have failed. Empty when there are none. */
export function statusParts(overview: Overview, words: Words): StatusPart[] {
  const services = [...overview.services.values()];
  if (overview.lostSince) {
    return services.length ? [{ look: SERVICE_LOOKS.unknown, text: words.notConnected, title: words.showServices, leads: { filter: '' } }] : [];
  }
  const running = services.filter(service => service.deploying);
  const count = (state: 'live' | 'failed' | 'unhealthy') => services.filter(service => service.state === state && !service.deploying).length;
  const parts: StatusPart[] = [];
  const say = (state: 'live' | 'failed' | 'unhealthy', number: number, text: string) => {
    if (number) parts.push({ look: SERVICE_LOOKS[state], text, title: words.showServices, leads: { filter: words.states[state] } });
  };
  const live = services.filter(service => service.state === 'live' || service.state === 'updating').length;
  say('live', live, words.liveCount(live));
  const [first] = running;
  if (first) {
    const { service, workspace, state, note } = first;
    const text = running.length > 1 ? words.runningCount(running.length) : words.stageOf(translated(note) || words.states[state], service);
    const leads = running.length > 1 ? { filter: words.states[state] } : { service: { service, workspace } };
    parts.push({ look: { ...SERVICE_LOOKS[state], spin: state === 'deploying' }, text, title: running.length > 1 ? words.showServices : words.openPanel, leads });
  }
  say('unhealthy', count('unhealthy'), words.unhealthyCount(count('unhealthy')));
  say('failed', count('failed'), words.failedCount(count('failed')));
  return parts;
}

export interface StatusItemProps {
  overview: Overview;
  trans?: Translation;
  onLead: (leads: StatusPart['leads']) => void;
}

/** The item in the status bar. It is as wide as what it says, and nothing when there is nothing to say. */
export function StatusItem({ overview, trans = ENGLISH, onLead }: StatusItemProps) {
  useOverview(overview);
  return (
    <span class="mld mld-Statuses">
      {statusParts(overview, makeWords(trans)).map(part => (
        <button type="button" class="mld-Status" title={`${part.text}\n${part.title}`} key={part.look.word} onClick={() => onLead(part.leads)}>
          <span class="mld-State" data-state={part.look.state}>{icon(part.look.icon, { spin: part.look.spin })}</span>
          <bdi class="mld-Cut">{part.text}</bdi>
        </button>
      ))}
    </span>
  );
}
