/**
 * Resource quantities such as `500m`, `64Mi`, `1.5`, `2e3`: exact arithmetic in billionths, and the canonical text that
 * the API server answers with. Rules: apimachinery `pkg/api/resource/quantity.go`.
 */
export interface Quantity {
  /** The value in billionths, exact; what is finer was rounded away from zero. */
  readonly nanos: bigint;
  /** How it was written; the canonical text keeps to it. */
  readonly format: 'DecimalSI' | 'BinarySI' | 'DecimalExponent';
}

/** The text is no quantity; the message is the API server's. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_WRONG = "unable to parse quantity's suffix";

const SHAPE = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/;
const BINARY: Record<string, bigint> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
};
const DECIMAL: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const DECIMAL_SUFFIX: Record<number, string> = Object.fromEntries(Object.entries(DECIMAL).map(([s, e]) => [e, s]));
const NANO = 1_000_000_000n;
/** Exponents beyond this could only stall the process; the largest quantity is 2^63-1. */
const MAX_EXPONENT = 40;

/** @throws QuantityError in the API server's words */
export function parseQuantity(text: string): Quantity {
  const match = SHAPE.exec(text);
  if (!match || (match[2] === '' && !match[3])) throw new QuantityError(FORMAT_WRONG);
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  let format: Quantity['format'] = 'DecimalSI';
  let factor = 1n;
  let exponent = DECIMAL[suffix];
  if (exponent === undefined) {
    const binary = BINARY[suffix];
    const scientific = /^[eE]([-+]?[0-9]+)$/.exec(suffix);
    if (binary !== undefined) {
      factor = binary;
      exponent = 0;
      format = 'BinarySI';
    } else if (scientific) {
      exponent = Math.max(-MAX_EXPONENT, Math.min(MAX_EXPONENT, Number(scientific[1])));
      format = 'DecimalExponent';
    } else {
      throw new QuantityError(SUFFIX_WRONG);
    }
  }
  const scale = exponent + 9 - fraction.length;
  let nanos = BigInt(whole + fraction) * factor;
  nanos = scale >= 0 ? nanos * 10n ** BigInt(scale) : ceilDiv(nanos, 10n ** BigInt(-scale));
  return { nanos: sign === '-' ? -nanos : nanos, format };
}

/** Quotient of a non-negative number, rounded up. */
function ceilDiv(value: bigint, divisor: bigint): bigint {
  return (value + divisor - 1n) / divisor;
}

/** Rounded away from zero to a multiple of `unit`, and divided by it. */
function inUnits(nanos: bigint, unit: bigint): bigint {
  return nanos < 0n ? -ceilDiv(-nanos, unit) : ceilDiv(nanos, unit);
}

/** The canonical text: no fraction, the largest suffix that keeps the value exact. */
export function formatQuantity(quantity: Quantity): string {
  if (quantity.nanos === 0n) return '0';
  const small = quantity.nanos > -1024n * NANO && quantity.nanos < 1024n * NANO;
  if (quantity.format === 'BinarySI' && !small) {
    let value = inUnits(quantity.nanos, NANO);
    let suffix = '';
    for (const next of Object.keys(BINARY)) {
      if (value % 1024n !== 0n) break;
      value /= 1024n;
      suffix = next;
    }
    return `${value}${suffix}`;
  }
  let value = quantity.nanos;
  let exponent = -9;
  while (value % 1000n === 0n && (exponent < 18 || quantity.format === 'DecimalExponent')) {
    value /= 1000n;
    exponent += 3;
  }
  if (quantity.format === 'DecimalExponent') return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${DECIMAL_SUFFIX[exponent]}`;
}

/** Parses and formats. @throws QuantityError */
export function canonicalQuantity(text: string): string {
  // Most quantities are written canonically already: a few digits, perhaps with a suffix.
  if (/^[1-9][0-9]{0,2}(?:[mkMGTPE]|[KMGTPE]i)?$/.test(text)) return text;
  return formatQuantity(parseQuantity(text));
}

/** Whole units (bytes, cores), rounded up. */
export function wholeUnits({ nanos }: Quantity): number {
  return Number(inUnits(nanos, NANO));
}

/** Thousandths (millicores), rounded up. */
export function thousandths({ nanos }: Quantity): number {
  return Number(inUnits(nanos, 1_000_000n));
}

/** `wholeUnits` of a text. @throws QuantityError */
export function quantityValue(text: string): number {
  return wholeUnits(parseQuantity(text));
}

/** `thousandths` of a text. @throws QuantityError */
export function quantityMillis(text: string): number {
  return thousandths(parseQuantity(text));
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. @throws QuantityError */
export function compareQuantities(a: string, b: string): number {
  const difference = parseQuantity(a).nanos - parseQuantity(b).nanos;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The sum, in the format of the first that is not zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** Rounded up to whole thousandths, the finest that resource lists keep. */
export function roundToMilli(quantity: Quantity): Quantity {
  return { nanos: inUnits(quantity.nanos, 1_000_000n) * 1_000_000n, format: quantity.format };
}
