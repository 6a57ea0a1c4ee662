/** A private redis-server on a free port of the loopback, with its data in a directory that goes with it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** Nothing on disk; or every write synced before it is answered. */
export type RedisSetting = 'memory' | 'fsync';

const SETTINGS: Record<RedisSetting, readonly string[]> = {
  memory: ['--save', '', '--appendonly', 'no'],
  fsync: ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
};
const START_MS = 5_000;

export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(port: number, server: ChildProcess) {
    this.port = port;
    this.#process = server;
  }

  /** @throws Error `no redis-server`, where the machine has none. */
  static async start(setting: RedisSetting, directory: string): Promise<RedisServer> {
    const port = await freePort();
    const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory];
    const server = spawn('redis-server', [...where, ...SETTINGS[setting]], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    // Before the directory that it writes to is removed.
    process.prependOnceListener('exit', () => server.kill('SIGKILL'));
    const ready = new Promise<void>((resolve, reject) => {
      server.once('error', () => reject(new Error('no redis-server')));
      server.once('exit', () => reject(new Error('redis-server did not start')));
      server.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('Ready to accept connections')) resolve();
      });
      setTimeout(() => reject(new Error('redis-server did not become ready')), START_MS).unref();
    });
    try {
      await ready;
    } catch (thrown) {
      server.kill('SIGKILL');
      throw thrown;
    }
    return new RedisServer(port, server);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    // At once: its data is thrown away anyhow.
    this.#process.kill('SIGKILL');
    await exited;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
