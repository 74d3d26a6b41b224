/** Settings of HTTP/2 for large messages. */

/** Bytes that the other side may send before this side has read them. */
export const WINDOW_BYTES = 16 * 2 ** 20;
const FRAME_BYTES = 2 ** 20;
/**
 * Node refuses calls of a connection that holds more unsent data than this; its own limit of 10 MB is
 * less than one message can have.
 */
const SESSION_MEGABYTES = 4096;

export const windowSettings = {
  maxSessionMemory: SESSION_MEGABYTES,
  settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: FRAME_BYTES, enablePush: false },
};
