/** The encoder's side of docs/reference/live-protocol.md, so that tests can say what they mean. */

export function packCell(state: number, loss: number | null, rtt: number | null): number {
  return (state | (packLoss(loss) << 8) | (packRtt(rtt) << 16)) >>> 0;
}

function packLoss(permille: number | null): number {
  return permille === null ? 255 : Math.min(250, Math.ceil(permille / 4));
}

function packRtt(micros: number | null): number {
  if (micros === null) return 0xffff;
  let mantissa = Math.floor(micros);
  let exponent = 0;
  for (; mantissa > 0x7ff; exponent += 1) mantissa = Math.floor(mantissa / 2);
  return (exponent << 11) | mantissa;
}
