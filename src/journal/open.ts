/** Opens the journal of a directory: its owner, LevelDB, and the journal on top. */
import { realpathSync } from 'node:fs';
import type { Clock } from '../clock.js';
import { JournalLockedError, MillraceError } from '../errors.js';
import { currentBoot } from './boot.js';
import { openCheckedStore } from './checked-store.js';
import { Journal } from './journal.js';
import { assertNotOpen, isLevelLocked } from './level-store.js';
import { openFailed, reserveDirectory, type Owner } from './owner.js';
import { PayloadFiles } from './payload-files.js';
import type { Store } from './store.js';

/** How often a locked journal is tried again: the previous owner does not tell when it lets go. */
const LOCK_POLL_MS = 50;

export interface OpenJournalOptions {
  readonly directory: string;
  /** How long to wait for a previous owner; 0 not at all. */
  readonly lockTimeoutMs: number;
  readonly clock: Clock;
}

/** @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `…_OPEN_FAILED`, `…_CORRUPT`, `…_FORMAT` */
export async function openJournal({ directory, lockTimeoutMs, clock }: OpenJournalOptions): Promise<Journal> {
  const giveUpAt = clock.monotonic() + lockTimeoutMs;
  for (;;) {
    const warnings = new Warnings();
    try {
      const store = await openOwned(directory, clock, warnings);
      const journal = await openOn(store, directory);
      warnings.tell(journal);
      return journal;
    } catch (thrown) {
      if (!(thrown instanceof JournalLockedError) || clock.monotonic() >= giveUpAt) throw thrown;
      await new Promise<void>((resolve) => clock.setTimer(resolve, LOCK_POLL_MS));
    }
  }
}

/** What the files' check has to say, until there is a journal to say it. */
class Warnings {
  readonly #early: MillraceError[] = [];
  #journal: Journal | undefined;

  readonly add = (error: MillraceError): void => {
    if (this.#journal) this.#journal.report(error);
    else this.#early.push(error);
  };

  tell(journal: Journal): void {
    this.#journal = journal;
    for (const error of this.#early.splice(0)) journal.report(error);
  }
}

async function openOn(store: Store, directory: string): Promise<Journal> {
  try {
    const payloadFiles = new PayloadFiles(realpathSync(directory));
    return await Journal.open(store, currentBoot(), payloadFiles);
  } catch (thrown) {
    await store.close();
    throw thrown instanceof MillraceError ? thrown : openFailed(directory, thrown);
  }
}

/** A store that gives up its directory when it is closed. */
async function openOwned(directory: string, clock: Clock, warnings: Warnings): Promise<Store> {
  const owner = reserveDirectory(directory);
  try {
    // Where the owner file does not tell whether its owner lives, LevelDB's lock does, for less than a look at all files.
    if (owner.holder() !== undefined) await assertNotOpen(owner.directory);
    return await openAnnounced(owner, clock, warnings);
  } catch (thrown) {
    const error = openError(owner, thrown);
    owner.release();
    throw error;
  }
}

function openError(owner: Owner, thrown: unknown): unknown {
  if (thrown instanceof MillraceError) return thrown;
  if (!isLevelLocked(thrown)) return openFailed(owner.directory, thrown);
  return new JournalLockedError(owner.directory, owner.holder(), { cause: thrown });
}

async function openAnnounced(owner: Owner, clock: Clock, { add }: Warnings): Promise<Store> {
  const store = await openCheckedStore({ directory: owner.directory, clock, onWarning: add });
  try {
    owner.announce();
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
  return releasing(store, owner);
}

function releasing(store: Store, owner: Owner): Store {
  return {
    batch: () => store.batch(),
    getMany: (keys) => store.getMany(keys),
    page: (range) => store.page(range),
    view: () => store.view(),
    // The directory stays this owner's meanwhile.
    reopen: () => store.reopen(),
    sizeOf: async (from, to) => (await store.sizeOf?.(from, to)) ?? 0,
    compact: async (from, to) => store.compact?.(from, to),
    async close() {
      try {
        owner.withdraw();
      } finally {
        await store.close().finally(() => owner.release());
      }
    },
  };
}
