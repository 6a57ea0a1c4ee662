/** The invariant of pauses. */
import type { Evidence, Finding } from './evidence.js';
import type { Durability } from '../../src/index.js';

/** What is known of a queue, or of all of them. */
interface Pause {
  /** The last change that was asked for, while it may be under way. */
  asked: string | undefined;
  /** What it survives; absent where it is not certain that it is paused. */
  holds: Durability | undefined;
}

/** Nothing of a queue begins once it was acknowledged that it is paused, until somebody asks to resume it. */
export function ranWhilePaused({ facts }: Evidence): Finding[] {
  const pauses = new Map<string, Pause>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    switch (fact.kind) {
      case 'halting':
        pauses.set(fact.queue, {
          asked: fact.change === 'pause' ? fact.call : undefined,
          // One more pause changes nothing, whatever becomes of it.
          holds: fact.change === 'pause' ? pauses.get(fact.queue)?.holds : undefined,
        });
        break;
      case 'halted':
        for (const pause of pauses.values()) if (pause.asked === fact.call) pause.holds = fact.durability;
        break;
      case 'killed':
        for (const pause of pauses.values()) if (isTaken(pause, fact.moment)) pause.holds = undefined;
        break;
      case 'warned':
        // A disk that errs may lose what it has not synced.
        if (fact.code === 'MILLRACE_JOURNAL_WRITE_FAILED')
          for (const pause of pauses.values()) if (pause.holds === 'os') pause.holds = undefined;
        break;
      case 'began': {
        const by = ['', fact.queue].filter((queue) => pauses.get(queue)?.holds);
        const what = by.map((queue) => (queue === '' ? 'the engine' : `queue ${queue}`)).join(' and ');
        if (by.length > 0) findings.push({ id: fact.id, message: `began while ${what} was paused` });
        break;
      }
      default:
    }
  }
  return findings;
}

const isTaken = ({ holds }: Pause, moment: string): boolean =>
  moment.startsWith('power cut') && holds !== 'fsync';
