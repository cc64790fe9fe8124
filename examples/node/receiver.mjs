// Receives Kombo's webhooks and puts them into kombo.webhook_inbox. Node 18 or newer and the package `pg`.
//
//   npm install pg
//   PORT=8080 PGHOST=db.example.com PGDATABASE=hr PGUSER=hr_webhooks PGPASSWORD=... node receiver.mjs
//
// The role needs nothing but this:
//
//   CREATE ROLE hr_webhooks LOGIN;
//   SELECT kombo.grant_webhook_writer('hr_webhooks');
//
// In Kombo's dashboard the webhook's address is https://…/kombo; a proxy before this program ends TLS. Answers: 200 the
// row is committed, 401 wrong signature, 413 over 1 MB, 400 no UTF-8, 503 the database is away or slow, 500 it refused.
import http from 'node:http';
import pg from 'pg';

const LIMIT = 1048576; // bytes; the inbox takes no more

// verify_webhook looks at the bytes as they came: a body that was parsed and written anew has another signature. One
// statement outside of a transaction is committed when it is answered.
const INSERT = `
  INSERT INTO kombo.webhook_inbox (body, signature)
  SELECT body, signature FROM (SELECT convert_from($1::bytea, 'UTF8'), $2::text) AS w (body, signature)
  WHERE kombo.verify_webhook(body, signature)`;

const pool = new pg.Pool({max: 8, connectionTimeoutMillis: 5000, statement_timeout: 10000});
pool.on('error', (error) => console.error('an idle connection was lost:', error.code ?? error.message));

// The request's bytes, or null where there are too many. Who still sends does not hear an answer: a little more is read
// then, and not kept.
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

const server = http.createServer(async (request, response) => {
  const status = await receive(request).catch(() => 400); // the client left before its body had ended
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(status, {'Content-Type': 'text/plain'}).end(`${http.STATUS_CODES[status]}\n`);
});

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
