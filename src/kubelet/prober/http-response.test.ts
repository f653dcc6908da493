import { describe, expect, it } from 'vitest';
import { type HttpResponse, HttpResponseReader } from './http-response.ts';

/** Reads what the pieces hold, and the end of the connection when that is not enough. */
function read(...pieces: string[]): HttpResponse {
  const reader = new HttpResponseReader();
  for (const piece of pieces) {
    const response = reader.read(piece);
    if (response) return response;
  }
  return reader.end();
}

/** The same whether it comes at once or byte by byte. */
function readBothWays(text: string): HttpResponse {
  const whole = read(text);
  expect(read(...text)).toEqual(whole);
  return whole;
}

const shown = ({ status, location, body }: HttpResponse): unknown[] => [status, location, body.toString()];

describe('HttpResponseReader', () => {
  it.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more', [200, undefined, 'ok']],
    ['the end of the connection', 'HTTP/1.0 503 Busy\r\n\r\nso busy', [503, undefined, 'so busy']],
    ['no body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', [204, undefined, '']],
    [
      'chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n',
      [200, undefined, 'abc0123456789'],
    ],
    ['lines that end as they like', 'HTTP/1.1 200\nContent-Length: 2\n\nok', [200, undefined, 'ok']],
    [
      'a location in UTF-8, over two lines',
      `HTTP/1.1 302 Found\r\nlocation: /${Buffer.from('ä').toString('latin1')}\r\n b\r\nContent-Length: 0\r\n\r\n`,
      [302, '/ä b', ''],
    ],
    [
      'something before the answer',
      'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      [200, undefined, ''],
    ],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', [101, undefined, '']],
    [
      'the same length twice',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
      [200, undefined, 'x'],
    ],
    ['no chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n', [200, undefined, '3\r\n']],
  ])('takes %s', (_what, text, wanted) => {
    expect(shown(readBothWays(text))).toEqual(wanted);
  });

  it('looks at the first 10 KiB, whatever comes after them', () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n';
    expect(read(head, 'x'.repeat(20_000)).body).toHaveLength(10_240);
    expect(read(head, 'x'.repeat(10_000), 'x'.repeat(10_000)).body).toHaveLength(10_240);
  });

  // The words are those of Go's net/http, which the kubelet's events show.
  it.each([
    ['', 'EOF'],
    ['HTTP/1.1 200 OK\r\n', 'unexpected EOF'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok', 'unexpected EOF'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok', 'unexpected EOF'],
    ['SSH-2.0-OpenSSH\r\n\r\n', 'malformed HTTP response "SSH-2.0-OpenSSH"'],
    ['\x15\x03\x01"\\\n\n', 'malformed HTTP response "\\x15\\x03\\x01\\"\\\\"'],
    ['HTTP/1.1 20 OK\r\n\r\n', 'malformed HTTP status code "20"'],
    ['HTTP/1.x 200 OK\r\n\r\n', 'malformed HTTP version "HTTP/1.x"'],
    ['HTTP/1.1 200 OK\r\nno colon\r\n\r\n', 'malformed MIME header line: no colon'],
    ['HTTP/1.1 200 OK\r\nspaced name: x\r\n\r\n', 'malformed MIME header line: spaced name: x'],
    ['HTTP/1.1 200 OK\r\n first\r\n\r\n', 'malformed MIME header initial line:  first'],
    ['HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n', 'bad Content-Length "two"'],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'http: message cannot contain multiple Content-Length headers; got ["1" "2"]',
    ],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', 'unsupported transfer encoding: "gzip"'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', 'invalid byte in chunk length'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n', 'empty hex number for chunk length'],
    [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1'.repeat(17)}\r\n`, 'http chunk length too large'],
    [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1'.repeat(5000)}`, 'header line too long'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n', 'malformed chunked encoding'],
  ])('refuses %j', (text, words) => {
    expect(() => read(text)).toThrow(words);
    expect(() => read(...text)).toThrow(words);
  });

  it('does not read headers without end', () => {
    const line = `X: ${'x'.repeat(60_000)}\r\n`;
    const lines = Array.from({ length: 20 }, () => line);
    expect(() => read('HTTP/1.1 200 OK\r\n', ...lines)).toThrow(
      /server response headers exceeded 1048576 bytes; aborted/,
    );
  });
});
