/** Everything that a run must not leave behind: temporary directories and Redis servers, also after Ctrl-C. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisServer, type RedisSetting } from './redis-server.js';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export class Workspace {
  readonly #root = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  readonly #servers = new Map<RedisSetting, Promise<RedisServer>>();
  #directories = 0;

  constructor() {
    process.once('exit', () => this.#clear());
    for (const [signal, code] of Object.entries(EXIT_CODES)) process.once(signal, () => process.exit(code));
  }

  directory(name: string): string {
    const path = join(this.#root, `${++this.#directories}-${name}`);
    mkdirSync(path);
    return path;
  }

  /** The port of a server of that setting; one of each for the whole run. */
  async redis(setting: RedisSetting): Promise<number> {
    let server = this.#servers.get(setting);
    if (!server) {
      server = RedisServer.start(setting, this.directory(`redis-${setting}`));
      this.#servers.set(setting, server);
    }
    return (await server).port;
  }

  async close(): Promise<void> {
    const started = await Promise.allSettled(this.#servers.values());
    await Promise.all(started.map(async (server) => server.status === 'fulfilled' && server.value.stop()));
    this.#clear();
  }

  #clear(): void {
    // Retries: a process that has not noticed yet may still write into it.
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }
}
