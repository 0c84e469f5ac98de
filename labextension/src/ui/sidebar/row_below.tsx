/** What stands below a row: a question, what came of it, or the details of a model's version. */
import type { Port } from '../../protocol';
import { moment } from '../format';
import { FailureMessage, IconButton } from '../parts';
import { icon } from '../icons';
import type { Activities, Activity } from './activity';
import { NameQuestion } from './name_question';
import type { Row, ServiceRow, VersionRow } from './rows';
import type { Words } from './words';

interface BelowProps { row: Row; activity: Activity | undefined; activities: Activities; words: Words; port: Port; keep: (row: ServiceRow | VersionRow) => void; forget: (key: string) => void; focus: (key: string) => void; now: Date }

/** Null when there is nothing below the row. */
export function drawBelow(props: BelowProps) {
  const { row, activity, activities, words, forget, focus, now } = props;
  const dismiss = () => {
    activities.put(row.key, null);
    focus(row.key);
    forget(row.key);
  };
  const failure = activity?.failure ?? (row.kind === 'workspace' && row.open ? row.workspace.failure : null);
  const parts = [
    row.kind === 'version' && row.open ? <Details row={row} words={words} now={now} key="details" /> : null,
    activity?.question && (row.kind === 'service' || row.kind === 'version') ? <DeleteQuestion {...props} row={row} onNo={dismiss} key="question" /> : null,
    failure ? <FailureMessage failure={failure} onDismiss={activity?.failure ? dismiss : undefined} key="failure" /> : null,
    activity?.said ? (
      <div class="mld-Confirm" role="status" key="said">
        {icon('done')}
        <p class="mld-Grow">{activity.said}</p>
        <IconButton icon="close" label={words.dismiss} onClick={dismiss} />
      </div>
    ) : null,
  ].filter(part => part !== null);
  return parts.length ? <>{parts}</> : null;
}

function DeleteQuestion({ row, activities, words, port, keep, focus, onNo }: BelowProps & { row: ServiceRow | VersionRow; onNo: () => void }) {
  const { key } = row;
  if (row.kind === 'version') {
    const { id } = row.version;
    const remove = (confirm: string) => {
      keep(row);
      focus(key);
      activities.run(key, words.deleting, () => port.request('model.delete', { model: id, workspace: row.model.workspace, confirm }), ({ text }) => ({ said: text || words.nothingLeft }));
    };
    return <NameQuestion name={id} question={words.askDeleteVersion(id)} yes={words.deleteVersion} words={words} onYes={remove} onNo={onNo} />;
  }
  const { service, workspace } = row.service;
  const remove = (confirm: string) => {
    keep(row);
    focus(key);
    activities.run(key, words.deleting, () => port.request('service.delete', { service, workspace, confirm }), ({ text, left }) =>
      left.length
        ? { failure: { code: 'left', error: words.notAllGone, cause: words.left(left.join(', ')), hint: words.deleteAgain } }
        : { said: [text, words.nothingLeft].filter(Boolean).join(' ') },
    );
  };
  return <NameQuestion name={service} question={words.askDeleteService(service)} yes={words.deleteService} words={words} onYes={remove} onNo={onNo} />;
}

function Details({ row: { version }, words, now }: { row: VersionRow; words: Words; now: Date }) {
  const tags = Object.entries(version.tags).map(([key, value]) => (value ? `${key}=${value}` : key));
  const facts: [string, string][] = [
    [words.description, version.description],
    [words.tags, tags.join(', ')],
    [words.framework, version.framework],
    [words.created, moment(version.created, now)],
    [words.usedByLabel, version.usedBy.join(', ')],
  ];
  return (
    <dl class="mld-Details">
      {facts.filter(([, value]) => value).map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd><bdi>{value}</bdi></dd>
        </div>
      ))}
    </dl>
  );
}
