import { createRequire } from 'node:module';
import { expect, expectTypeOf, test } from 'vitest';
import { defineJobs, threadJob } from '../../src/index.js';
import type { ThreadJob } from '../../src/index.js';
import type { RenderPdfPayload, RenderPdfResult } from '../../workers/render-pdf.js';
import type { ResizeImagePayload, ResizeImageResult } from '../../workers/resize-image.js';

test('the ready-made workers are handlers like any other, with their types', () => {
  const jobs = defineJobs({
    resizeImage: threadJob<typeof import('../../workers/resize-image.js')>(
      new URL('../../workers/resize-image.js', import.meta.url),
    ),
    renderPdf: threadJob<typeof import('../../workers/render-pdf.js')>(
      new URL('../../workers/render-pdf.js', import.meta.url),
    ),
  });
  expectTypeOf(jobs.resizeImage).toEqualTypeOf<ThreadJob<ResizeImagePayload, ResizeImageResult>>();
  expectTypeOf(jobs.renderPdf).toEqualTypeOf<ThreadJob<RenderPdfPayload, RenderPdfResult>>();
  expect(Object.keys(jobs)).toEqual(['resizeImage', 'renderPdf']);
});

test('the ready-made workers can be imported, what they are made of cannot', () => {
  const { resolve } = createRequire(import.meta.url);
  for (const worker of ['resize-image', 'render-pdf']) {
    expect(resolve(`millrace/workers/${worker}`)).toContain(`${worker}.js`);
  }
  for (const part of ['pdf/images', 'image/encode', 'payload', 'peer', 'read-input', 'safe-file']) {
    expect(() => resolve(`millrace/workers/${part}`)).toThrow(
      expect.objectContaining({ code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }),
    );
  }
});
