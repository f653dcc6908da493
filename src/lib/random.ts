import { randomBytes, randomUUID } from 'node:crypto';

/** All randomness in kubelette; injected like the clock. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** A random (version 4) UUID in lower case. */
  uuid(): string;
  /** `length` characters of the alphabet that Kubernetes uses for generated names (no vowels, nothing easily confused). */
  suffix(length: number): string;
}

const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** Randomness of the host. */
export class SystemRandom implements Random {
  float(): number {
    return Math.random();
  }

  uuid(): string {
    return randomUUID();
  }

  suffix(length: number): string {
    return Array.from(randomBytes(length), (b) => SUFFIX_ALPHABET[b % SUFFIX_ALPHABET.length]).join('');
  }
}

/** Repeatable randomness from a seed (mulberry32). For unit tests and the simulator. */
export class SeededRandom implements Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  float(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  uuid(): string {
    const hex = Array.from({ length: 32 }, () => Math.floor(this.float() * 16).toString(16));
    hex[12] = '4';
    hex[16] = '89ab'[Math.floor(this.float() * 4)]!;
    const s = hex.join('');
    return `${s.slice(0, 8)}-${s.slice(8, 12)}-${s.slice(12, 16)}-${s.slice(16, 20)}-${s.slice(20)}`;
  }

  suffix(length: number): string {
    return Array.from({ length }, () => SUFFIX_ALPHABET[Math.floor(this.float() * SUFFIX_ALPHABET.length)]).join('');
  }
}
