/** A service on the web, as far as a recipe speaks to one: it keeps what it was asked, and answers what a test says. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished, vi } from 'vitest';

export interface Asked {
  readonly url: string;
  /** What tells a request that is made again from a new one. */
  readonly key: string;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/**
 * Serves until the test is over. To be called within a test.
 * @param variable The environment variable that recipes find it by.
 */
export async function webService(
  variable: string,
  answer: (asked: Asked) => Answer | Promise<Answer>,
): Promise<void> {
  const server = createServer((request, response) => {
    void askedBy(request)
      .then(answer)
      .then(({ status, headers, body }) => response.writeHead(status, headers).end(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on a port has this kind of address.
  const { port } = server.address() as AddressInfo;
  vi.stubEnv(variable, `http://127.0.0.1:${port}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    server.close();
    server.closeAllConnections();
  });
}

async function askedBy(request: IncomingMessage): Promise<Asked> {
  const key = String(request.headers['idempotency-key']);
  return { url: request.url ?? '', key, body: await text(request) };
}
