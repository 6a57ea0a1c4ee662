/** The package has no types of its own. */
declare module 'snappyjs' {
  /** @throws Error where the bytes are not Snappy's, or more than `maxLength` comes out. */
  export function uncompress(compressed: Buffer, maxLength?: number): Buffer;
}
