import { useState } from 'preact/hooks';
import type { Revision, Service } from '../protocol';
import { duration, exact, moment } from './format';
import { icon } from './icons';
import { Awaited, Button, Confirm, FailureMessage, Scroll } from './parts';
import { refOf, useOrder, usePort, useRequest } from './port_context';
import { t, translated } from './translation';
import { EVENT_LOOKS, OUTCOME_LOOKS, SERVICE_LOOKS } from './words';

const MOST_EVENTS = 20; // shown; the file has more

/** Every revision, newest first. A rollback is asked in place, and says what serves meanwhile. */
export function History({ service, onBegun }: { service: Service; onBegun: (deployment: string) => void }) {
  const port = usePort();
  const ref = refOf(service);
  const { answer, failure } = useRequest('service.history', ref, `${service.deployment} ${service.revision} ${service.state}`);
  const [asked, setAsked] = useState(0);
  const [told, setTold] = useState(0); // the revision whose receipt is shown
  const rollback = useOrder();
  if (!answer?.length) return <Awaited failure={failure}>{answer ? t`Each deployment that goes live will be a row here.` : t`Reading the revisions…`}</Awaited>;
  const canRollBack = service.can.includes('rollback');
  const question = (revision: Revision) =>
    [
      t`Roll back to revision ${revision.models.length ? `${revision.number} (${revision.models.join(', ')})` : revision.number}?`,
      revision.seconds !== null && t`Takes about ${duration(revision.seconds)}.`,
      t`Revision ${service.revision} serves until revision ${revision.number} is ready.`,
    ].filter(Boolean).join(' ');
  const act = (revision: Revision) =>
    rollback.order('rollback', () => port.request('service.rollback', { ...ref, revision: revision.number }), begun => {
      setAsked(0);
      onBegun(begun.deployment);
    });
  return (
    <>
      <Scroll label={t`Revisions`}>
        <table class="mld-Table mld-mod-tall">
          <thead>
            <tr>
              <th scope="col">{t`Revision`}</th><th scope="col">{t`State`}</th><th scope="col">{t`Model`}</th>
              <th scope="col" class="mld-mod-optional mld-mod-spare">{t`Bundle`}</th><th scope="col" class="mld-mod-optional">{t`Changed`}</th>
              <th scope="col">{t`Deployed`}</th><th scope="col" class="mld-Num mld-mod-optional">{t`Took`}</th>
              <th scope="col"><span class="mld-VisuallyHidden">{t`Action`}</span></th>
            </tr>
          </thead>
          <tbody>
            {answer.map(revision => (
              <>
                <tr key={revision.number}>
                  <th scope="row">{revision.number}</th>
                  <td><Outcome revision={revision} /></td>
                  <td class="mld-Cut" title={revision.models.join(', ')}>{revision.models.join(', ') || '–'}</td>
                  <td class="mld-mod-optional mld-mod-spare"><code title={revision.bundleDigest}>{revision.bundleDigest.slice(0, 8)}</code></td>
                  <td class="mld-mod-optional mld-Cut" title={revision.changed.join(', ')}>{revision.changed.slice(0, 2).join(', ')}{revision.changed.length > 2 ? t`, ${revision.changed.length - 2} more` : ''}</td>
                  <td title={exact(revision.created)}>{moment(revision.created)}</td>
                  <td class="mld-Num mld-mod-optional">{duration(revision.seconds)}</td>
                  <td class="mld-Num">
                    {!!revision.receipt?.length && <Button expanded={told === revision.number} onClick={() => setTold(told === revision.number ? 0 : revision.number)}>{t`Receipt`}</Button>}
                    {canRollBack && revision.outcome === 'kept' && <Button expanded={asked === revision.number} onClick={() => setAsked(asked === revision.number ? 0 : revision.number)}>{t`Roll back`}</Button>}
                  </td>
                </tr>
                {told === revision.number && !!revision.receipt?.length && (
                  <tr>
                    <td colSpan={8}>
                      <dl class="mld-Pairs" aria-label={t`Receipt of revision ${revision.number}`}>
                        {revision.receipt.map(fact => <><dt>{translated(fact.label)}</dt><dd><bdi>{fact.value}</bdi></dd></>)}
                      </dl>
                    </td>
                  </tr>
                )}
                {asked === revision.number && (
                  <tr>
                    <td colSpan={8}>
                      <Confirm label={t`Roll back to revision ${revision.number}`} question={question(revision)} yes={t`Roll back to ${revision.number}`} no={t`Keep revision ${service.revision}`} busy={rollback.busy !== ''} onYes={() => act(revision)} onNo={() => setAsked(0)} />
                    </td>
                  </tr>
                )}
              </>
            ))}
          </tbody>
        </table>
      </Scroll>
      <FailureMessage failure={rollback.failure} onDismiss={rollback.dismiss} />
      <Events service={service} />
    </>
  );
}

/** What happened since it was live; it is asked for again when the state changes, and once a minute. */
function Events({ service }: { service: Service }) {
  const { state, checked } = service.health;
  const { answer } = useRequest('service.events', refOf(service), `${service.state} ${state} ${checked.slice(0, 16)}`);
  if (!answer?.length) return null;
  return (
    <div class="mld-Pane mld-Stack">
      <h4 class="mld-H">{t`What happened while it was live`}</h4>
      <dl class="mld-Pairs">
        {answer.slice(0, MOST_EVENTS).map(event => {
          const look = EVENT_LOOKS[event.kind] ?? SERVICE_LOOKS.unknown;
          return <><dt title={exact(event.time)}>{moment(event.time)}</dt><dd class="mld-Cut"><span class="mld-State" data-state={look.state}>{icon(look.icon)}{translated(look.word)}</span> <span class="mld-Muted">{translated(event.text)}</span></dd></>;
        })}
      </dl>
    </div>
  );
}

function Outcome({ revision }: { revision: Revision }) {
  const look = OUTCOME_LOOKS[revision.outcome];
  const again = revision.rolledBackTo ? t`, revision ${revision.rolledBackTo} again` : '';
  return <span class="mld-State" data-state={look.state}>{icon(look.icon)}{translated(look.word)}{again}</span>;
}
