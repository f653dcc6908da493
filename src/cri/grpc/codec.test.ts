import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ListImagesResponse, VersionRequest } from '../generated/cri.ts';
import { encodeFrame, FrameReader } from './codec.ts';

it('puts the length before a message', () => {
  expect([...encodeFrame(VersionRequest, { version: 'v1' })]).toEqual([0, 0, 0, 0, 4, 10, 2, 0x76, 0x31]);
  expect([...encodeFrame(ListImagesResponse, { images: [] })]).toEqual([0, 0, 0, 0, 0]);
});

it('finds the messages again, however the bytes are cut', () => {
  const texts = fc.array(fc.string({ maxLength: 40 }), { maxLength: 6 });
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(texts, cuts, (versions, sizes) => {
      const bytes = Buffer.concat(versions.map((version) => encodeFrame(VersionRequest, { version })));
      const reader = new FrameReader();
      const found: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + sizes[i % sizes.length]!;
        found.push(...reader.push(bytes.subarray(at, end)).map((m) => VersionRequest.decode(m).version));
        at = end;
      }
      expect(found).toEqual(versions);
    }),
  );
});

it('refuses a compressed message', () => {
  expect(() => new FrameReader().push(Buffer.from([1, 0, 0, 0, 0]))).toThrow(/compressed/);
});
