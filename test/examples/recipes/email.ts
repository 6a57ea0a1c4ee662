/**
 * E-mail with retries. The mail service may be down, or ask to be left alone: the mail waits, outlasts restarts, and is
 * sent once, for all attempts have the same key.
 */
import { defineJobs, inlineJob, RetryAfterError, type Millrace } from 'millrace';

export interface Mail {
  to: string;
  subject: string;
  text: string;
}

export const jobs = defineJobs({
  sendEmail: inlineJob(
    async (mail: Mail, job) => {
      const response = await fetch(`${process.env.MAIL_SERVICE}/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': job.id },
        body: JSON.stringify(mail),
        signal: job.signal, // aborted at the timeout, and when the engine closes
      });
      // "Not so fast": no attempt is counted.
      if (response.status === 429)
        throw new RetryAfterError(Number(response.headers.get('retry-after') ?? 60) * 1_000);
      if (!response.ok) throw new Error(`The mail service answered ${response.status}`);
    },
    {
      concurrency: 10,
      timeout: '30s',
      maxAttempts: 10,
      backoff: { type: 'exponential', delay: '5s', max: '1h', jitter: 'equal' },
      retention: { completed: '7d' },
    },
  ),
});

/** A user is welcomed once, however often it is called while that mail is kept. */
export async function welcome(mill: Millrace<typeof jobs>, user: { id: string; email: string }) {
  const mail = { to: user.email, subject: 'Welcome', text: 'It is good to have you here.' };
  return mill.enqueue('sendEmail', mail, { id: `welcome-${user.id}` });
}
