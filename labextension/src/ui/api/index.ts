/** The part of the API tab: a module of its own, which the panel loads when it first shows one. */
import { ApiTab } from './api_tab';

export { ApiTab };

export interface ApiPart { ApiTab: typeof ApiTab }
