/** The little of RFC 6455 that a server needs which only sends: the handshake, whole frames, and close. */

import { createHash } from 'node:crypto';

/** Fixed by RFC 6455 section 1.3. */
const HANDSHAKE_KEY = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const BINARY = 0x82;
const OPCODE_CLOSE = 8;

export function acceptSocket(request, socket) {
  const accept = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + HANDSHAKE_KEY)
    .digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('data', (bytes) => (bytes[0] & 0x0f) === OPCODE_CLOSE && socket.end());
  socket.on('error', () => socket.destroy());
}

export function sendBinary(socket, payload) {
  const { length } = payload;
  let head;
  if (length < 126) head = Buffer.from([BINARY, length]);
  else if (length < 65_536) {
    head = Buffer.from([BINARY, 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = BINARY;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  socket.write(Buffer.concat([head, payload]));
}
