const COLLECT_EVERY_BYTES = 8 * 1024 * 1024;
/** Taken since the last collection, by everybody. */
let taken = 0;

/**
 * Says that memory for so many bytes was taken which is soon of no more use: a buffer, a parsed document. The runtime lets
 * such pile up far beyond what a small board can spare, so now and then everything unused is collected.
 */
export function noteGarbage(bytes: number): void {
  taken += bytes;
  if (taken < COLLECT_EVERY_BYTES) return;
  taken = 0;
  Bun.gc(true);
}
