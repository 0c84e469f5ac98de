/** Every text of the sidebar, the status item and the notices. `trans` is JupyterLab's bundle of translations. */
import type { ServiceState } from '../../protocol';
import type { Translation } from '../translation';

export type Words = ReturnType<typeof makeWords>;

export function makeWords(trans: Translation) {
  const states: Record<ServiceState, string> = {
    deploying: trans.__('Deploying'),
    updating: trans.__('Updating'),
    live: trans.__('Live'),
    unhealthy: trans.__('Unhealthy'),
    failed: trans.__('Failed'),
    cancelled: trans.__('Cancelled'),
    stopped: trans.__('Stopped'),
    deleted: trans.__('Deleted'),
    unknown: trans.__('Unknown'),
  };
  const past: Record<ServiceState, string> = {
    deploying: trans.__('Was deploying'),
    updating: trans.__('Was updating'),
    live: trans.__('Was live'),
    unhealthy: trans.__('Was unhealthy'),
    failed: trans.__('Had failed'),
    cancelled: trans.__('Was cancelled'),
    stopped: trans.__('Was stopped'),
    deleted: trans.__('Was deleted'),
    unknown: trans.__('Unknown'),
  };
  return {
    states,
    past,
    services: trans.__('Services'),
    models: trans.__('Models'),
    lastKnown: (list: string) => trans.__('%1, last known', list),
    filter: trans.__('Filter by name, state, model or tag'),
    filterShort: trans.__('Filter'),
    clearFilter: trans.__('Clear the filter'),
    found: (services: number, models: number) => trans.__('%1, %2', trans._n('%1 service', '%1 services', services), trans._n('%1 model', '%1 models', models)),
    countOf: (shown: number, all: number) => (shown === all ? String(all) : trans.__('%1 of %2', shown, all)),
    versions: (count: number) => trans._n('%1 version', '%1 versions', count),
    inServices: (count: number) => trans._n('in %1 service', 'in %1 services', count),
    revision: (number: number) => trans.__('Revision %1', number),
    nothingFits: (text: string) => trans.__('Nothing fits “%1”.', text),
    noServiceFits: trans.__('No service fits.'),
    noModelFits: trans.__('No model fits.'),
    loading: trans.__('Looking for services…'),

    // buttons of the sections
    deployModel: trans.__('Deploy a model'),
    deployModelAsk: trans.__('Deploy a model…'),
    registerModel: trans.__('Register a model'),
    registerModelAsk: trans.__('Register a model…'),
    refresh: trans.__('Refresh'),
    notConnected: trans.__('Not connected'),

    // empty and disconnected
    noServices: trans.__('No services yet'),
    noServicesHint: trans.__('A service made in any notebook or terminal shows up here.'),
    noModels: trans.__('No models yet'),
    noModelsHint: trans.__('Right-click a model file in the file browser, or register one here.'),
    noModelsHintOnly: trans.__('A model that is registered in any notebook or terminal shows up here.'),
    noAnswer: (since: string) => trans.__('No answer from the Jupyter server since %1. States below are from then; services keep running.', since),
    noAnswerYet: (since: string) => trans.__('No answer from the Jupyter server since %1. Services keep running.', since),
    tryNow: trans.__('Try now'),
    nextTry: (seconds: number) => trans.__('next try in %1 s', seconds),
    reading: trans.__('Reading…'),
    unreadable: trans.__('Unreadable'),

    // actions
    more: trans.__('More actions'),
    actionsOf: (name: string) => trans.__('Actions of %1', name),
    openPanel: trans.__('Open panel'),
    test: trans.__('Test'),
    logs: trans.__('Logs'),
    copyUri: trans.__('Copy URI'),
    copyCurl: trans.__('Copy as curl'),
    copyId: trans.__('Copy id'),
    insertCell: trans.__('Insert a cell'),
    cancel: trans.__('Cancel deployment'),
    start: trans.__('Start'),
    restart: trans.__('Restart'),
    stop: trans.__('Stop'),
    deleteAsk: trans.__('Delete…'),
    deployAsk: trans.__('Deploy…'),
    registerVersionAsk: trans.__('Register new version…'),
    deleteVersionAsk: trans.__('Delete version…'),
    showDetails: trans.__('Show details'),
    hideDetails: trans.__('Hide details'),

    // what happens in a row
    cancelling: trans.__('Cancelling…'),
    starting: trans.__('Starting…'),
    restarting: trans.__('Restarting…'),
    stopping: trans.__('Stopping…'),
    deleting: trans.__('Deleting…'),
    copied: trans.__('Copied'),
    inserted: trans.__('Inserted'),
    couldNotCopy: trans.__('Could not copy'),
    dismiss: trans.__('Dismiss'),
    keep: trans.__('Keep'),
    deleteService: trans.__('Delete service'),
    deleteVersion: trans.__('Delete version'),
    askDeleteService: (name: string) => trans.__('Delete %1 and its revisions? Models stay registered. Type the name to confirm.', name),
    askDeleteVersion: (id: string) => trans.__('Delete %1? Its number is not used again. Type its id to confirm.', id),
    nothingLeft: trans.__('Nothing is left of it.'),
    notAllGone: trans.__('Not everything is gone'),
    left: (what: string) => trans.__('Left: %1', what),
    deleteAgain: trans.__('Delete it again'),
    inUse: (id: string, count: number) => trans._n('%2 is used by %1 service', '%2 is used by %1 services', count, id),
    usedBy: (services: string) => trans.__('In use: %1', services),
    inUseHint: trans.__('Update or delete these services first'),

    // details of a model's version
    framework: trans.__('Framework'),
    created: trans.__('Registered'),
    usedByLabel: trans.__('Used by'),
    tags: trans.__('Tags'),
    description: trans.__('Description'),
    none: trans.__('none'),

    // announced
    nowIs: (service: string, state: string) => trans.__('%1: %2', service, state),
    changed: (count: number) => trans._n('%1 service changed', '%1 services changed', count),
    lost: trans.__('Connection to the Jupyter server lost'),
    connected: trans.__('Connected again'),

    // status bar
    liveCount: (count: number) => trans.__('%1 live', count),
    failedCount: (count: number) => trans.__('%1 failed', count),
    unhealthyCount: (count: number) => trans.__('%1 unhealthy', count),
    runningCount: (count: number) => trans._n('%1 deployment runs', '%1 deployments run', count),
    showServices: trans.__('Show the services'),
    stageOf: (stage: string, service: string) => trans.__('%1, %2', stage, service),

    // notices
    isLive: (service: string) => trans.__('%1 is live', service),
    hasFailed: (service: string) => trans.__('%1 failed', service),
    wasCancelled: (service: string) => trans.__('%1 was cancelled', service),
    wasInterrupted: (service: string) => trans.__('%1 was interrupted', service),
    afterTime: (target: string, revision: number, took: string) => trans.__('%1, revision %2, after %3', target, revision, took),
    open: trans.__('Open'),
    retry: trans.__('Retry'),
  };
}
