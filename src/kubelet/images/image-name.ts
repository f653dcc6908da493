/** An image's name as a user wrote it, made complete. */
export type ImageName =
  | {
      readonly ok: true;
      /** What the runtime is asked for: as written, with `:latest` when neither tag nor digest was given. */
      readonly requested: string;
      /** In full, `docker.io/library/busybox:latest`: one image, one name, however it was written. */
      readonly canonical: string;
    }
  | { readonly ok: false; readonly message: string };

const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const NAME = `${DOMAIN}/${PATH_PART}(?:/${PATH_PART})*`;
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const REFERENCE = new RegExp(`^(${NAME})(?::(${TAG}))?(?:@(${DIGEST}))?$`);

const DEFAULT_DOMAIN = 'docker.io';
const MAX_NAME_LENGTH = 255;

/**
 * Parses an image name by the grammar of `distribution/reference`, which the kubelet and containerd both use. The first part is
 * a registry when it has a dot, a colon or a capital letter in it, or is `localhost`; otherwise the image is Docker Hub's.
 */
export function parseImageName(image: string): ImageName {
  const fail = (why: string): ImageName => ({
    ok: false,
    message: `couldn't parse image name ${JSON.stringify(image)}: ${why}`,
  });
  if (/^[a-f0-9]{64}$/.test(image)) {
    return fail(`invalid repository name (${image}), cannot specify 64-byte hexadecimal strings`);
  }
  const slash = image.indexOf('/');
  const first = slash < 0 ? '' : image.slice(0, slash);
  const hasDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  let domain = hasDomain ? first : DEFAULT_DOMAIN;
  let rest = hasDomain ? image.slice(slash + 1) : image;
  if (domain === 'index.docker.io') domain = DEFAULT_DOMAIN;
  if (domain === DEFAULT_DOMAIN && !rest.includes('/')) rest = `library/${rest}`;

  const path = rest.split(':', 1)[0]!;
  if (path !== path.toLowerCase()) {
    return fail(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  const match = REFERENCE.exec(`${domain}/${rest}`);
  if (!match) return fail('invalid reference format');
  const [, name, tag, digest] = match;
  if (name!.length > MAX_NAME_LENGTH) {
    return fail(`repository name must not be more than ${MAX_NAME_LENGTH} characters`);
  }
  const suffix = tag === undefined && digest === undefined ? ':latest' : '';
  return { ok: true, requested: `${image}${suffix}`, canonical: `${domain}/${rest}${suffix}` };
}
