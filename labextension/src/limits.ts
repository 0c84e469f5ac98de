/** How long an answer may take. An order may have to wait for a store or for a worker; scoring for the model. */
export const REQUEST_MS = 30_000;
export const SLOW_REQUEST_MS = 320_000;
const SLOW = /^(service\.(score|delete|restart|stop|start|scale|rollback|reload)|deployment\.retry|form\.submit)$/;

export const requestLimit = (name: string): number => (SLOW.test(name) ? SLOW_REQUEST_MS : REQUEST_MS);
