/** Takes bytes and answers how many: what is measured is their way. */
export default function bytes(payload: { bytes: Uint8Array }): number {
  return payload.bytes.length;
}
