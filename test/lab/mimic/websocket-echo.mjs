/** The server's side of RFC 6455, as much as an echo needs: text and binary messages, fragments, ping, close. */
import { createHash } from 'node:crypto';

const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTINUATION = 0;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

export function echoWebSocket(request, socket, head, { greet, dieAfterFirst }) {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + KEY_SUFFIX).digest('base64');
  const protocol = request.headers['sec-websocket-protocol']?.split(',')[0];
  const extra = protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol.trim()}\r\n`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${extra}\r\n`);
  if (greet !== null) socket.write(frame(TEXT, Buffer.from(greet)));

  let buffered = head;
  let message = { opcode: TEXT, parts: [] };
  const consume = () => {
    for (let next = parse(buffered); next !== undefined; next = parse(buffered)) {
      buffered = buffered.subarray(next.length);
      take(next);
    }
  };
  const take = ({ opcode, final, payload }) => {
    if (opcode === CLOSE) {
      socket.end(frame(CLOSE, payload));
    } else if (opcode === PING) {
      socket.write(frame(PONG, payload));
    } else if (opcode !== PONG) {
      if (opcode !== CONTINUATION) message = { opcode, parts: [] };
      message.parts.push(payload);
      if (!final) return;
      if (dieAfterFirst) socket.destroy();
      else socket.write(frame(message.opcode, Buffer.concat(message.parts)));
    }
  };
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    consume();
  });
  socket.on('end', () => socket.end());
  consume();
}

/** The first frame of `bytes`, unmasked; undefined while it is not all there. */
function parse(bytes) {
  if (bytes.length < 2) return undefined;
  const masked = (bytes[1] & 0x80) !== 0;
  let size = bytes[1] & 0x7f;
  let at = 2;
  if (size === 126) {
    if (bytes.length < 4) return undefined;
    size = bytes.readUInt16BE(2);
    at = 4;
  } else if (size === 127) {
    if (bytes.length < 10) return undefined;
    size = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const mask = masked ? bytes.subarray(at, at + 4) : undefined;
  if (masked) at += 4;
  if (bytes.length < at + size) return undefined;
  const payload = Buffer.from(bytes.subarray(at, at + size));
  if (mask !== undefined) for (let index = 0; index < size; index += 1) payload[index] ^= mask[index % 4];
  return { opcode: bytes[0] & 0x0f, final: (bytes[0] & 0x80) !== 0, payload, length: at + size };
}

function frame(opcode, payload) {
  const size = payload.length;
  const header = size < 126 ? Buffer.from([0x80 | opcode, size]) : size < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10);
  if (size >= 126) {
    header[0] = 0x80 | opcode;
    header[1] = size < 65_536 ? 126 : 127;
    if (size < 65_536) header.writeUInt16BE(size, 2);
    else header.writeBigUInt64BE(BigInt(size), 2);
  }
  return Buffer.concat([header, payload]);
}
