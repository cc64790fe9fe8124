// HTTP/2 servers in front of men in the middle (middle.py), whose header X-H2 says how a stream is to be broken:
// node http2.mjs KEY CERTIFICATE reads ports of middles, and answers each with the port of a server of its own.
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import readline from 'node:readline';

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_ENHANCE_YOUR_CALM } =
    http2.constants;

function respond(stream, answer, body, part) {
    stream.respond({ ':status': answer.statusCode, 'content-type': answer.headers['content-type'],
                     date: answer.headers.date, 'content-length': body.length });
    if (part === undefined) stream.end(body);
    else stream.write(body.subarray(0, part));
}

const faults = {
    refused: (stream) => stream.close(NGHTTP2_REFUSED_STREAM),
    goaway: (stream) => {
        const session = stream.session;
        session.goaway(NGHTTP2_NO_ERROR, Math.max(0, stream.id - 2));
        setTimeout(() => session.destroy(), 20);
    },
    'goaway, calm': (stream) => {
        const session = stream.session;
        session.goaway(NGHTTP2_ENHANCE_YOUR_CALM, stream.id);
        setTimeout(() => session.destroy(), 20);
    },
    'goaway, answer': (stream, answer, body) => {
        stream.session.goaway(NGHTTP2_NO_ERROR, stream.id);
        respond(stream, answer, body);
        stream.session.close();
    },
    reset: (stream, answer, body) => {
        respond(stream, answer, body, body.length - 100);
        setTimeout(() => stream.close(NGHTTP2_INTERNAL_ERROR), 20);
    },
    cut: (stream, answer, body) => {
        respond(stream, answer, body, body.length - 100);
        setTimeout(() => stream.session.destroy(), 20);
    },
    silent: () => {},
};

function serve(port, stream, headers) {
    stream.on('error', () => {});
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^:|^accept-encoding$/.test(name)));
    const path = headers[':path'];
    const request = http.request({ host: '127.0.0.1', port, path, headers: kept, agent: false }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => {
            if (stream.destroyed) return;
            (faults[answer.headers['x-h2']] || respond)(stream, answer, Buffer.concat(parts));
        });
    });
    request.on('error', () => stream.close(NGHTTP2_INTERNAL_ERROR));
    request.end();
}

// Connections are not shared by middles: a fault of one would be that of another, too.
const options = { key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3]) };
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (port) => {
    const server = http2.createSecureServer(options);
    server.on('stream', (stream, headers) => serve(port, stream, headers));
    server.on('session', (session) => session.on('error', () => {}));
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
lines.on('close', () => process.exit(0));
