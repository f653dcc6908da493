import { noSuchResource } from '../registry/api-errors.ts';
import type { Exchange } from './exchange.ts';

export async function serveOpenApi(_exchange: Exchange, _path: string): Promise<void> {
  throw noSuchResource();
}
