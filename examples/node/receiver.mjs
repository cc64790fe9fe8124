// Receives Kombo's webhooks and puts them into kombo.webhook_inbox. Node 18 or newer and the package `pg`.
//
//   npm install pg
//   PORT=8080 PGHOST=db.example.com PGDATABASE=hr PGUSER=hr_webhooks PGPASSWORD=... node receiver.mjs
//
// The role needs only this. (A role that logs in over TCP needs a password.)
//
//   CREATE ROLE hr_webhooks LOGIN PASSWORD '...' CONNECTION LIMIT 10;
//   SELECT kombo.grant_webhook_writer('hr_webhooks');
//
// kombo-receiver.service in this folder runs the program under systemd. When it starts, it tries the database once and
// exits with a message if that fails.
//
// In Kombo's dashboard the webhook's address is https://…/kombo; a proxy in front of this program ends TLS. Answers:
// 200 the row is committed, 401 wrong signature, 408 too slow, 413 over 1 MB, 431 too many headers, 400 a malformed
// request, 503 the database is away, slow or busy, 500 the database refused. A client too many is disconnected without
// an answer. Refused requests are logged, in one line a minute at most.
//
// GET /kombo is for a load balancer: 200 means that the program runs. It does not ask the database: anybody can send
// it, and Kombo sends a webhook again that was answered 503.
//
// Limits, from the environment, with their defaults: DATABASE_CONNECTIONS=8 connections at most; a request waits
// DATABASE_WAIT=2 seconds for one of them; CLIENTS=100 clients at a time; REQUEST_TIMEOUT=30 seconds for a client to
// send its whole request; LOG_INTERVAL=60 seconds between two lines about refused requests.
import http from 'node:http';
import pg from 'pg';

const LIMIT = 1048576; // bytes of a body; the inbox takes no more
const limit = (name, standard) => Number(process.env[name] ?? standard);
const REQUEST_TIMEOUT = limit('REQUEST_TIMEOUT', 30) * 1000;
const LOG_INTERVAL = limit('LOG_INTERVAL', 60) * 1000;

// verify_webhook looks at the bytes as they came: a body that was parsed and written anew has another signature. One
// statement outside of a transaction is committed when it is answered.
const INSERT = `
  INSERT INTO kombo.webhook_inbox (body, signature)
  SELECT body, signature FROM (SELECT convert_from($1::bytea, 'UTF8'), $2::text) AS w (body, signature)
  WHERE kombo.verify_webhook(body, signature)`;

// connectionTimeoutMillis is for a new connection and for the wait in the queue. A database that falls silent must not
// keep a connection occupied for long: hence query_timeout.
const pool = new pg.Pool({
  max: limit('DATABASE_CONNECTIONS', 8),
  connectionTimeoutMillis: limit('DATABASE_WAIT', 2) * 1000,
  statement_timeout: 10000,
  query_timeout: 15000,
});
pool.on('error', (error) => console.error('an idle connection was lost:', error.code ?? error.message));

// Refused requests: why, and how many. Nothing that a client sent is logged.
const WHY = {
  400: 'a malformed request', 401: 'wrong signature', 404: 'wrong path', 405: 'wrong method', 408: 'too slow',
  413: 'over 1 MB', 431: 'too many headers', 503: 'too many clients',
};
const refused = new Map();
let lastLine = 0; // the timer of the last line, while it runs

function tellRefused() {
  const counts = [...refused].sort().map(([status, n]) => `${n} x ${status} ${WHY[status]}`).join(', ');
  if (counts) console.error(`refused: ${counts}`);
  lastLine = counts ? setTimeout(tellRefused, LOG_INTERVAL).unref() : 0;
  refused.clear();
}

function refuse(status) {
  refused.set(status, (refused.get(status) ?? 0) + 1);
  if (!lastLine) tellRefused();
  return status;
}

// The request's bytes, or null if there are too many. Then the client is still sending and would not read a response:
// some more is read, and not kept.
async function body(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= LIMIT) chunks.push(chunk);
    else if (length > 16 * LIMIT) break;
  }
  return length <= LIMIT ? Buffer.concat(chunks) : null;
}

// SQLSTATE classes 08 and 57 are lost connections, shutdown and timeouts, 53 is too many connections or a full disk;
// what has no SQLSTATE did not reach the server.
function statusOf(error) {
  if (error.code === '22021') return 400;
  return /^(08|53|57)...$/.test(error.code ?? '') || error.severity === undefined ? 503 : 500;
}

async function receive(request) {
  if (request.url.split('?')[0] !== '/kombo') return refuse(404);
  if (request.method === 'GET' || request.method === 'HEAD') return 200;
  if (request.method !== 'POST') return refuse(405);
  const raw = await body(request);
  if (raw === null) return refuse(413);
  try {
    const {rowCount} = await pool.query(INSERT, [raw, request.headers['x-kombo-signature']]);
    return rowCount === 1 ? 200 : refuse(401);
  } catch (error) {
    // Not its detail: that may quote the row.
    console.error(`not stored: ${error.code ?? ''} ${error.message}`);
    return statusOf(error);
  }
}

// Node limits headers to 16 kB. It looks for late requests at that interval.
const times = {
  requestTimeout: REQUEST_TIMEOUT,
  headersTimeout: REQUEST_TIMEOUT,
  connectionsCheckingInterval: Math.min(REQUEST_TIMEOUT, 1000),
};
const server = http.createServer(times, async (request, response) => {
  const status = await receive(request).catch(() => refuse(400)); // the client left before its body had ended
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(status, {'Content-Type': 'text/plain'}).end(`${http.STATUS_CODES[status]}\n`);
});

server.maxConnections = limit('CLIENTS', 100);
server.on('drop', () => refuse(503));

// What Node refuses before there is a request. (With a listener Node leaves the answer to it.)
const BEFORE = {HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408};
server.on('clientError', (error, socket) => {
  if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy();
  const status = refuse(BEFORE[error.code] ?? 400);
  socket.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
});

// Takes no new requests, and answers those that it has.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close(() => pool.end());
    server.closeIdleConnections();
  });
}

// The statement itself, with no webhook, stores nothing, and shows whether one could be stored.
try {
  await pool.query(INSERT, [Buffer.alloc(0), null]);
} catch (error) {
  console.error(`cannot store webhooks: ${error.code ?? ''} ${error.message || error}`);
  process.exit(1);
}

server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on ${server.address().address}:${server.address().port}`);
});
