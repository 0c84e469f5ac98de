import { useEffect, useState } from 'preact/hooks';
import type { Begun, Form, Port } from '../../protocol';
import { FormPanel } from './form';
import { icon } from '../icons';
import { Panel } from '../panel';
import { Button } from '../parts';
import { t } from '../translation';

export interface FormPlaceProps {
  port: Port;
  form: Form['form'];
  service: string;
  workspace: string;
  /** The id of the output that it stands in, in a notebook. */
  output?: string | undefined;
  given?: Record<string, unknown>;
  onBegun: (begun: Begun) => void;
}

/** A form where its output is; once it was sent, the panel of what it deployed stands there. */
export function FormPlace({ port, form, service, workspace, output, given, onBegun }: FormPlaceProps) {
  const [begun, setBegun] = useState<Begun>();
  const [deploying, setDeploying] = useState(false);
  const show = (all: Begun) => {
    setBegun(all);
    onBegun(all);
  };
  // Another page may have sent the form, or this one before it was loaded again.
  useEffect(() => (output ? port.onBegun?.(output, show) : undefined), [port, output]);
  if (begun?.deployment) return <Panel port={port} service={begun.service} workspace={begun.workspace} deployment={begun.deployment} begins />;
  const kind = deploying ? 'deploy' : form;
  if (begun && !deploying) {
    return (
      <section class="mld mld-Panel" aria-label={t`${begun.model}, registered`}>
        <div class="mld-Foot">
          <span class="mld-State" data-state="done">{icon('done')}</span>
          <span class="mld-Grow" role="status"><bdi>{t`${begun.model} is registered.`}</bdi></span>
          <Button onClick={() => setDeploying(true)}>{t`Deploy it…`}</Button>
        </div>
      </section>
    );
  }
  return (
    <FormPanel
      key={kind}
      port={port}
      form={kind}
      service={service}
      workspace={workspace}
      output={output}
      given={begun ? { models: [begun.model] } : given}
      onBegun={answer => show({ ...answer, workspace })}
    />
  );
}
