/** The WebSocket of live frames: bytes in, decoded frames out. When to reconnect is decided elsewhere. */

import { decodeFrame, type Frame } from '../model/wire';

export interface LiveHandlers {
  opened(): void;
  frame(frame: Frame): void;
  /** Told once, whether the socket never opened or was lost. */
  closed(): void;
}

export interface LiveSocket {
  close(): void;
}

/** A connection that neither opens nor fails within this time is given up. */
const OPEN_TIMEOUT_MS = 10_000;

export function openLive(handlers: LiveHandlers): LiveSocket {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(`${scheme}//${location.host}/api/v1/live`);
  socket.binaryType = 'arraybuffer';
  let finished = false;
  const finish = () => {
    if (finished) return;
    finished = true;
    clearTimeout(timeout);
    socket.close();
    handlers.closed();
  };
  const timeout = setTimeout(finish, OPEN_TIMEOUT_MS);
  socket.onopen = () => {
    clearTimeout(timeout);
    if (!finished) handlers.opened();
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (finished) return;
    const frame = data instanceof ArrayBuffer ? decodeFrame(data) : null;
    // Bytes that cannot be read leave a hole in the sequence; starting over is the only safe answer.
    if (frame) handlers.frame(frame);
    else finish();
  };
  socket.onclose = finish;
  socket.onerror = finish;
  return {
    close: () => {
      finished = true;
      clearTimeout(timeout);
      socket.close();
    },
  };
}
