/**
 * A payment. What may pass is tried again, with the same key, so that nobody pays twice; a card that was declined fails
 * the job at once, and somebody is told. The id of a job is that of the form, and not of the order: it stays taken also
 * where the card was declined, so that whoever tries another card needs another form.
 */
import { defineJobs, inlineJob, UnrecoverableError, type JobContext, type Millrace } from 'millrace';

export interface Payment {
  order: string;
  /** Made with each form that is shown, so that whoever was declined can try again. */
  form: string;
  card: string;
  cents: number;
}

export const paymentJobs = (tellShop: (order: string, reason: string) => Promise<void>) =>
  defineJobs({
    chargeCard: inlineJob(chargeCard, {
      concurrency: 5,
      timeout: '30s',
      maxAttempts: 8,
      onFailed: (job, error) => tellShop((job.payload as Payment).order, error.message),
      retention: { completed: '90d', failed: '90d' }, // so long is the id of a form taken
    }),
  });

async function chargeCard({ card, cents }: Payment, job: JobContext) {
  const response = await fetch(`${process.env.PAYMENT_SERVICE}/charges`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': job.id },
    body: JSON.stringify({ card, cents }),
    signal: job.signal,
  });
  if (response.status === 402) throw new UnrecoverableError('The card was declined');
  if (!response.ok) throw new Error(`The payment service answered ${response.status}`);
  return { receipt: await response.text() };
}

/** However often the button of a form is pressed, the card is charged once. */
export async function pay(mill: Millrace<ReturnType<typeof paymentJobs>>, payment: Payment) {
  const job = await mill.enqueue('chargeCard', payment, { id: `charge-${payment.form}` });
  return job.result(); // rejects with a JobFailedError: its `cause` has the code MILLRACE_UNRECOVERABLE
}
