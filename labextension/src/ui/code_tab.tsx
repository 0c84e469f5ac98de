import { useState } from 'preact/hooks';
import type { CodeSample, Service } from '../protocol';
import { Highlighted } from './highlight';
import { icon } from './icons';
import { Awaited, Button, CopyButton, Segments } from './parts';
import { readKey, refOf, usePort, useRequest } from './port_context';

/** Code that calls the service and runs as it stands. The key is never in it. */
export function CodeTab({ service }: { service: Service }) {
  const port = usePort();
  const { answer, failure } = useRequest('service.code', refOf(service), `${service.revision} ${service.scoringUri} ${service.auth}`);
  const [language, setLanguage] = useState<CodeSample['language']>('python');
  if (!answer) return <Awaited failure={failure}>Writing the code…</Awaited>;
  const sample = answer.find(one => one.language === language) ?? answer[0];
  if (!sample) return null;
  return (
    <div class="mld-Pane mld-Stack">
      <div class="mld-Row">
        <Segments label="Language" value={sample.language} options={answer.map(one => [one.language, one.title])} onPick={setLanguage} />
        <span class="mld-Grow" />
        {port.insertCell && sample.language === 'python' && <Button optional onClick={() => port.insertCell?.(sample.text)}>{icon('insert')}Insert as cell</Button>}
        <CopyButton label="Copy the code" copy={() => sample.text} />
      </div>
      <pre class="mld-Code" tabIndex={0} role="group" aria-label={`${sample.title} code`}><Highlighted text={sample.text} language={sample.language} /></pre>
      {sample.note && <p class="mld-Muted">{sample.note}</p>}
      {service.auth === 'none' ? null : (
        <p class="mld-Muted">The {service.auth} is read from <code>SCORING_KEY</code>; it is never written into code. <CopyButton link label={`Copy the ${service.auth}`} copy={() => readKey(port, service)}>Copy the {service.auth}</CopyButton></p>
      )}
    </div>
  );
}
