/** Flow control of HTTP/2: wide enough that large messages need not wait for its updates. */

/** Bytes that the other side may send before this side has read them. */
export const WINDOW_BYTES = 16 * 2 ** 20;
const FRAME_BYTES = 2 ** 20;

export const windowSettings = {
  settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: FRAME_BYTES, enablePush: false },
};
