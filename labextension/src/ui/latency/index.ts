/** The latency part: a module of its own, which the panel loads when it first shows one of these. */
import { LatencyTab } from './latency_tab';
import { RunView } from './run_view';

export { LatencyTab, RunView };

export interface LatencyPart { LatencyTab: typeof LatencyTab; RunView: typeof RunView }
