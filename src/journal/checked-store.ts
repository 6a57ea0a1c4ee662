/**
 * The store of a directory, with its files checked: before LevelDB opens them, and its tables in the background after
 * that. Beside it the witness is kept.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { currentBoot } from './boot.js';
import { checkFiles, type FileCheck } from './file-check.js';
import { damagedFiles, describeFault } from './file-fault.js';
import { CURRENT, logName, manifestName, type FileNames } from './files/names.js';
import { assertNotOpen, openLevelStore } from './level-store.js';
import { unreadable } from './offline.js';
import type { Store, StoreBatch } from './store.js';
import { TableWatch } from './table-watch.js';
import { cutTorn } from './torn-tail.js';
import { WitnessKeeper } from './witness-keeper.js';

export interface CheckedStoreOptions {
  /** The real path. Whoever opens it owns it already. */
  readonly directory: string;
  readonly clock: Clock;
  /** Told of what does not keep the journal from being opened, also later. */
  readonly onWarning: (error: MillraceError) => void;
  /** Which start of the machine this is. */
  readonly boot?: string;
}

/**
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` or `MILLRACE_JOURNAL_OPEN_FAILED`; LevelDB's own lock error as it is.
 */
export async function openCheckedStore({
  directory,
  clock,
  onWarning,
  boot = currentBoot(),
}: CheckedStoreOptions): Promise<Store> {
  let check: FileCheck | undefined;
  const store = await openLevelStore(directory, async () => {
    // After a failed write what is behind the last sync can be anything, as in another start of the machine.
    check = await prepare(directory, check ? '' : boot, onWarning);
  });
  const turn = check?.testimony?.turn ?? 1;
  const keeper = new WitnessKeeper({ directory, boot, turn, clock, onWarning });
  const watch = new TableWatch({ directory, tables: check ? tablesOf(check) : [], clock, onWarning });
  const opened = new CheckedStore(store, keeper, watch);
  opened.begin();
  return opened;
}

/** Those that the manifest names, the newest first; others are being made, or were when a process died. */
function tablesOf({ manifest, names }: FileCheck): string[] {
  const numbers = [...(manifest?.tables.values() ?? [])].map(({ number }) => number);
  return numbers.sort((a, b) => b - a).flatMap((number) => names.tables.get(number) ?? []);
}

async function prepare(
  directory: string,
  boot: string,
  onWarning: (error: MillraceError) => void,
): Promise<FileCheck> {
  const check = await checkUnused(directory, boot);
  if (check.isUnfinished) removeUnfinished(directory, check.names);
  if (check.damage.length > 0) throw damagedFiles(directory, check.damage);
  for (const doubt of check.doubts) {
    const message = `${describeFault(doubt)}, in ${directory}. The journal is open all the same, but whether anything is missing at the end of its log cannot be told`;
    onWarning(new MillraceError('MILLRACE_JOURNAL_WITNESS', message));
  }
  for (const warning of await cutTorn(directory, check.torn)) onWarning(warning);
  return check;
}

/**
 * Somebody who has just opened it and not said so yet, or has not closed it yet, may be writing to these files: what
 * they show then is no reason to refuse them, and nothing to cut off. So they are looked at again once nobody is.
 */
async function checkUnused(directory: string, boot: string): Promise<FileCheck> {
  const first = await checkFiles(directory, boot).catch(() => undefined); // The next one tells of what stays.
  if (first && isInOrder(first)) return first;
  await assertNotOpen(directory);
  const check = await checkFiles(directory, boot).catch((thrown: unknown) => {
    throw unreadable(directory, thrown);
  });
  if (!isInOrder(check)) await assertNotOpen(directory);
  return check;
}

const isInOrder = ({ damage, torn, isUnfinished }: FileCheck): boolean =>
  damage.length + torn.length === 0 && !isUnfinished;

/** In this order: should the process die meanwhile, what is left is still one that was begun, or none. */
function removeUnfinished(directory: string, { logs, manifests }: FileNames): void {
  for (const file of [...logs.map(logName), CURRENT, ...manifests.map(manifestName)])
    rmSync(join(directory, file), { force: true });
}

class CheckedStore implements Store {
  readonly #store: Store;
  readonly #keeper: WitnessKeeper;
  readonly #watch: TableWatch;

  constructor(store: Store, keeper: WitnessKeeper, watch: TableWatch) {
    this.#store = store;
    this.#keeper = keeper;
    this.#watch = watch;
  }

  batch(): StoreBatch {
    const batch = this.#store.batch();
    const keeper = this.#keeper;
    return {
      get length() {
        return batch.length;
      },
      put: (key, value) => batch.put(key, value),
      del: (key) => batch.del(key),
      async write(sync) {
        keeper.begun();
        let succeeded = false;
        try {
          await batch.write(sync);
          succeeded = true;
        } finally {
          keeper.ended(sync, succeeded);
        }
      },
    };
  }

  getMany: Store['getMany'] = (keys) => this.#store.getMany(keys);
  page: Store['page'] = (range) => this.#store.page(range);
  view: Store['view'] = () => this.#store.view();

  async sizeOf(from: string, to: string): Promise<number> {
    return (await this.#store.sizeOf?.(from, to)) ?? 0;
  }

  async compact(from: string, to: string): Promise<void> {
    await this.#store.compact?.(from, to);
  }

  begin(): void {
    this.#keeper.begin();
    this.#watch.begin();
  }

  async reopen(): Promise<void> {
    await this.#keeper.pause();
    await this.#store.reopen();
    this.#keeper.begin();
  }

  async close(): Promise<void> {
    await this.#watch.stop();
    await this.#store.close();
    await this.#keeper.close();
  }
}
