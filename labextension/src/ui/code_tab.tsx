import { useState } from 'preact/hooks';
import type { CodeSample, Service } from '../protocol';
import { Highlighted } from './highlight';
import { Icon } from './icons';
import { Button, CopyButton, FailureMessage, Segments } from './parts';
import { usePort, useRequest } from './port_context';

/** Code that calls the service and runs as it stands. The key is never in it. */
export function CodeTab({ service }: { service: Service }) {
  const port = usePort();
  const ref = { service: service.service, workspace: service.workspace };
  const { answer, failure, busy } = useRequest('service.code', ref, `${service.revision} ${service.scoringUri} ${service.auth}`);
  const [language, setLanguage] = useState<CodeSample['language']>('python');
  if (!answer) return failure ? <FailureMessage failure={failure} /> : <p class="mld-Pane mld-Muted">{busy ? 'Writing the code…' : ''}</p>;
  const sample = answer.find(one => one.language === language) ?? answer[0];
  if (!sample) return null;
  const key = async () => {
    const keys = await port.request('service.keys', ref);
    return keys.primary || keys.token;
  };
  return (
    <div class="mld-Pane mld-Stack">
      <div class="mld-Row">
        <Segments label="Language" value={sample.language} options={answer.map(one => [one.language, one.title])} onPick={setLanguage} />
        <span class="mld-Grow" />
        {port.insertCell && sample.language === 'python' ? <Button optional onClick={() => port.insertCell?.(sample.text)}><Icon name="insert" />Insert as cell</Button> : null}
        <CopyButton label="Copy the code" copy={() => sample.text} />
      </div>
      <pre class="mld-Code" tabIndex={0} role="group" aria-label={`${sample.title} code`}><Highlighted text={sample.text} language={sample.language} /></pre>
      {sample.note ? <p class="mld-Muted">{sample.note}</p> : null}
      {service.auth === 'none' ? null : (
        <p class="mld-Muted">The {service.auth} is read from <code>SCORING_KEY</code>; it is never written into code. <CopyButton link label={`Copy the ${service.auth}`} copy={key}>Copy the {service.auth}</CopyButton></p>
      )}
    </div>
  );
}
