/** Letters and digits that tell views, panels and pages apart. */
export const randomId = () => Math.random().toString(36).slice(2, 10);
