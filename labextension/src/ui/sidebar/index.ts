/** What the JupyterLab extension uses of the sidebar. */
export { Sidebar, type SidebarProps } from './sidebar';
export { Overview, type ServiceChange } from './overview';
export { StatusItem, type StatusItemProps, type StatusPart, statusParts } from './status';
export { type Ended, type Notice, type NoticeAction, describeEnd, watchEnds } from './notices';
export { CELLS, type Memory, type Shell, dragData } from './shell';
export type { Grouping } from './rows';
export { type Words, makeWords } from './words';
