import { expect, test } from 'vitest';
import { parseResolvConf } from './resolv-conf.ts';

test('a resolv.conf', () => {
  const text = `# comment
; another
  nameserver   192.0.2.53
nameserver 192.0.2.54
nameserver
domain ignored.example
search old.example
search a.example. . b.example a.example
options ndots:1 rotate
options ndots:5
`;
  expect(parseResolvConf(text)).toEqual({
    servers: ['192.0.2.53', '192.0.2.54'],
    searches: ['a.example', '.', 'b.example'],
    options: ['ndots:5', 'rotate'],
  });
  expect(parseResolvConf('')).toEqual({ servers: [], searches: [], options: [] });
});
