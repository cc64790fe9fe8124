// Receives Kombo's webhooks and puts them into kombo.webhook_inbox. Node 18 or newer and the package `pg`.
//
//   npm install pg
//   PORT=8080 PGHOST=db.example.com PGDATABASE=hr PGUSER=hr_webhooks PGPASSWORD=... node receiver.mjs
//
// The role needs nothing but this:
//
//   CREATE ROLE hr_webhooks LOGIN CONNECTION LIMIT 10;
//   SELECT kombo.grant_webhook_writer('hr_webhooks');
//
// In Kombo's dashboard the webhook's address is https://…/kombo; a proxy before this program ends TLS. Answers: 200 the
// row is committed, 401 wrong signature, 408 too slow, 413 over 1 MB, 431 too many headers, 400 a malformed request,
// 503 the database is away, slow or busy, 500 the database refused. A client too many is disconnected without an
// answer.
//
// Limits, from the environment, with their defaults: DATABASE_CONNECTIONS=8 connections at most; a request waits
// DATABASE_WAIT=2 seconds for one of them; CLIENTS=100 clients at a time; REQUEST_TIMEOUT=30 seconds for a client to
// send its whole request.
import http from 'node:http';
import pg from 'pg';

const LIMIT = 1048576; // bytes of a body; the inbox takes no more
const limit = (name, standard) => Number(process.env[name] ?? standard);
const REQUEST_TIMEOUT = limit('REQUEST_TIMEOUT', 30) * 1000;

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
  if (request.url.split('?')[0] !== '/kombo') return 404;
  if (request.method !== 'POST') return 405;
  const raw = await body(request);
  if (raw === null) return 413;
  try {
    const {rowCount} = await pool.query(INSERT, [raw, request.headers['x-kombo-signature']]);
    return rowCount === 1 ? 200 : 401;
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
  const status = await receive(request).catch(() => 400); // the client left before its body had ended
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(status, {'Content-Type': 'text/plain'}).end(`${http.STATUS_CODES[status]}\n`);
});

server.maxConnections = limit('CLIENTS', 100);

// Takes no new requests, and answers those that it has.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close(() => pool.end());
    server.closeIdleConnections();
  });
}

server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on ${server.address().address}:${server.address().port}`);
});
