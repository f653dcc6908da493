/**
 * The OpenAPI v2 document in the protobuf form (gnostic's openapi.v2.Document), as far as kubectl up to 1.29 reads it: which patch
 * requests take which query parameters. It accepts no other form, and without this it refuses to apply.
 * Field numbers: gnostic openapiv2/OpenAPIv2.proto
 */
export function encodeOpenApiV2(
  info: { readonly title: string; readonly version: string },
  patches: readonly {
    readonly path: string;
    readonly gvk: object;
    readonly parameters: readonly string[];
  }[],
): Buffer {
  const paths = patches.map(({ path, gvk, parameters }) => {
    const operation = [
      ...parameters.map((name) => {
        const query = message(text(2, 'query'), text(4, name), text(6, 'string'));
        const nonBody = message(embed(3, query));
        const parameter = message(embed(2, nonBody));
        return embed(8, message(embed(1, parameter)));
      }),
      // The extension's value is YAML, which JSON is.
      embed(13, message(text(1, 'x-kubernetes-group-version-kind'), embed(2, message(text(2, JSON.stringify(gvk)))))),
    ];
    const item = message(embed(8, message(...operation)));
    return embed(2, message(text(1, path), embed(2, item)));
  });
  return message(
    text(1, '2.0'),
    embed(2, message(text(1, info.title), text(2, info.version))),
    embed(8, message(...paths)),
    embed(9, Buffer.alloc(0)),
  );
}

const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);
const text = (field: number, value: string): Buffer => embed(field, Buffer.from(value, 'utf8'));

/** A length-delimited field (wire type 2). */
function embed(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  return Buffer.from([...bytes, left]);
}
