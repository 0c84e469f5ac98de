/** Where each request goes. Made by `python -m tests.unit.lab.generate` from mldeploy_jupyter/lab/routes.py. */
import type { Requests } from '../protocol';

export interface Route { method: 'GET' | 'POST' | 'DELETE'; path: string }

export const ROUTES: Record<keyof Requests, Route> = {
  'service.list': { method: 'GET', path: 'services' },
  'service.describe': { method: 'GET', path: 'services/{workspace}/{service}' },
  'service.delete': { method: 'DELETE', path: 'services/{workspace}/{service}' },
  'service.history': { method: 'GET', path: 'services/{workspace}/{service}/history' },
  'service.keys': { method: 'POST', path: 'services/{workspace}/{service}/keys' },
  'service.regenKey': { method: 'POST', path: 'services/{workspace}/{service}/keys/new' },
  'service.openapi': { method: 'GET', path: 'services/{workspace}/{service}/openapi' },
  'service.samples': { method: 'GET', path: 'services/{workspace}/{service}/samples' },
  'service.code': { method: 'POST', path: 'services/{workspace}/{service}/code' },
  'service.cell': { method: 'GET', path: 'services/{workspace}/{service}/cell' },
  'service.score': { method: 'POST', path: 'services/{workspace}/{service}/score' },
  'service.tests': { method: 'GET', path: 'services/{workspace}/{service}/tests' },
  'service.log': { method: 'GET', path: 'services/{workspace}/{service}/log' },
  'service.logText': { method: 'GET', path: 'services/{workspace}/{service}/log/text' },
  'service.scale': { method: 'POST', path: 'services/{workspace}/{service}/scale' },
  'service.rollback': { method: 'POST', path: 'services/{workspace}/{service}/rollback' },
  'service.reload': { method: 'POST', path: 'services/{workspace}/{service}/reload' },
  'service.restart': { method: 'POST', path: 'services/{workspace}/{service}/restart' },
  'service.stop': { method: 'POST', path: 'services/{workspace}/{service}/stop' },
  'service.start': { method: 'POST', path: 'services/{workspace}/{service}/start' },
  'deployment.timeline': { method: 'GET', path: 'deployments/{workspace}/{deployment}' },
  'deployment.log': { method: 'GET', path: 'deployments/{workspace}/{deployment}/log' },
  'deployment.logText': { method: 'GET', path: 'deployments/{workspace}/{deployment}/log/text' },
  'deployment.report': { method: 'GET', path: 'deployments/{workspace}/{deployment}/report' },
  'deployment.cancel': { method: 'POST', path: 'deployments/{workspace}/{deployment}/cancel' },
  'deployment.retry': { method: 'POST', path: 'deployments/{workspace}/{deployment}/retry' },
  'model.list': { method: 'GET', path: 'models' },
  'model.cell': { method: 'GET', path: 'models/{workspace}/{model}/cell' },
  'model.delete': { method: 'DELETE', path: 'models/{workspace}/{model}' },
  'form.describe': { method: 'GET', path: 'forms/{form}' },
  'form.check': { method: 'POST', path: 'forms/{form}/check' },
  'form.submit': { method: 'POST', path: 'forms/{form}/submit' },
};
