/** Ids as the facts have them. */

/** An id as it is on record, whatever life it stands for. */
export const plainId = (id: string): string => id.replace(/#\d+$/, '');

/** Others are used once. */
export const isReused = (id: string): boolean => id.startsWith('named-');
