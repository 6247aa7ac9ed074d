/**
 * Many connections from a process of its own: node many-clients.mjs <port> <host> <idle> <webSockets>. Each idle one has had one answer and is
 * kept; each WebSocket has had one echo. It prints a JSON line {idle, webSockets, closed, failed} at each change of what it was told, and takes
 * on standard input: `count`, `echo` (each WebSocket once more), `leave` (half of each kind, in order).
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [port, host, idleCount, webSocketCount] = process.argv.slice(2);
const AT_ONCE = 50;
const counts = { idle: 0, webSockets: 0, closed: 0, failed: 0, echoes: 0 };
const idle = [];
const webSockets = [];
/** A masked text frame `hi` (RFC 6455, 5.7), and what comes back. */
const FRAME = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
const ECHO = Buffer.from([0x81, 0x02, 0x68, 0x69]).toString('latin1');
const CLOSE = Buffer.from([0x88, 0x80, 0, 0, 0, 0]);

function open(head, isReady, isReusable) {
  return new Promise((resolve) => {
    // Loopback is a whole network: more clients than one address has ports for.
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.2' });
    let received = '';
    let settled = false;
    const settle = (what) => {
      if (settled) return;
      settled = true;
      if (what === 'failed') counts.failed += 1;
      resolve(what === 'failed' ? undefined : socket);
    };
    socket.on('connect', () => socket.write(head));
    // Where opening them all takes long, the first would reach the end of their rest before the last is there.
    if (isReusable) socket.setTimeout(40_000, () => socket.write(head));
    socket.on('data', (chunk) => {
      if (settled) return void socket.emit('later', chunk);
      received += chunk.toString('latin1');
      if (isReady(received, socket)) settle('ready');
    });
    socket.on('error', () => settle('failed'));
    socket.on('close', () => {
      counts.closed += 1;
      settle('failed');
    });
  });
}

async function openAll(count, into, head, isReady, isReusable) {
  let left = Number(count);
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left > 0) {
      left -= 1;
      const socket = await open(head, isReady, isReusable);
      if (socket) into.push(socket);
    }
  }));
}

await openAll(idleCount, idle, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, (received) => received.startsWith('HTTP/1.1 200') && received.includes('\r\n\r\nmimic'), true);
const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
await openAll(webSocketCount, webSockets, upgrade, (received, socket) => {
  if (!received.startsWith('HTTP/1.1 101') || !received.includes('\r\n\r\n')) return false;
  if (received.endsWith('\r\n\r\n')) socket.write(FRAME);
  return received.endsWith(ECHO);
}, false);
tell();

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'echo') echoAll();
  if (line === 'leave') {
    for (const socket of idle.splice(0, idle.length / 2)) socket.end();
    for (const socket of webSockets.splice(0, webSockets.length / 2)) socket.end(CLOSE);
  }
  if (line === 'count') tell();
}).on('close', () => process.exit(0));

function echoAll() {
  counts.echoes = 0;
  for (const socket of webSockets) {
    socket.once('later', () => (counts.echoes += 1));
    socket.write(FRAME);
  }
}

function tell() {
  process.stdout.write(`${JSON.stringify({ ...counts, idle: idle.length, webSockets: webSockets.length })}\n`);
}
