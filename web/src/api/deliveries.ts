/** Who was told of one incident. The aggregator keeps that by channel, so it is looked up in each of their logs. */

import { readChannels, readDeliveries, LIMIT_MAX, type Delivery } from './alerts';

export interface DeliveriesOf {
  deliveries: (Delivery & { channel: { id: number; name: string } })[];
  /** How many channels there are, and how many of them were not looked at. */
  channels: number;
  left: number;
}

/** One question each: more would be a burden for a page that asks again and again. */
const CHANNELS_MAX = 10;

export async function deliveriesOf(incident: string): Promise<DeliveriesOf> {
  const channels = await readChannels();
  const asked = channels.slice(0, CHANNELS_MAX);
  const logs = await Promise.all(
    asked.map(async ({ id, name }) => {
      const { deliveries } = await readDeliveries(id, { limit: LIMIT_MAX });
      return deliveries
        .filter((one) => one.incident === incident)
        .map((one) => ({ ...one, channel: { id, name } }));
    }),
  );
  const deliveries = logs.flat().sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  return { deliveries, channels: channels.length, left: channels.length - asked.length };
}
