/** Real work: a PDF of some pages of text with pdfkit. */
import Document from 'pdfkit';

const TEXT = 'The channel that carries a stream to the wheel of a mill is called a millrace. '.repeat(60);

export default async function pdf(payload: { pages: number }): Promise<number> {
  const document = new Document();
  let length = 0;
  const ended = new Promise<void>((resolve) => document.on('end', () => resolve()));
  document.on('data', (chunk: Buffer) => (length += chunk.length));
  for (let page = 0; page < payload.pages; page++) {
    if (page > 0) document.addPage();
    document.fontSize(11).text(TEXT);
  }
  document.end();
  await ended;
  return length;
}
