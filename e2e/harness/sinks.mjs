// Where messages arrive: something that answers as Discord does, or does not, and a mail server with TLS.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { onExit } from './cleanup.mjs';
import { runOk } from './programs.mjs';

const listening = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

/** Takes webhooks like Discord. `says` holds what it answers next: a status, `{ status, body }`, or 'hang'; then it takes everything. */
export class DiscordSink {
  static async start() {
    const sink = new DiscordSink();
    sink.requests = [];
    sink.says = [];
    sink.server = createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(parts).toString() || '{}');
        const { method, url: path, socket } = request;
        sink.requests.push({ method, path, body, title: body.embeds?.[0]?.title?.replaceAll('\\', ''), from: socket.remotePort });
        const answer = sink.says.shift() ?? { status: 200, body: { id: String(sink.requests.length) } };
        if (answer === 'hang') return;
        const { status, body: said = {} } = typeof answer === 'number' ? { status: answer } : answer;
        response.writeHead(status, { 'content-type': 'application/json' }).end(status === 204 ? undefined : JSON.stringify(said));
      });
    });
    sink.url = `http://127.0.0.1:${await listening(sink.server)}/api/webhooks/1/token`;
    return sink;
  }

  /** Messages of their own, and the last state of each message that was sent or changed. */
  get posted() {
    return this.requests.filter(({ method }) => method === 'POST').map(({ title }) => title);
  }

  get titles() {
    return this.requests.map(({ title }) => title);
  }

  clear() {
    this.requests.length = 0;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** A certificate authority of its own, and a certificate for localhost. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'everypath-e2e-tls-'));
  onExit(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name) => join(folder, name);
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-x509', '-days', '1', '-subj', '/CN=ca', '-addext', 'basicConstraints=critical,CA:TRUE'];
  runOk('openssl', ['req', ...ec, ...ca, '-keyout', file('ca.key'), '-out', file('ca.pem')]);
  const own = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=CA:FALSE'];
  const signed = ['-x509', '-days', '1', '-CA', file('ca.pem'), '-CAkey', file('ca.key')];
  runOk('openssl', ['req', ...ec, ...signed, ...own, '-keyout', file('own.key'), '-out', file('own.pem')]);
  const read = (name) => readFileSync(file(name), 'utf8');
  return { ca: read('ca.pem'), cert: read('own.pem'), key: read('own.key') };
}

/** A mail server that speaks TLS from the beginning and takes everything. */
export class MailSink {
  static async start() {
    const sink = new MailSink();
    const { ca, cert, key } = certificate();
    sink.ca = ca;
    sink.mails = [];
    sink.server = createTlsServer({ cert, key }, (socket) => sink.#talk(socket));
    sink.port = await listening(sink.server);
    return sink;
  }

  #talk(socket) {
    let waiting = '';
    let mail;
    socket.on('error', () => {});
    socket.write('220 sink\r\n');
    socket.on('data', (part) => {
      waiting += part;
      for (let end = waiting.indexOf('\r\n'); end >= 0; end = waiting.indexOf('\r\n')) {
        const line = waiting.slice(0, end);
        waiting = waiting.slice(end + 2);
        if (mail !== undefined && line !== '.') mail += `${line}\n`;
        else if (mail !== undefined) {
          this.mails.push(mail);
          mail = undefined;
          socket.write('250 taken\r\n');
        } else if (line.startsWith('DATA')) {
          mail = '';
          socket.write('354 go\r\n');
        } else if (line.startsWith('QUIT')) socket.end('221 bye\r\n');
        else socket.write('250 ok\r\n');
      }
    });
  }

  get subjects() {
    return this.mails.map((mail) => /^Subject: (.*)$/m.exec(mail)?.[1]);
  }

  clear() {
    this.mails.length = 0;
  }

  stop() {
    this.server.close();
  }
}
