/** The native work, with the engine told: it keeps a thread of libuv's pool free. */
export { default } from './encode.js';

export const usesNativePool = true;
